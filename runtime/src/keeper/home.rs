//! The keeper's part of the node's directory: one keeper holds its lock, listens
//! on its socket, and has its spool.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::launch::SOCKET;
use super::spool::{Spool, SpoolError};

/// Held by the one keeper. Not the socket itself, which a killed keeper leaves behind.
const LOCK: &str = "keeper.lock";
/// The spool's directory.
const SPOOL: &str = "spool";

/// The directory cannot be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HomeError {
    /// Something in it cannot be opened or made.
    #[error("{}", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Another keeper is there.
    #[error("{}: another keeper holds this directory", dir.display())]
    Held {
        /// The directory.
        dir: PathBuf,
    },
    /// The spool cannot be read.
    #[error("the spool")]
    Spool(#[from] SpoolError),
}

/// A node's directory, held by this keeper until it is dropped.
#[derive(Debug)]
pub(crate) struct Home {
    dir: PathBuf,
    handle: File,
    _lock: File,
}

impl Home {
    /// Takes the directory, which exists.
    pub(crate) fn take(dir: &Path) -> Result<Self, HomeError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            |source| HomeError::Io { path, source }
        };
        let handle = File::open(dir).map_err(at(dir))?;
        let path = dir.join(LOCK);
        let lock = File::create(&path).map_err(at(&path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(HomeError::Held {
                    dir: dir.to_owned(),
                });
            }
            Err(errno) => return Err(at(&path)(errno.into())),
        }
        Ok(Self {
            dir: dir.to_owned(),
            handle,
            _lock: lock,
        })
    }

    /// Where it is.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What earlier keepers left for the node.
    pub(crate) fn spool(&self) -> Result<Spool, HomeError> {
        Ok(Spool::open(self.dir.join(SPOOL))?)
    }

    /// Listens, in place of a keeper that is dead.
    pub(crate) fn listen(&self) -> Result<UnixListener, HomeError> {
        let listen = || {
            self.silence()?;
            // Through the open directory: an address is at most 108 bytes long.
            let handle = self.handle.as_raw_fd();
            let listener = UnixListener::bind(format!("/proc/self/fd/{handle}/{SOCKET}"))?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        listen().map_err(|source| HomeError::Io {
            path: self.dir.join(SOCKET),
            source,
        })
    }

    /// Lets nobody find this keeper any more: whoever looks then starts the next.
    pub(crate) fn silence(&self) -> io::Result<()> {
        match fs::remove_file(self.dir.join(SOCKET)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_directory_has_one_keeper_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = Home::take(dir.path()).unwrap();
        let second = Home::take(dir.path()).unwrap_err();
        assert!(matches!(second, HomeError::Held { .. }), "{second}");
        drop(first);
        Home::take(dir.path()).unwrap();
    }

    #[test]
    fn the_socket_of_a_dead_keeper_is_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::take(dir.path()).unwrap();
        drop(home.listen().unwrap());
        let listener = home.listen().unwrap();
        UnixStream::connect(dir.path().join(SOCKET)).unwrap();
        listener.accept().unwrap();
        home.silence().unwrap();
        home.silence().unwrap();
        assert!(UnixStream::connect(dir.path().join(SOCKET)).is_err());
    }
}
