//! How a worker hears that its guest is past the deadline: the keeper's signal,
//! whose handler does no more than raise the guest's interrupt. A thread that
//! waits for it would be simpler, and is what a worker must not have.

#![allow(
    unsafe_code,
    reason = "a signal handler runs between any two instructions; see `arm`"
)]

use std::io;
use std::sync::OnceLock;

use rustix::process::Signal;
use stint_sandbox::{EngineError, Interrupt, Profile};

/// Where the handler finds the guest's interrupt; made once, with the engine.
static INTERRUPT: OnceLock<Interrupt> = OnceLock::new();

/// The worker cannot be told of deadlines.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArmError {
    /// No engine.
    #[error("{0}: {source}", source = .0.source)]
    Engine(EngineError),
    /// No handler.
    #[error("the deadline's signal cannot be handled: {0}")]
    Handler(io::Error),
}

/// Forgets a deadline that passed: for the next attempt. The keeper signals no
/// worker that it assigns again afterwards.
pub(crate) fn forget() {
    if let Some(interrupt) = INTERRUPT.get() {
        interrupt.lower();
    }
}

/// Makes the interrupt of attempts of `profile`, which from now on the keeper's signal raises.
pub(crate) fn arm(profile: Profile) -> Result<&'static Interrupt, ArmError> {
    let made = Interrupt::new(profile).map_err(ArmError::Engine)?;
    let interrupt = INTERRUPT.get_or_init(|| made);
    let raise = || {
        if let Some(interrupt) = INTERRUPT.get() {
            interrupt.raise();
        }
    };
    // SAFETY: an action must do only what is safe in a signal handler: take no
    // lock, allocate nothing, never panic. `OnceLock::get` is an atomic load,
    // and `Interrupt::raise` promises to be safe there. errno is kept by the registry.
    unsafe { signal_hook_registry::register(Signal::USR1.as_raw(), raise) }
        .map_err(ArmError::Handler)?;
    Ok(interrupt)
}
