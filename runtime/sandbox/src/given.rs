//! The open files of an attempt as its guest uses them: two logs and its directories.
//! Whoever runs attempts one after another may give them to the next, if the one
//! before has left no trace in them.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, RawDir, ResolveFlags, openat2};

use crate::files::Files;
use crate::logs::Log;
use crate::plan::{Access, Guest};
use crate::pulse::Pulse;

/// Room for what is read of a directory that is expected to be empty.
const ENTRIES_BYTES: usize = 1 << 10;

/// The files of an attempt, and of those after it that may have the same.
#[derive(Debug)]
pub struct Given {
    pub(crate) logs: [Log; 2],
    pub(crate) dirs: Vec<OwnedFd>,
    pub(crate) pulse: Option<Pulse>,
}

impl Given {
    /// What `files` are to `guest`; `speaks` is called when it writes to a log that is
    /// empty, before anything is in the file.
    pub fn new(files: Files, guest: &Guest, speaks: Option<fn()>) -> Self {
        let log = |fd| Log::new(File::from(fd), guest.log_bytes_max, speaks);
        Self {
            logs: [log(files.stdout), log(files.stderr)],
            dirs: files.dirs,
            pulse: None,
        }
    }

    /// The same, and `pulse` is felt in each attempt.
    #[must_use]
    pub fn with_pulse(self, pulse: Option<Pulse>) -> Self {
        Self { pulse, ..self }
    }

    /// Whether nothing was written to the logs, and nothing is in the directories that
    /// `guest` may write to. It is over, and was the only one to have them.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn is_untouched(&self, guest: &Guest) -> io::Result<bool> {
        if !self.logs.iter().all(Log::is_empty) {
            return Ok(false);
        }
        for (seen, dir) in guest.dirs.iter().zip(&self.dirs) {
            if seen.access == Access::Write && !is_empty(dir)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether there is nothing in `dir`.
fn is_empty(dir: &OwnedFd) -> io::Result<bool> {
    // It may be open as a place only, or have been read by the guest to its end.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = openat2(dir, ".", flags, Mode::empty(), ResolveFlags::BENEATH)?;
    let mut buffer = Vec::with_capacity(ENTRIES_BYTES);
    let mut entries = RawDir::new(dir, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let name = entry?.file_name().to_bytes().to_owned();
        if name != b"." && name != b".." {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_empty_or_not_however_it_is_open() {
        let dir = tempfile::tempdir().unwrap();
        for flags in [OFlags::PATH, OFlags::RDONLY] {
            let flags = flags | OFlags::DIRECTORY;
            let open = rustix::fs::open(dir.path(), flags, Mode::empty()).unwrap();
            assert!(is_empty(&open).unwrap());
            std::fs::write(dir.path().join(".hidden"), "").unwrap();
            assert!(!is_empty(&open).unwrap());
            std::fs::remove_file(dir.path().join(".hidden")).unwrap();
        }
    }
}
