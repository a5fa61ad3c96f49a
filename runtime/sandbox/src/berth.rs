//! A berth: the engine, ready for attempts and knowing nothing of any. What can be
//! done before a job is known is done here; what is left for the moment when it
//! is known is to load its module, take its files, and enter.

use std::fs::File;
use std::os::fd::BorrowedFd;

use stint_api::kit::Entry;
use stint_api::outcome::Outcome;
use stint_scan::Profile;
use wasmtime::{InstancePre, Linker};

use crate::artifact;
use crate::files::Files;
use crate::given::Given;
use crate::interrupt::Interrupt;
use crate::io::Account;
use crate::limiter::Limiter;
use crate::outcome::{NotEntered, classify};
use crate::plan::Guest;
use crate::run::Attempt;
use crate::stubs;
use crate::wasi::{self, Host};

/// A berth cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BerthError {
    /// The host's functions cannot be linked.
    #[error("the host's functions cannot be linked: {message}")]
    Link {
        /// What the engine said.
        message: String,
    },
    /// There is no timer.
    #[error("the timer cannot be set up: {0}")]
    Timer(#[from] std::io::Error),
}

/// An engine that is ready for attempts, one after another.
pub struct Berth<'a> {
    pub(crate) interrupt: &'a Interrupt,
    linker: Linker<Host>,
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) account: Account,
}

impl std::fmt::Debug for Berth<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Berth")
            .field("profile", &self.interrupt.profile())
            .finish_non_exhaustive()
    }
}

/// A module that is mapped and linked, for as many attempts as are to come.
pub struct Loaded {
    pub(crate) linked: InstancePre<Host>,
    pub(crate) entry: Entry,
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Loaded")
    }
}

impl<'a> Berth<'a> {
    /// A berth whose attempts `interrupt` stops. Starts no thread and opens
    /// nothing, so that the process may be forked with it.
    ///
    /// # Errors
    /// See [`BerthError`].
    pub fn new(interrupt: &'a Interrupt) -> Result<Self, BerthError> {
        let linker = wasi::linker(interrupt.engine()).map_err(|error| BerthError::Link {
            message: format!("{error:#}"),
        })?;
        // Timers only: no socket is ever opened, so there is nothing to poll for.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        Ok(Self {
            interrupt,
            linker,
            runtime,
            account: Account::default(),
        })
    }

    /// Makes itself at home in the process and thread that will run the attempts:
    /// after a fork, and before a jail that hides `/proc`.
    pub fn settle(&mut self) {
        self.account = Account::open();
    }

    /// The files that it has open, which must stay so.
    pub fn kept(&self) -> Vec<BorrowedFd<'_>> {
        self.account.fd().into_iter().collect()
    }

    /// Maps and links the command in `artifact`, which was compiled for `profile`;
    /// compared with `sha256` unless the same open file was before.
    ///
    /// # Errors
    /// The outcome of every attempt at it.
    pub fn load(
        &self,
        artifact: File,
        profile: Profile,
        sha256: Option<&[u8; 32]>,
    ) -> Result<Loaded, Outcome> {
        self.load_for(artifact, profile, sha256, &Entry::default())
    }

    /// The same of a module that is entered as `entry` says.
    ///
    /// # Errors
    /// The outcome of every attempt at it.
    pub fn load_for(
        &self,
        artifact: File,
        profile: Profile,
        sha256: Option<&[u8; 32]>,
        entry: &Entry,
    ) -> Result<Loaded, Outcome> {
        let own = self.interrupt.profile();
        if profile != own {
            return Err(start_failed(format!(
                "the plan is for engine profile `{profile}`, the worker for `{own}`"
            )));
        }
        let module = artifact::load(self.interrupt.engine(), artifact, sha256)
            .map_err(|error| start_failed(error.to_string()))?;
        let linked = if entry.stubs.is_empty() {
            self.linker.instantiate_pre(&module)
        } else {
            stubs::linker(&self.linker, &module, entry)
                .and_then(|linker| linker.instantiate_pre(&module))
        };
        match linked {
            Ok(linked) => Ok(Loaded {
                linked,
                entry: entry.clone(),
            }),
            // No limit was asked for yet, so it is not one that refuses.
            Err(error) => Err(classify(Err(error.context(NotEntered)), &Limiter::new(0))),
        }
    }

    /// An attempt at `loaded` that has all it needs and only waits to run.
    ///
    /// # Errors
    /// The outcome of an attempt that cannot be run.
    pub fn attempt<'b>(
        &'b self,
        loaded: &'b Loaded,
        guest: &Guest,
        files: Files,
    ) -> Result<Attempt<'b>, Outcome> {
        self.attempt_with(loaded, guest, &Given::new(files, guest, None))
    }

    /// The same with files that another attempt may have had before, and left untouched.
    ///
    /// # Errors
    /// The outcome of an attempt that cannot be run.
    pub fn attempt_with<'b>(
        &'b self,
        loaded: &'b Loaded,
        guest: &Guest,
        given: &Given,
    ) -> Result<Attempt<'b>, Outcome> {
        let (host, logs) =
            wasi::host(guest, given).map_err(|error| start_failed(error.to_string()))?;
        Ok(Attempt {
            berth: self,
            loaded,
            host,
            logs,
            memory_limit_bytes: guest.memory_limit_bytes,
        })
    }
}

fn start_failed(step: String) -> Outcome {
    Outcome::StartFailed { step }
}
