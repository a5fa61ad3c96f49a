//! Warming up: what a process costs is paid when it first touches its pages, above
//! all after a fork. A berth that has run something has paid it, before a job waits.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use stint_api::kit::Entry;
use stint_api::outcome::Outcome;

use crate::berth::Berth;
use crate::engine::{self, EngineError};
use crate::files::Files;
use crate::plan::{Access, Guest, Seen};

/// `warm_up.wat`; a test holds that it is.
const MODULE: &[u8] = include_bytes!("warm_up.wasm");
/// How often it is run. After the third time the same pages are touched again.
const TIMES: u32 = 3;
/// Memory of it; it has two pages and asks for one more.
const MEMORY_BYTES: u64 = 1 << 20;

/// A berth cannot be warmed up; it can be used as it is.
#[derive(Debug, thiserror::Error)]
pub enum WarmUpError {
    /// There is no compiler for it.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The module does not compile.
    #[error("the module to warm up with does not compile: {message}")]
    Compile {
        /// What the compiler said.
        message: String,
    },
    /// The host's functions cannot be linked.
    #[error("the host's functions cannot be linked: {message}")]
    Link {
        /// What the engine said.
        message: String,
    },
    /// It could not be put where it is mapped from.
    #[error("memory for warming up: {0}")]
    Memory(#[from] io::Error),
    /// It did not run as it should.
    #[error("the module to warm up with ended otherwise: {0}")]
    Ended(Outcome),
}

/// What a berth runs to warm up.
#[derive(Debug)]
pub struct WarmUp(File);

impl Berth<'_> {
    /// Compiles what it warms up with. Once, before any fork: the one
    /// module that a process other than a compiler compiles, and it is our own.
    ///
    /// # Errors
    /// See [`WarmUpError`].
    pub fn learn_warm_up(&self) -> Result<WarmUp, WarmUpError> {
        let components = self.learn_components();
        components.map_err(|error| WarmUpError::Link {
            message: format!("{error:#}"),
        })?;
        let profile = self.interrupt.profile();
        let compiled = engine::compiling(profile)?.precompile_module(MODULE);
        let compiled = compiled.map_err(|error| WarmUpError::Compile {
            message: format!("{error:#}"),
        })?;
        let artifact = memory("warm-up")?;
        io::Write::write_all(&mut &artifact, &compiled)?;
        // Every worker that is forked has it too, and none may change it for the others.
        let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        fcntl_add_seals(&artifact, seals).map_err(io::Error::from)?;
        Ok(WarmUp(artifact))
    }

    /// Runs it.
    ///
    /// # Errors
    /// See [`WarmUpError`].
    pub fn warm_up(&self, with: &WarmUp) -> Result<(), WarmUpError> {
        for _ in 0..TIMES {
            let guest = Guest {
                entry: Entry::default(),
                args: vec!["warm-up".to_owned()],
                env: vec![("NOTHING".to_owned(), "known".to_owned())],
                memory_limit_bytes: MEMORY_BYTES,
                dirs: vec![Seen {
                    guest: "/in".to_owned(),
                    access: Access::Read,
                }],
                log_bytes_max: 0,
            };
            let log = || memory("log").map(OwnedFd::from);
            let files = Files {
                stdout: log()?,
                stderr: log()?,
                dirs: vec![File::open("/")?.into()],
            };
            // Made by this process or its parent, and sealed.
            let artifact = with.0.try_clone()?;
            let (profile, entry) = (self.interrupt.profile(), Entry::default());
            let loaded = self.load_through(None, artifact, profile, None, &entry);
            let loaded = loaded.map_err(WarmUpError::Ended)?;
            let attempt = self.attempt(&loaded, &guest, files);
            match attempt.map_err(WarmUpError::Ended)?.run().outcome {
                Outcome::Succeeded => {}
                outcome => return Err(WarmUpError::Ended(outcome)),
            }
        }
        Ok(())
    }
}

/// A file that is nowhere.
fn memory(name: &str) -> io::Result<File> {
    Ok(memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?.into())
}

#[cfg(test)]
mod tests {
    use stint_scan::Profile;

    use super::*;
    use crate::interrupt::Interrupt;

    #[test]
    fn the_module_is_its_text() {
        let text = include_str!("warm_up.wat");
        assert_eq!(wat::parse_str(text).unwrap(), MODULE);
    }

    #[test]
    fn a_berth_of_either_profile_is_warmed_up() {
        for profile in [Profile::Plain, Profile::Exceptions] {
            let interrupt = Interrupt::new(profile).unwrap();
            let mut berth = Berth::new(&interrupt).unwrap();
            let with = berth.learn_warm_up().unwrap();
            berth.settle();
            berth.warm_up(&with).unwrap();
        }
    }
}
