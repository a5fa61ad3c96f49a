//! How a keeper hears that it is asked to end: by a signal whose handler rings,
//! which is a descriptor for the poll loop like any other.

#![allow(
    unsafe_code,
    reason = "a signal handler runs between any two instructions; see `hang`"
)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};
use rustix::process::Signal;

/// What ends a keeper in order. A terminal's signals do not reach it, but whoever
/// stops a service or a container sends these.
const ENDING: [Signal; 3] = [Signal::TERM, Signal::INT, Signal::HUP];

/// Readable once a signal to end has come.
#[derive(Debug)]
pub(crate) struct Bell {
    rung: OwnedFd,
}

impl Bell {
    /// From now on the signals ring instead of killing.
    pub(crate) fn hang() -> io::Result<Self> {
        let rung = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        for signal in ENDING {
            let bell = rung.try_clone()?;
            let ring = move || {
                // A count that is full is readable already.
                let _ = rustix::io::write(&bell, &1_u64.to_ne_bytes());
            };
            // SAFETY: an action must do only what is safe in a signal handler: take
            // no lock, allocate nothing, never panic. This is one `write` to a
            // descriptor that it owns; the registry saves `errno` around it.
            unsafe { signal_hook_registry::register(signal.as_raw(), ring) }?;
        }
        Ok(Self { rung })
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.rung.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{getpid, kill_process};

    use super::*;

    #[test]
    fn a_signal_to_end_rings_and_kills_nobody() {
        let bell = Bell::hang().unwrap();
        let mut fds = [PollFd::new(&bell, PollFlags::IN)];
        assert_eq!(poll(&mut fds, Some(&Timespec::default())).unwrap(), 0);
        kill_process(getpid(), Signal::TERM).unwrap();
        assert_eq!(poll(&mut fds, None).unwrap(), 1);
    }
}
