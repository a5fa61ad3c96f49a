//! A berth: the engine, ready for attempts and knowing nothing of any. What can be
//! done before a job is known is done here; what is left for the moment when it
//! is known is to load its module, take its files, and enter.

use std::cell::{Cell, OnceCell};
use std::fs::File;
use std::os::fd::BorrowedFd;

use stint_api::kit::Entry;
use stint_api::outcome::Outcome;
use stint_scan::Profile;
use wasmtime::{InstancePre, Linker, Module, component as model};

use crate::artifact::{self, Code};
use crate::component;
use crate::door::Door;
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
    /// Made when a component comes, or beforehand in a process that others are forked from.
    of_components: OnceCell<model::Linker<Host>>,
    /// Gone once something was loaded.
    door: Cell<Option<Door>>,
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
pub struct Loaded(pub(crate) Linked);

pub(crate) enum Linked {
    Module {
        instance: InstancePre<Host>,
        entry: Entry,
    },
    Component(component::Linked),
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
            of_components: OnceCell::new(),
            door: Cell::new(None),
            runtime,
            account: Account::default(),
        })
    }

    /// Makes itself at home in the process and thread that will run the attempts:
    /// after a fork, and before a jail that hides `/proc`.
    pub fn settle(&mut self) {
        self.account = Account::open();
        self.door.set(Door::open());
    }

    /// The files that it has open, which must stay so.
    pub fn kept(&mut self) -> Vec<BorrowedFd<'_>> {
        let door = self.door.get_mut().as_ref().map(Door::fd);
        self.account.fd().into_iter().chain(door).collect()
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
        // Taken whatever comes: when a guest runs, it is closed.
        let door = self.door.take();
        self.load_through(door, artifact, profile, sha256, entry)
    }

    /// The same, with this door.
    pub(crate) fn load_through(
        &self,
        door: Option<Door>,
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
        let code = artifact::load(self.interrupt.engine(), artifact, sha256, door)
            .map_err(|error| start_failed(error.to_string()))?;
        let linked = match code {
            Code::Module(module) => self.link(&module, entry)?,
            Code::Component(component) => self.link_component(&component)?,
        };
        Ok(Loaded(linked))
    }

    fn link(&self, module: &Module, entry: &Entry) -> Result<Linked, Outcome> {
        let linked = if entry.stubs.is_empty() {
            self.linker.instantiate_pre(module)
        } else {
            stubs::linker(&self.linker, module, entry)
                .and_then(|linker| linker.instantiate_pre(module))
        };
        match linked {
            Ok(instance) => Ok(Linked::Module {
                instance,
                entry: entry.clone(),
            }),
            // No limit was asked for yet, so it is not one that refuses.
            Err(error) => Err(classify(Err(error.context(NotEntered)), &Limiter::new(0))),
        }
    }

    /// The interfaces that components may import.
    pub(crate) fn learn_components(&self) -> wasmtime::Result<&model::Linker<Host>> {
        if let Some(linker) = self.of_components.get() {
            return Ok(linker);
        }
        let made = component::linker(self.interrupt.engine())?;
        Ok(self.of_components.get_or_init(|| made))
    }

    fn link_component(&self, code: &model::Component) -> Result<Linked, Outcome> {
        let linker = self
            .learn_components()
            .map_err(|error| start_failed(format!("{error:#}")))?;
        // The scan knows interfaces by name; what is in them is compared here.
        component::link(linker, code)
            .map(Linked::Component)
            .map_err(|error| Outcome::ModuleRejected {
                what: format!("{error:#}"),
            })
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
