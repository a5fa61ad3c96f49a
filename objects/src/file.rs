//! Files of this machine: opened without leaving the directories that the operator
//! allowed, and listed.

use std::fs::{self, File, Metadata};
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use crate::error::ObjectError;
use crate::objects::{Listed, OBJECTS_MAX};
use crate::reach::Reach;
use crate::selection::Pattern;

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// Opens `path` without leaving the allowed directory it is beneath: a symbolic link put
/// there meanwhile is not followed. The file, and its path without links. Blocks.
///
/// # Errors
/// It is not there, may not be opened, or is beneath no allowed directory.
pub fn open_beneath(reach: &Reach, path: &Path) -> Result<(File, PathBuf), ObjectError> {
    let failed = |source| ObjectError::Io {
        doing: "open",
        path: path.to_owned(),
        source,
    };
    let real = path.canonicalize().map_err(failed)?;
    let beneath = reach.dirs().iter().find_map(|root| {
        let root = root.canonicalize().ok()?;
        let rest = real.strip_prefix(&root).ok()?.to_owned();
        Some((root, rest))
    });
    let (root, rest) = beneath.ok_or_else(|| reach.refuse_path(&real))?;
    let open = || -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let root = rustix::fs::open(&root, flags | OFlags::DIRECTORY, Mode::empty())?;
        let rest = match rest.as_os_str().is_empty() {
            true => Path::new("."),
            false => &rest,
        };
        // Without NONBLOCK a pipe put there would be waited for.
        let flags = flags | OFlags::NONBLOCK;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        openat2(&root, rest, flags, Mode::empty(), resolve)
    };
    let file = open().map_err(|errno| failed(errno.into()))?;
    Ok((File::from(file), real))
}

/// Names the content of a file as far as its metadata tell: one that was written or
/// replaced since has another size or another time.
pub fn version_of(metadata: &Metadata) -> String {
    format!(
        "{}-{}.{:09}",
        metadata.len(),
        metadata.mtime(),
        metadata.mtime_nsec()
    )
}

/// The files below `base` that match, by name. Links and what is neither a file nor a
/// directory are passed over, as is what is hidden. Blocks.
pub(crate) fn list(
    reach: &Reach,
    base: &Path,
    pattern: Option<&Pattern>,
) -> Result<Vec<Listed>, ObjectError> {
    let (file, base) = open_beneath(reach, base)?;
    let metadata = file.metadata().map_err(|source| ObjectError::Io {
        doing: "open",
        path: base.clone(),
        source,
    })?;
    if metadata.is_file() && pattern.is_none() {
        let name = base.file_name().unwrap_or_default();
        return Ok(vec![Listed {
            url: crate::Location::File(base.clone()).to_string(),
            name: name.to_string_lossy().into_owned(),
            bytes: metadata.len(),
            version: Some(version_of(&metadata)),
        }]);
    }
    let mut found = Vec::new();
    let mut seen = 0;
    let mut rest = vec![String::new()];
    while let Some(dir) = rest.pop() {
        let path = base.join(&dir);
        let failed = |source| ObjectError::Io {
            doing: "list",
            path: path.clone(),
            source,
        };
        for entry in fs::read_dir(&path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            seen += 1;
            if seen > OBJECTS_MAX {
                return Err(ObjectError::TooMany(OBJECTS_MAX));
            }
            let Some(name) = entry
                .file_name()
                .to_str()
                .map(|name| format!("{dir}{name}"))
            else {
                continue;
            };
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() && pattern.is_none_or(|pattern| pattern.may_be_below(&name)) {
                rest.push(format!("{name}/"));
            } else if kind.is_file() && crate::selection::matches(pattern, &name) {
                let metadata = entry.metadata().map_err(failed)?;
                found.push(Listed {
                    url: crate::Location::File(base.join(&name)).to_string(),
                    name,
                    bytes: metadata.len(),
                    version: Some(version_of(&metadata)),
                });
            }
        }
    }
    Ok(found)
}

/// Passes all bytes of a file to `take`. Blocks.
pub(crate) fn read(
    reach: &Reach,
    path: &Path,
    mut take: impl FnMut(&[u8]),
) -> Result<(), ObjectError> {
    let (mut file, path) = open_beneath(reach, path)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = file.read(&mut chunk).map_err(|source| ObjectError::Io {
            doing: "read",
            path: path.clone(),
            source,
        })?;
        if read == 0 {
            return Ok(());
        }
        take(&chunk[..read]);
    }
}
