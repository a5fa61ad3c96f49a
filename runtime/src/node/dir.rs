//! The node's directory: what is where in it, and who it belongs to.
//!
//! ```text
//! node.lock                held by the one node process
//! incarnation              random, made once: an emptied directory is another node
//! cluster                  the cluster that was served last
//! modules/<digest>.wasm    fetched modules
//! files/<digest>           fetched files: of kits, and scripts
//! kits/<digest>/           files of kits, laid out as guests see them
//! inputs/<key>/data        staged input files
//! slots/<attempt>/         in, out, scratch, stdout, stderr of one attempt
//! checkpoints/<grant>/<task>   what an attempt that failed left for the next
//! keeper.sock, spool, …    the keeper's
//! ```

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use stint_api::id::{AttemptId, ClusterId, Incarnation};

/// The node's directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirError {
    /// Something in it cannot be made, read or written.
    #[error("the node's directory: {}", path.display())]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another node process uses it.
    #[error("{}: another node uses this directory; give this one its own", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// A file in it holds something else than it should.
    #[error("{}: not a number; remove the file if the node may join as a new one", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

/// The node's directory, open and locked.
#[derive(Debug)]
pub(crate) struct Dir {
    root: PathBuf,
    /// Holds the lock for as long as the process lives.
    _lock: File,
}

impl Dir {
    /// Makes what is missing, for this user alone, and takes the lock.
    pub(crate) fn open(root: &Path) -> Result<Self, DirError> {
        make(root)?;
        let root = root.canonicalize().map_err(at(root))?;
        let path = root.join("node.lock");
        let lock = File::create(&path).map_err(at(&path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(DirError::Locked { path: root }),
            Err(errno) => return Err(at(&path)(errno.into())),
        }
        let dir = Self { root, _lock: lock };
        for sub in [
            dir.modules(),
            dir.files(),
            dir.kits(),
            dir.inputs(),
            dir.slots(),
            dir.checkpoints(),
        ] {
            make(&sub)?;
        }
        Ok(dir)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn modules(&self) -> PathBuf {
        self.root.join("modules")
    }

    pub(crate) fn files(&self) -> PathBuf {
        self.root.join("files")
    }

    pub(crate) fn kits(&self) -> PathBuf {
        self.root.join("kits")
    }

    pub(crate) fn inputs(&self) -> PathBuf {
        self.root.join("inputs")
    }

    pub(crate) fn slots(&self) -> PathBuf {
        self.root.join("slots")
    }

    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }

    /// The files of an attempt. An attempt's id is a plain file name.
    pub(crate) fn slot(&self, attempt: &AttemptId) -> PathBuf {
        self.slots().join(attempt.to_string())
    }

    /// Which incarnation of its name this node is; drawn when the directory is new.
    pub(crate) fn incarnation(&self) -> Result<Incarnation, DirError> {
        let path = self.root.join("incarnation");
        if let Some(number) = read_number(&path)? {
            return Ok(Incarnation(number));
        }
        let number = random().map_err(at(&path))?;
        write_number(&path, number)?;
        Ok(Incarnation(number))
    }

    /// The cluster that this node served last.
    pub(crate) fn cluster(&self) -> Result<Option<ClusterId>, DirError> {
        let number = read_number(&self.root.join("cluster"))?;
        Ok(number.map(ClusterId))
    }

    /// Remembers the cluster that this node serves.
    pub(crate) fn set_cluster(&self, cluster: ClusterId) -> Result<(), DirError> {
        write_number(&self.root.join("cluster"), cluster.0)
    }
}

/// A number that nobody can guess and nobody else draws.
pub(crate) fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

/// Makes a directory and its parents, for this user alone.
pub(crate) fn make(path: &Path) -> Result<(), DirError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(path).map_err(at(path))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> DirError {
    let path = path.to_owned();
    |source| DirError::Io { path, source }
}

fn read_number(path: &Path) -> Result<Option<u64>, DirError> {
    match fs::read_to_string(path) {
        Ok(text) => match text.trim().parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(DirError::Damaged {
                path: path.to_owned(),
            }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path)(error)),
    }
}

fn write_number(path: &Path, number: u64) -> Result<(), DirError> {
    write_whole(path, format!("{number}\n").as_bytes()).map_err(at(path))
}

/// Writes a file so that it is there whole or not at all, on the disk for good.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_added_extension("new");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_its_incarnation_until_it_is_emptied() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().join("a/node");
        let first = Dir::open(&root).unwrap().incarnation().unwrap();
        assert_eq!(Dir::open(&root).unwrap().incarnation().unwrap(), first);
        fs::remove_dir_all(&root).unwrap();
        assert_ne!(Dir::open(&root).unwrap().incarnation().unwrap(), first);
    }

    #[test]
    fn a_directory_serves_one_node_at_a_time() {
        let temporary = tempfile::tempdir().unwrap();
        let held = Dir::open(temporary.path()).unwrap();
        let second = Dir::open(temporary.path()).unwrap_err();
        assert!(matches!(second, DirError::Locked { .. }), "{second}");
        drop(held);
        Dir::open(temporary.path()).unwrap();
    }

    #[test]
    fn the_cluster_is_remembered_and_damage_is_said() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = Dir::open(temporary.path()).unwrap();
        assert_eq!(dir.cluster().unwrap(), None);
        dir.set_cluster(ClusterId(7)).unwrap();
        assert_eq!(dir.cluster().unwrap(), Some(ClusterId(7)));
        fs::write(dir.root().join("cluster"), "x").unwrap();
        assert!(dir.cluster().unwrap_err().to_string().contains("cluster"));
    }
}
