//! Ctrl-C and SIGTERM: clean up, then go with the code that shells expect.

use std::thread;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};

/// What shells expect of a command that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// From now on, either signal runs `clean_up` and ends this process.
///
/// # Errors
/// Signals cannot be handled here.
pub(crate) fn on_interrupt(clean_up: impl FnOnce() + Send + 'static) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .context("cannot watch for signals")?;
    let (mut interrupt, mut terminate) = {
        let _entered = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        eprintln!("\ninterrupted: cleaning up");
        clean_up();
        std::process::exit(INTERRUPTED);
    });
    Ok(())
}
