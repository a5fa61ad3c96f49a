//! How a guest that computes is stopped: the engine's epoch moves on, and the
//! guest traps at its next loop or call, with a backtrace.

use std::sync::atomic::{AtomicBool, Ordering};

use stint_scan::Profile;
use wasmtime::Engine;

use crate::engine::{self, EngineError};

/// Stops the attempt that runs at a [`Berth`](crate::Berth) made with it. Made
/// first, so that a signal handler can find it in a `static OnceLock<Interrupt>`:
/// it holds the engine that attempts will use.
#[derive(Debug)]
pub struct Interrupt {
    engine: Engine,
    profile: Profile,
    raised: AtomicBool,
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
        })
    }

    /// Ends the attempt with `deadline(attempt)`: within microseconds if it
    /// computes, at the start if it has not started. An attempt inside a host
    /// call or a bulk operation ends when that returns; who cannot wait kills it.
    ///
    /// Async-signal-safe: a store and an atomic addition, no lock, no
    /// allocation, no system call. So is `OnceLock::get`, by which a handler reaches it.
    pub fn raise(&self) {
        // In this order: whoever sets an epoch deadline afterwards sees the flag.
        self.raised.store(true, Ordering::SeqCst);
        self.engine.increment_epoch();
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

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }
}
