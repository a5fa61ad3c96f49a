//! How a guest that computes is stopped: its memory is withdrawn, and it traps where
//! it touches that next.
//!
//! The engine's own means, epochs and fuel, are looked at in every loop; a loop over
//! an array takes up to four times as long with them. This costs nothing until it is
//! used. A guest that touches no memory, or none that it exports (a component exports
//! none), and one inside a host call do not notice: who cannot wait kills them.

use std::sync::atomic::{AtomicBool, Ordering};

use stint_scan::Profile;
use wasmtime::{Engine, Instance, Store};

use crate::engine::{self, EngineError};
use crate::wasi::Host;
use crate::withdrawal::Withdrawal;

/// Under which name a guest exports its memory; WASI's host calls look for it there too.
const MEMORY: &str = "memory";

/// Stops the attempt that runs at a [`Berth`](crate::Berth) made with it. Made
/// first, so that a signal handler can find it in a `static OnceLock<Interrupt>`:
/// it holds the engine that attempts will use.
#[derive(Debug)]
pub struct Interrupt {
    engine: Engine,
    profile: Profile,
    raised: AtomicBool,
    memory: Withdrawal,
}

impl Interrupt {
    /// For an attempt whose plan has this `profile`.
    ///
    /// # Errors
    /// The engine cannot be made on this machine.
    pub fn new(profile: Profile) -> Result<Self, EngineError> {
        Ok(Self {
            engine: engine::running(profile)?,
            profile,
            raised: AtomicBool::new(false),
            memory: Withdrawal::default(),
        })
    }

    /// Ends the attempt with `deadline(attempt)`: within microseconds if it computes
    /// in its memory, at the start if it has not started. An attempt inside a host call
    /// ends when that returns, or takes its process with it when that touches the
    /// guest's memory: whoever raises this must be prepared to lose the process.
    ///
    /// Async-signal-safe: atomic operations and one system call, no lock, no
    /// allocation. So is `OnceLock::get`, by which a handler reaches it.
    pub fn raise(&self) {
        // In this order: whoever offers a memory afterwards sees the flag.
        self.raised.store(true, Ordering::SeqCst);
        self.memory.withdraw();
    }

    /// Whether it was raised.
    pub fn is_raised(&self) -> bool {
        self.raised.load(Ordering::SeqCst)
    }

    /// Forgets that it was raised: for the next attempt, once nobody would raise
    /// it for the one before.
    pub fn lower(&self) {
        self.raised.store(false, Ordering::SeqCst);
    }

    /// The profile of the attempts that it can stop.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Lets the memory that `instance` exports be withdrawn, until what is returned is
    /// dropped, which must come before `store` is gone.
    pub(crate) fn hold(&self, store: &mut Store<Host>, instance: &Instance) -> Held<'_> {
        if let Some(memory) = instance.get_memory(&mut *store, MEMORY) {
            self.memory.offer(memory.data_ptr(&*store));
        }
        Held(&self.memory)
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }
}

/// A memory that may be withdrawn for as long as this lives.
#[derive(Debug)]
pub(crate) struct Held<'a>(&'a Withdrawal);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}
