//! The open files of one attempt. Whoever knows the machine's paths opens them; a
//! worker gets descriptors and has no use for a path.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use crate::plan::{Dir, Plan};

/// Descriptors before those of the directories: the two logs.
const LOGS: usize = 2;

/// A file of an attempt cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("{what} {} cannot be opened: {source}", path.display())]
pub struct OpenError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError { what, path, source }
}

/// What an attempt writes and sees, open.
#[derive(Debug)]
pub struct Files {
    /// Where its standard output goes.
    pub stdout: OwnedFd,
    /// Where its standard error goes.
    pub stderr: OwnedFd,
    /// Its directories, in the plan's order.
    pub dirs: Vec<OwnedFd>,
}

impl Files {
    /// Opens the logs and directories of `plan`; logs are made where they are missing.
    ///
    /// # Errors
    /// The first that cannot be opened.
    pub fn open(plan: &Plan) -> Result<Self, OpenError> {
        Self::open_with(plan, |dir| File::open(&dir.host).map(OwnedFd::from))
    }

    /// The same, with each directory opened by `open_dir`.
    ///
    /// # Errors
    /// The first that cannot be opened.
    pub fn open_with(
        plan: &Plan,
        open_dir: impl Fn(&Dir) -> io::Result<OwnedFd>,
    ) -> Result<Self, OpenError> {
        let log = |path: &Path| {
            // Not to append: the end of a log that is too long is written over.
            let opened = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(path);
            opened.map(OwnedFd::from).map_err(failed("the log", path))
        };
        let dirs = plan
            .dirs
            .iter()
            .map(|dir| open_dir(dir).map_err(failed("the directory", &dir.host)));
        Ok(Self {
            stdout: log(&plan.stdout)?,
            stderr: log(&plan.stderr)?,
            dirs: dirs.collect::<Result<_, _>>()?,
        })
    }

    /// Opens the artifact of `plan`.
    ///
    /// # Errors
    /// It cannot be.
    pub fn artifact(plan: &Plan) -> Result<File, OpenError> {
        File::open(&plan.artifact).map_err(failed("the artifact", &plan.artifact))
    }

    /// All of them in the order that [`Files::from_fds`] takes.
    pub fn fds(&self) -> Vec<BorrowedFd<'_>> {
        let logs = [self.stdout.as_fd(), self.stderr.as_fd()];
        let dirs = self.dirs.iter().map(|dir| dir.as_fd());
        logs.into_iter().chain(dirs).collect()
    }

    /// What was sent as [`Files::fds`]; nothing if there are not `dirs` directories.
    pub fn from_fds(fds: impl IntoIterator<Item = OwnedFd>, dirs: usize) -> Option<Self> {
        let mut fds = fds.into_iter();
        let files = Self {
            stdout: fds.next()?,
            stderr: fds.next()?,
            dirs: fds.collect(),
        };
        (files.dirs.len() == dirs).then_some(files)
    }
}

/// How many descriptors an attempt has that sees `dirs` directories.
pub const fn fds_of(dirs: usize) -> usize {
    LOGS + dirs
}
