//! Ctrl-C and SIGTERM: what a verb that waits does about them is its own affair.

use std::future::Future;
use std::io;
use std::pin::pin;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::failure::hinted;
use crate::show;

/// Both signals, from the moment it is made.
#[derive(Debug)]
pub(crate) struct Interrupts {
    ctrl_c: Signal,
    terminate: Signal,
}

/// Resolves when the work is to stop.
pub(crate) type Stop = oneshot::Receiver<()>;

impl Interrupts {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            ctrl_c: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next of either; safe to drop and call again.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.ctrl_c.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Does `work` until it ends. The first signal asks it to stop, the next leaves it.
    pub(crate) async fn stop_work<W>(&mut self, work: impl FnOnce(Stop) -> W) -> anyhow::Result<()>
    where
        W: Future<Output = anyhow::Result<()>>,
    {
        let (stop, stopped) = oneshot::channel();
        let mut work = pin!(work(stopped));
        tokio::select! {
            result = &mut work => return result,
            () = self.next() => {}
        }
        show::note("stopping; once more to leave at once");
        // The other end is gone only when the work is over.
        let _ = stop.send(());
        tokio::select! {
            result = work => result,
            () = self.next() => Err(hinted(
                "left before all was put away",
                "the next start finds what is left, and goes on from there",
            )),
        }
    }
}
