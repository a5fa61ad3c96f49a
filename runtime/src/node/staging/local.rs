//! Files and directories of this machine, below what its operator allows.

use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, linkat};
use rustix::process::geteuid;
use sha2::{Digest as _, Sha256};
use stint_api::id::Digest;
use stint_objects::{Reach, open_beneath, version_of};

use super::{DATA, StageError, Staged, copy_error, is_at_hand, key, key_of, trim};
use crate::node::cache;
use crate::node::dir::random;

/// What others may do, in the mode of a file or directory: read; read and enter.
const READ: u32 = 0o004;
const READ_AND_ENTER: u32 = 0o005;
/// The mode of a copy.
pub(super) const READ_ONLY: u32 = 0o444;
/// Bytes that are read at once to be digested.
const CHUNK_BYTES: usize = 256 << 10;

/// Where files are staged, and who may hold them.
pub(super) struct Site {
    pub(super) cache: PathBuf,
    pub(super) slots: PathBuf,
}

impl Site {
    /// Stages what is at `path`. Blocks on the disk.
    pub(super) fn stage(
        &self,
        reach: &Reach,
        name: String,
        path: &Path,
        wanted: Option<Digest>,
    ) -> Result<Staged, StageError> {
        let (file, path) = open_beneath(reach, path)?;
        let metadata = file.metadata().map_err(copy_error(&path))?;
        if metadata.is_dir() {
            if wanted.is_some() {
                return Err(StageError::PinnedDirectory);
            }
            if !is_open_to_jobs(&metadata, READ_AND_ENTER) {
                return Err(StageError::Private);
            }
            return Ok(Staged::Directory {
                name,
                path,
                is_cached: false,
            });
        }
        if !metadata.is_file() {
            return Err(StageError::Kind);
        }
        let own = [metadata.dev().to_le_bytes(), metadata.ino().to_le_bytes()].concat();
        let version = version_of(&metadata);
        let entry = self.cache.join(match &wanted {
            Some(digest) => key_of(digest),
            None => key(&[
                path.as_os_str().as_encoded_bytes(),
                version.as_bytes(),
                &own,
            ]),
        });
        let staged = entry.join(DATA);
        if is_at_hand(&entry) {
            return Ok(Staged::File { name, path: staged });
        }
        match &wanted {
            // A link would change with its source; what is pinned does not.
            Some(wanted) => self.copy_pinned(file, wanted, &entry)?,
            None => {
                let link = || {
                    fs::create_dir_all(&entry)?;
                    link_or_copy(&file, &staged)
                };
                link().map_err(copy_error(&staged))?;
            }
        }
        trim(&self.cache, &self.slots, &entry).map_err(copy_error(&staged))?;
        Ok(Staged::File { name, path: staged })
    }

    fn copy_pinned(&self, mut file: File, wanted: &Digest, entry: &Path) -> Result<(), StageError> {
        let number = random().map_err(copy_error(entry))?;
        let unfinished = self
            .cache
            .join(format!("{}{number:016x}", super::UNFINISHED));
        let copied = copy_digested(&mut file, &unfinished).map_err(copy_error(&unfinished));
        let kept = copied.and_then(|found| match found == *wanted {
            true => keep(&unfinished, entry).map_err(copy_error(entry)),
            false => {
                let wanted = *wanted;
                Err(StageError::Digest { wanted, found })
            }
        });
        kept.inspect_err(|_| drop(fs::remove_file(&unfinished)))
    }
}

/// Copies a file and tells the digest of what was copied.
fn copy_digested(file: &mut File, to: &Path) -> io::Result<Digest> {
    let mut sha256 = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut copy = File::create_new(to)?;
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            copy.set_permissions(Permissions::from_mode(READ_ONLY))?;
            return Ok(Digest(sha256.finalize().into()));
        }
        sha256.update(&chunk[..read]);
        copy.write_all(&chunk[..read])?;
    }
}

/// Gives a file or directory that is whole its place in the cache. Somebody else may have
/// made the same meanwhile, which is as good.
pub(super) fn keep(unfinished: &Path, entry: &Path) -> io::Result<()> {
    let data = entry.join(DATA);
    fs::create_dir_all(entry)?;
    if data.exists() {
        cache::touch(entry)?;
        return cache::remove(&unfinished.to_owned());
    }
    fs::rename(unfinished, &data)
}

/// Puts a file's content at `to`, whole or not at all, so that a job can read it: by
/// a link, where the disk allows that and the file is not kept from others.
pub(crate) fn link_or_copy(file: &File, to: &Path) -> io::Result<()> {
    let from = format!("/proc/self/fd/{}", file.as_raw_fd());
    if is_open_to_jobs(&file.metadata()?, READ) {
        match linkat(CWD, &from, CWD, to, AtFlags::SYMLINK_FOLLOW) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => return Ok(()),
            Err(_) => {}
        }
    }
    let temporary = to.with_added_extension(format!("{}.new", random()?));
    let copied = fs::copy(&from, &temporary)
        .and_then(|_| fs::set_permissions(&temporary, Permissions::from_mode(READ_ONLY)))
        .and_then(|()| fs::rename(&temporary, to));
    copied.inspect_err(|_| drop(fs::remove_file(&temporary)))
}

/// Whether a job may do what `mode` says: as a user of its own, where the node is
/// root's and can give it one, else as the user that the node is.
fn is_open_to_jobs(metadata: &fs::Metadata, mode: u32) -> bool {
    !geteuid().is_root() || metadata.mode() & mode == mode
}
