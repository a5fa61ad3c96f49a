//! The open files of an attempt as its guest uses them: two logs and its directories.
//! Whoever runs attempts one after another may give them to the next, if the one
//! before has left no trace in them.

use std::cell::OnceCell;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, RawDir, ResolveFlags, SeekFrom, openat2, seek};
use wasmtime_wasi::filesystem::WasiFilesystemCtx;

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
    /// The directories as the first attempt was let in: places, which those after it
    /// can have as well, for nothing is remembered in them.
    pub(crate) entered: OnceCell<Entered>,
    /// Directories that a guest may write to, open to be looked through; once that was
    /// asked for.
    looked_through: OnceCell<Vec<OwnedFd>>,
}

/// Directories as the engine has them.
pub(crate) struct Entered(pub(crate) WasiFilesystemCtx);

impl std::fmt::Debug for Entered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entered")
    }
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
            entered: OnceCell::new(),
            looked_through: OnceCell::new(),
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
        if self.looked_through.get().is_none() {
            let opened = self.open_to_look(guest)?;
            self.looked_through.get_or_init(|| opened);
        }
        let dirs = self.looked_through.get().into_iter().flatten();
        for dir in dirs {
            if !is_empty(dir)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The directories that `guest` may write to. They may be open as places only, or
    /// have been read by the guest to their ends.
    fn open_to_look(&self, guest: &Guest) -> io::Result<Vec<OwnedFd>> {
        let dirs = guest.dirs.iter().zip(&self.dirs);
        let written = dirs.filter(|(seen, _)| seen.access == Access::Write);
        written.map(|(_, dir)| open_to_read(dir)).collect()
    }
}

fn open_to_read(dir: impl AsFd) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = openat2(dir, ".", flags, Mode::empty(), ResolveFlags::BENEATH)?;
    Ok(opened)
}

/// Whether there is nothing in `dir`, which may have been read before.
fn is_empty(dir: impl AsFd) -> io::Result<bool> {
    seek(&dir, SeekFrom::Start(0))?;
    let mut buffer = [MaybeUninit::uninit(); ENTRIES_BYTES];
    let mut entries = RawDir::new(dir, &mut buffer);
    while let Some(entry) = entries.next() {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_empty_or_not_however_it_is_open_and_however_often_it_is_asked() {
        let dir = tempfile::tempdir().unwrap();
        for flags in [OFlags::PATH, OFlags::RDONLY] {
            let flags = flags | OFlags::DIRECTORY;
            let open = rustix::fs::open(dir.path(), flags, Mode::empty()).unwrap();
            let open = open_to_read(&open).unwrap();
            assert!(is_empty(&open).unwrap());
            std::fs::write(dir.path().join(".hidden"), "").unwrap();
            assert!(!is_empty(&open).unwrap());
            std::fs::remove_file(dir.path().join(".hidden")).unwrap();
            assert!(is_empty(&open).unwrap());
        }
    }
}
