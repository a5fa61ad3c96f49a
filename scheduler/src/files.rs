//! Files beside modules, and scripts, on disk by digest. A file is visible under its
//! digest only when all of it is there, is on the disk and has that digest.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use stint_api::id::Digest;

use crate::unneeded::Gate;

/// Most files: each takes an inode, and a look at the start.
const FILES_MAX: usize = 1_000_000;

/// A file cannot be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    #[error("this scheduler keeps {FILES_MAX} files already, one more is too many")]
    TooMany,
    #[error("cannot use {path}")]
    Io {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
}

/// The directory of files.
#[derive(Debug)]
pub(crate) struct Files {
    directory: PathBuf,
    /// Files that are somebody else's to keep, under the same names.
    library: Option<PathBuf>,
    count: AtomicUsize,
    gate: Gate,
}

/// A file that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    /// Whether it is ours; one of the library may go when its owner wants.
    pub(crate) is_ours: bool,
}

impl Files {
    /// The files below `data_dir`, and those of a library.
    pub(crate) fn open(data_dir: &Path, library: Option<PathBuf>) -> io::Result<Self> {
        let directory = data_dir.join("files");
        fs::create_dir_all(&directory)?;
        File::open(data_dir)?.sync_all()?;
        let count = AtomicUsize::new(fs::read_dir(&directory)?.count());
        Ok(Self {
            directory,
            library,
            count,
            gate: Gate::default(),
        })
    }

    /// The file of that digest, if it is there; it then stays for whoever is about to
    /// name it. Blocks.
    pub(crate) fn find(&self, digest: &Digest) -> io::Result<Option<Found>> {
        let ours = self.directory.join(digest.hex());
        self.gate.touch(&ours)?;
        if let Some(bytes) = size_of(&ours)? {
            return Ok(Some(Found {
                path: ours,
                bytes,
                is_ours: true,
            }));
        }
        let Some(path) = self.library.as_ref().map(|at| at.join(digest.hex())) else {
            return Ok(None);
        };
        Ok(size_of(&path)?.map(|bytes| Found {
            path,
            bytes,
            is_ours: false,
        }))
    }

    /// Keeps what is at `from`, which has that digest and is on the disk. Blocks.
    pub(crate) fn keep(&self, from: &Path, digest: &Digest) -> Result<(), KeepError> {
        let to = self.directory.join(digest.hex());
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |cause| KeepError::Io { path, cause }
        };
        if size_of(&to).map_err(failed(&to))?.is_none() {
            // Two that keep the same one at once count twice; the next start counts anew.
            if self.count.fetch_add(1, Ordering::Relaxed) >= FILES_MAX {
                self.count.fetch_sub(1, Ordering::Relaxed);
                return Err(KeepError::TooMany);
            }
        }
        let held = self.gate.hold();
        fs::rename(from, &to).map_err(failed(&to))?;
        drop(held);
        File::open(&self.directory)
            .and_then(|directory| directory.sync_all())
            .map_err(failed(&self.directory))
    }
}

impl Files {
    /// Removes what is not `needed` and was not touched after `before`; how many. Blocks.
    pub(crate) fn sweep(&self, needed: &BTreeSet<Digest>, before: SystemTime) -> io::Result<usize> {
        let removed = self.gate.sweep((&self.directory, ""), needed, before)?;
        self.count.fetch_sub(removed, Ordering::Relaxed);
        Ok(removed)
    }
}

/// The size of a file, if it is there.
fn size_of(path: &Path) -> io::Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.is_file().then_some(metadata.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_where_it_is_kept_or_in_the_library() {
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join("library");
        fs::create_dir(&library).unwrap();
        let (ours, theirs, none) = (Digest([1; 32]), Digest([2; 32]), Digest([3; 32]));
        fs::write(library.join(theirs.hex()), "two").unwrap();
        for _ in 0..2 {
            let files = Files::open(dir.path(), Some(library.clone())).unwrap();
            let from = dir.path().join("upload");
            fs::write(&from, "1").unwrap();
            files.keep(&from, &ours).unwrap();
            assert!(!from.exists());
            let found = files.find(&ours).unwrap().unwrap();
            assert_eq!((found.bytes, found.is_ours), (1, true));
            let found = files.find(&theirs).unwrap().unwrap();
            assert_eq!((found.bytes, found.is_ours), (3, false));
            assert_eq!(files.find(&none).unwrap(), None);
        }
    }
}
