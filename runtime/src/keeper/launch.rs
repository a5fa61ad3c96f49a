//! Starts a keeper: the same binary again, with nothing of the node's
//! environment, before it has any thread.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::options::Options;

/// The socket in the node's directory.
pub(crate) const SOCKET: &str = "keeper.sock";
/// What the last keeper wrote about itself.
const LOG: &str = "keeper.log";
/// A variable by which tests find what they have started: the one that goes on from
/// a keeper to its children.
pub(crate) const MARK: &str = "STINT_TEST_SITE";
/// Variables that a keeper takes over: how much it writes, and the mark.
const ENVIRONMENT: [&str; 3] = ["RUST_LOG", "RUST_BACKTRACE", MARK];

/// A keeper could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The node's directory cannot be made or opened.
    #[error("the node's directory {}", dir.display())]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The keeper's log cannot be written.
    #[error("write {}", log.display())]
    Log {
        /// The file.
        log: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The binary cannot be started.
    #[error("start a keeper from {}", exe.display())]
    Spawn {
        /// The binary.
        exe: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// A node's directory, made, absolute and held open.
#[derive(Debug)]
pub(crate) struct Site {
    options: Options,
    handle: File,
}

impl Site {
    /// Makes the directory where it is missing, for this user alone.
    pub(crate) fn open(options: &Options) -> Result<Self, LaunchError> {
        let open = || {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&options.dir)?;
            let dir = options.dir.canonicalize()?;
            Ok((File::open(&dir)?, dir))
        };
        let (handle, dir) = open().map_err(|source| LaunchError::Directory {
            dir: options.dir.clone(),
            source,
        })?;
        Ok(Self {
            options: Options {
                dir,
                ..options.clone()
            },
            handle,
        })
    }

    /// The socket's path, through the open directory: the address of a Unix
    /// socket is at most 108 bytes long, a directory's path is not.
    pub(crate) fn socket(&self) -> PathBuf {
        format!("/proc/self/fd/{}/{SOCKET}", self.handle.as_raw_fd()).into()
    }

    /// What the last keeper wrote about itself.
    pub(crate) fn log(&self) -> PathBuf {
        self.options.dir.join(LOG)
    }

    /// Starts a keeper and waits until it listens or has gone again: it
    /// closes its standard output either way.
    pub(crate) async fn launch(&self, exe: &Path) -> Result<(), LaunchError> {
        let log = self.log();
        let diagnostics = empty(&log).map_err(|source| LaunchError::Log { log, source })?;
        let mut child = Command::new(exe)
            .arg(crate::KEEPER_VERB)
            .args(self.options.to_args())
            .env_clear()
            .envs(ENVIRONMENT.iter().filter_map(|name| {
                let value = std::env::var_os(name)?;
                Some((name, value))
            }))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(diagnostics)
            .spawn()
            .map_err(|source| LaunchError::Spawn {
                exe: exe.to_owned(),
                source,
            })?;
        if let Some(mut ready) = child.stdout.take() {
            let mut nothing = [0; 1];
            if let Err(error) = ready.read(&mut nothing).await {
                tracing::debug!(%error, "the keeper's readiness cannot be read");
            }
        }
        // The node is its parent until the node goes, so it must be waited for.
        tokio::spawn(async move {
            match child.wait().await {
                Ok(status) => tracing::debug!(%status, "the keeper ended"),
                Err(error) => tracing::warn!(%error, "the keeper cannot be waited for"),
            }
        });
        Ok(())
    }
}

/// Empties the log. Who writes appends: a keeper that finds another in its place
/// must not write into the middle of that one's words.
fn empty(log: &Path) -> io::Result<File> {
    let file = File::options().create(true).append(true).open(log)?;
    file.set_len(0)?;
    Ok(file)
}
