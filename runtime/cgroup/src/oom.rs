//! Being told at once that the kernel kills for memory. `cgroups-rs` starts a
//! thread for this on v1 and opens the wrong file on v2, so it is written here:
//! a file descriptor that a poll loop can wait on, and no thread.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::event::EventfdFlags;
use rustix::fs::inotify;

use crate::Version;
use crate::place::{Controller, Place};

/// Reads until the descriptor is empty end here even if events keep coming.
const MAX_DRAIN_READS: usize = 64;
/// Several inotify events (16 bytes each, no names), or one count of an eventfd.
const DRAIN_BYTES: usize = 512;

/// Becomes readable when the group ran out of memory.
#[derive(Debug)]
pub(crate) struct OomEvents {
    fd: OwnedFd,
}

impl OomEvents {
    /// Registers with the group at `place`. On v2 the watched file also changes
    /// when the limit was only touched, so the count has to be looked at.
    pub(crate) fn register(place: &Place) -> io::Result<OomEvents> {
        let dir = place.dir(Controller::Memory);
        let fd = match place.version {
            Version::V1 => {
                let fd = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
                let control = File::open(dir.join("memory.oom_control"))?;
                let line = format!("{} {}", fd.as_raw_fd(), control.as_raw_fd());
                fs::write(dir.join("cgroup.event_control"), line)?;
                fd
            }
            Version::V2 => {
                let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
                let fd = inotify::init(flags)?;
                let events = dir.join("memory.events");
                inotify::add_watch(&fd, events, inotify::WatchFlags::MODIFY)?;
                fd
            }
        };
        Ok(OomEvents { fd })
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Takes what has arrived, so that the descriptor can become readable again.
    pub(crate) fn clear(&self) {
        let mut buffer = [0_u8; DRAIN_BYTES];
        for _ in 0..MAX_DRAIN_READS {
            if !matches!(rustix::io::read(&self.fd, &mut buffer[..]), Ok(n) if n > 0) {
                break;
            }
        }
    }
}
