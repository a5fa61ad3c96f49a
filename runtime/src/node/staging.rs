//! Inputs: from a URL to a file or directory that a guest may read.
//!
//! A file is linked (or, across disks, copied) into a cache that is keyed by
//! what identifies its content, so that a job with many tasks stages it once
//! and a file replaced meanwhile is not mixed up with its successor. A
//! directory is shown as it is. On a node of root's a job runs as a user of its own,
//! who must be able to read what it is given.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, linkat, openat2};
use rustix::process::geteuid;
use sha2::{Digest as _, Sha256};
use stint_api::job::Input;
use stint_api::outcome::Outcome;
use url::Url;

use super::cache;
use super::explain::explain;

/// Most bytes of staged files: what a data set of a few jobs takes.
const CACHE_BYTES_MAX: u64 = 64 << 30;

/// An input at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Staged {
    /// A file in the cache.
    File {
        /// Its name under `/in`.
        name: String,
        /// Where it is.
        path: PathBuf,
    },
    /// A directory, where it always was.
    Directory {
        /// Its name under `/in`.
        name: String,
        /// Where it is.
        path: PathBuf,
    },
}

/// An input cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StageError {
    #[error("not a file:// URL of an absolute path on this machine")]
    Url,
    #[error(
        "not beneath a directory that this node gives to jobs; start the node with --allow-inputs DIR"
    )]
    NotAllowed,
    #[error("cannot open {}", path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("neither a file nor a directory")]
    Kind,
    #[error(
        "the directory is kept from others, and its job would run as a user of its own; let others enter and read it: chmod o+rx"
    )]
    Private,
    #[error("cannot copy it to {}", path.display())]
    Copy {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// What others may do, in the mode of a file or directory: read; read and enter.
const READ: u32 = 0o004;
const READ_AND_ENTER: u32 = 0o005;
/// The mode of a copy.
const READ_ONLY: u32 = 0o444;

/// Stages inputs into the cache at `cache`.
#[derive(Debug)]
pub(crate) struct Staging {
    cache: PathBuf,
    /// Inputs must lie beneath one of these.
    allowed: Vec<PathBuf>,
}

impl Staging {
    pub(crate) const fn new(cache: PathBuf, allowed: Vec<PathBuf>) -> Self {
        Self { cache, allowed }
    }

    /// Stages every input of a grant. Blocks on the disk.
    pub(crate) fn stage_all(&self, inputs: &[Input]) -> Result<Vec<Staged>, Outcome> {
        let staged = inputs.iter().map(|input| {
            self.stage(input)
                .map_err(|error| Outcome::InputUnavailable {
                    which: format!("`{}` ({}): {}", input.name, input.url, explain(&error)),
                })
        });
        staged.collect()
    }

    fn stage(&self, input: &Input) -> Result<Staged, StageError> {
        let path = path_of(&input.url).ok_or(StageError::Url)?;
        let path = path.canonicalize().map_err(|source| StageError::Open {
            path: path.clone(),
            source,
        })?;
        let file = File::from(open_beneath(&self.allowed, &path)?);
        let metadata = file.metadata().map_err(|source| StageError::Open {
            path: path.clone(),
            source,
        })?;
        let name = input.name.clone();
        if metadata.is_dir() {
            if !is_open_to_jobs(&metadata, READ_AND_ENTER) {
                return Err(StageError::Private);
            }
            return Ok(Staged::Directory { name, path });
        }
        if !metadata.is_file() {
            return Err(StageError::Kind);
        }
        let entry = self.cache.join(key(&path, &metadata));
        let staged = entry.join("data");
        let copy = || {
            if staged.exists() {
                return cache::touch(&entry);
            }
            fs::create_dir_all(&entry)?;
            link_or_copy(&file, &staged)?;
            cache::trim(&self.cache, CACHE_BYTES_MAX, &entry)
        };
        copy().map_err(|source| StageError::Copy {
            path: staged.clone(),
            source,
        })?;
        Ok(Staged::File { name, path: staged })
    }
}

/// The path that a `file://` URL names.
pub(crate) fn path_of(url: &str) -> Option<PathBuf> {
    let url = Url::parse(url).ok()?;
    if url.scheme() != "file" || url.host().is_some() {
        return None;
    }
    url.to_file_path().ok()
}

/// Opens `path`, which is canonical, without leaving the allowed directory it is
/// beneath: a symbolic link put there meanwhile is not followed.
fn open_beneath(allowed: &[PathBuf], path: &Path) -> Result<OwnedFd, StageError> {
    let open_error = |errno: rustix::io::Errno| StageError::Open {
        path: path.to_owned(),
        source: errno.into(),
    };
    let beneath = allowed.iter().find_map(|root| {
        let root = root.canonicalize().ok()?;
        let rest = path.strip_prefix(&root).ok()?.to_owned();
        Some((root, rest))
    });
    let (root, rest) = beneath.ok_or(StageError::NotAllowed)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let root =
        rustix::fs::open(&root, flags | OFlags::DIRECTORY, Mode::empty()).map_err(open_error)?;
    let rest = if rest.as_os_str().is_empty() {
        Path::new(".")
    } else {
        &rest
    };
    // Without NONBLOCK a pipe put there would be waited for.
    let flags = flags | OFlags::NONBLOCK;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    openat2(&root, rest, flags, Mode::empty(), resolve).map_err(open_error)
}

/// Names a content: a file that was written or replaced since has another name.
fn key(path: &Path, metadata: &fs::Metadata) -> String {
    let mut hash = Sha256::new();
    hash.update(path.as_os_str().as_encoded_bytes());
    for part in [metadata.dev(), metadata.ino(), metadata.len()] {
        hash.update(part.to_le_bytes());
    }
    for part in [metadata.mtime(), metadata.mtime_nsec()] {
        hash.update(part.to_le_bytes());
    }
    stint_api::id::Digest(hash.finalize().into()).hex()
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
    let temporary = to.with_added_extension(format!("{}.new", super::dir::random()?));
    let copied = fs::copy(&from, &temporary)
        .and_then(|_| fs::set_permissions(&temporary, fs::Permissions::from_mode(READ_ONLY)))
        .and_then(|()| fs::rename(&temporary, to));
    copied.inspect_err(|_| drop(fs::remove_file(&temporary)))
}

/// Whether a job may do what `mode` says: as a user of its own, where the node is
/// root's and can give it one, else as the user that the node is.
fn is_open_to_jobs(metadata: &fs::Metadata, mode: u32) -> bool {
    !geteuid().is_root() || metadata.mode() & mode == mode
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Site {
        _root: tempfile::TempDir,
        data: PathBuf,
        staging: Staging,
    }

    fn site() -> Site {
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("data");
        let cache = root.path().join("cache");
        fs::create_dir_all(&data).unwrap();
        fs::create_dir_all(&cache).unwrap();
        let staging = Staging::new(cache, vec![data.clone()]);
        Site {
            _root: root,
            data,
            staging,
        }
    }

    fn stage(site: &Site, path: &Path) -> Result<Staged, Outcome> {
        let input = Input {
            name: "flights".into(),
            url: format!("file://{}", path.display()),
        };
        site.staging
            .stage_all(&[input])
            .map(|mut all| all.remove(0))
    }

    fn read(staged: &Staged) -> String {
        let Staged::File { path, .. } = staged else {
            panic!("not a file");
        };
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_file_is_staged_once_and_anew_when_it_was_replaced() {
        let site = site();
        let path = site.data.join("a b.csv");
        fs::write(&path, "one").unwrap();
        let url = Url::from_file_path(&path).unwrap();
        let input = Input {
            name: "a".into(),
            url: url.to_string(),
        };
        let all = || {
            site.staging
                .stage_all(std::slice::from_ref(&input))
                .unwrap()
        };
        let first = all();
        assert_eq!(all(), first);
        fs::write(site.data.join("new"), "two").unwrap();
        fs::rename(site.data.join("new"), &path).unwrap();
        assert_eq!(read(&all()[0]), "two");
        assert_eq!(read(&first[0]), "one");
    }

    #[test]
    fn a_file_that_is_kept_from_others_is_copied_for_its_job() {
        let site = site();
        let path = site.data.join("private");
        fs::write(&path, "one").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let Staged::File { path: staged, .. } = stage(&site, &path).unwrap() else {
            panic!("not a file");
        };
        let shared = fs::metadata(&staged).unwrap().ino() == fs::metadata(&path).unwrap().ino();
        assert_eq!(shared, !geteuid().is_root());
        assert_eq!(fs::read_to_string(&staged).unwrap(), "one");
        fs::set_permissions(&site.data, fs::Permissions::from_mode(0o700)).unwrap();
        let dir = stage(&site, &site.data);
        assert_eq!(dir.is_err(), geteuid().is_root(), "{dir:?}");
    }

    #[test]
    fn a_directory_is_shown_as_it_is() {
        let site = site();
        let staged = stage(&site, &site.data).unwrap();
        let path = site.data.canonicalize().unwrap();
        let name = "flights".to_owned();
        assert_eq!(staged, Staged::Directory { name, path });
    }

    #[test]
    fn what_is_not_beneath_an_allowed_directory_is_refused_and_the_flag_named() {
        let site = site();
        std::os::unix::fs::symlink("/etc/passwd", site.data.join("link")).unwrap();
        for path in ["/etc/passwd".into(), site.data.join("link")] {
            let refused = stage(&site, &path).unwrap_err().to_string();
            assert!(refused.contains("--allow-inputs"), "{refused}");
        }
    }

    #[test]
    fn an_input_that_is_not_there_or_not_a_file_is_named() {
        let site = site();
        let missing = stage(&site, &site.data.join("x")).unwrap_err().to_string();
        assert!(missing.contains("`flights`") && missing.contains("No such file"));
        let device = Staging::new(site.staging.cache.clone(), vec!["/dev".into()]);
        let input = Input {
            name: "n".into(),
            url: "file:///dev/null".into(),
        };
        let refused = device.stage_all(&[input]).unwrap_err().to_string();
        assert!(
            refused.contains("neither a file nor a directory"),
            "{refused}"
        );
    }
}
