//! What a dead keeper left in a tree: found in every hierarchy, killed, removed.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::kill::{self, KillError};
use crate::leaf::{self, RemoveFault};
use crate::place::Place;

/// Groups are never nested deeper by us; what is deeper is left to a person.
const MAX_SWEEP_DEPTH: usize = 16;
/// More leftovers than a node can have had slots means something else lives here.
const MAX_SWEEP_GROUPS: usize = 65_536;

/// Why leftovers could not all be removed.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The tree could not be listed.
    #[error("listing the groups in {} failed", dir.display())]
    List {
        /// The directory.
        dir: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// There are more groups, or deeper ones, than a node ever makes.
    #[error("{} holds more groups than a node makes; remove them by hand", dir.display())]
    TooMany {
        /// The directory.
        dir: PathBuf,
    },
    /// A leftover process would not die.
    #[error("a leftover cgroup could not be emptied")]
    Kill(#[from] KillError),
    /// A leftover group would not go.
    #[error("the leftover cgroup {path} could not be removed")]
    Remove {
        /// The group, seen from the tree.
        path: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// Kills and removes everything below `place`; how many groups stood directly in it.
pub(crate) fn sweep(place: &Place) -> Result<u32, SweepError> {
    let paths = list(place)?;
    // Children sort after their parents, so backwards is inside out.
    for path in paths.iter().rev() {
        let (group, place) = (place.group(path), place.below(path));
        kill::kill(&group, &place)?;
        leaf::remove(&group, &place).map_err(|fault| SweepError::Remove {
            path: path.clone(),
            source: match fault {
                RemoveFault::Populated(_) => io::ErrorKind::ResourceBusy.into(),
                RemoveFault::Refused(source) => source,
            },
        })?;
    }
    let leaves = paths.iter().filter(|path| !path.contains('/')).count();
    Ok(u32::try_from(leaves).unwrap_or(u32::MAX))
}

/// Every group below `place`, whichever hierarchies it is in, as seen from there.
pub(crate) fn list(place: &Place) -> Result<BTreeSet<String>, SweepError> {
    let mut paths = BTreeSet::new();
    for dir in place.each_dir() {
        list_below(dir, "", 0, &mut paths)?;
    }
    Ok(paths)
}

/// Adds every group below `dir` to `paths`, as seen from the tree.
fn list_below(
    dir: &Path,
    above: &str,
    depth: usize,
    paths: &mut BTreeSet<String>,
) -> Result<(), SweepError> {
    let failed = |source| SweepError::List {
        dir: dir.to_path_buf(),
        source,
    };
    if depth > MAX_SWEEP_DEPTH || paths.len() > MAX_SWEEP_GROUPS {
        return Err(SweepError::TooMany {
            dir: dir.to_path_buf(),
        });
    }
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed)?,
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if !entry.file_type().map_err(failed)?.is_dir() {
            continue;
        }
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let path = match above {
            "" => name,
            above => format!("{above}/{name}"),
        };
        list_below(&entry.path(), &path, depth + 1, paths)?;
        paths.insert(path);
    }
    Ok(())
}
