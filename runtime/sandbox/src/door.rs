//! The door to this process's own open files by a path. A component can be mapped from
//! a path only, and a worker has none: it is given its artifact open, and sees no
//! directory of the machine. So a directory of the kernel's, in which open files stand
//! by number, is kept open from before the jail hides it until the artifact is mapped;
//! no guest runs in between.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};

use crate::here::Here;

/// Where the kernel shows a process what it has open.
const OWN_FILES: &str = "/proc/self/fd";

/// That directory, of the process that opened it.
#[derive(Debug)]
pub(crate) struct Door(OwnedFd);

impl Door {
    /// Nothing where the kernel does not show it.
    pub(crate) fn open() -> Option<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(OWN_FILES, flags, Mode::empty())
            .ok()
            .map(Self)
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// What `open` makes of a path at which `file` is, only while it does.
    pub(crate) fn at_path<T>(self, file: &File, open: impl FnOnce(PathBuf) -> T) -> io::Result<T> {
        let here = Here::keep()?;
        here.go(&self.0)?;
        let opened = open(PathBuf::from(file.as_raw_fd().to_string()));
        here.back()?;
        Ok(opened)
    }
}
