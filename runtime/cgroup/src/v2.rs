//! What only the unified hierarchy asks for: controllers handed down level by
//! level, and inner groups free of processes. `cgroups-rs` ignores a refusal
//! here, and limits would then silently not exist; so each level is checked.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cgroups_rs::CgroupPid;

use crate::Version;
use crate::place::{Controller, Place, cause};

/// Where the processes of an inner group go: our own, when a node runs as a
/// delegated service or in a container.
const SUPERVISOR: &str = "supervisor";
/// New processes may appear while others are moved; so many rounds and then it is an error.
const MAX_MOVE_ROUNDS: usize = 8;

/// Why v2 groups above a tree could not be made ready for it.
#[derive(Debug, thiserror::Error)]
pub enum DelegateError {
    /// A group refused to hand controllers to its children.
    #[error("{} does not hand the controllers {controllers} to its children", dir.display())]
    HandDown {
        /// Which, separated by commas.
        controllers: String,
        /// The group.
        dir: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// A group that has to become an inner one holds processes that could not be moved.
    #[error("the processes of {} could not be moved to its group {SUPERVISOR:?}", dir.display())]
    Vacate {
        /// The group.
        dir: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// Which of our controllers are absent from `file` (a list) in `dir`.
pub(crate) fn missing(dir: &Path, file: &str) -> Vec<&'static str> {
    let listed = fs::read_to_string(dir.join(file)).unwrap_or_default();
    Controller::needed(Version::V2)
        .iter()
        .map(|controller| controller.name())
        .filter(|name| !listed.split_whitespace().any(|word| word == *name))
        .collect()
}

/// Hands our controllers to the children of `dir`.
pub(crate) fn hand_down(dir: &Path) -> Result<(), DelegateError> {
    let missing = missing(dir, "cgroup.subtree_control");
    if missing.is_empty() {
        return Ok(());
    }
    let line: Vec<String> = missing.iter().map(|name| format!("+{name}")).collect();
    fs::write(dir.join("cgroup.subtree_control"), line.join(" ")).map_err(|source| {
        DelegateError::HandDown {
            controllers: missing.join(", "),
            dir: dir.to_path_buf(),
            source,
        }
    })
}

/// Moves the processes of `base` one level down, unless it is the root (where
/// they may stay) or it hands its controllers down already.
pub(crate) fn vacate(base: &Path) -> Result<(), DelegateError> {
    let is_root = !base.join("cgroup.type").exists();
    if is_root || missing(base, "cgroup.subtree_control").is_empty() {
        return Ok(());
    }
    let failed = |source| DelegateError::Vacate {
        dir: PathBuf::from(base),
        source,
    };
    let place = Place::v2(base);
    for _ in 0..MAX_MOVE_ROUNDS {
        let inside = place.group("").procs();
        if inside.is_empty() {
            return Ok(());
        }
        place.make_bare(SUPERVISOR).map_err(failed)?;
        let supervisor = place.group(SUPERVISOR);
        for process in inside {
            move_into(&supervisor, process).map_err(failed)?;
        }
    }
    Err(failed(io::ErrorKind::ResourceBusy.into()))
}

fn move_into(supervisor: &cgroups_rs::fs::Cgroup, process: CgroupPid) -> io::Result<()> {
    let moved = supervisor.add_task_by_tgid(process).map_err(cause);
    match moved {
        // It ended meanwhile.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {
            Ok(())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_is_matched_as_a_whole_word() {
        let temp = tempfile::tempdir().unwrap();
        fs::write(
            temp.path().join("cgroup.subtree_control"),
            "cpuset memory\n",
        )
        .unwrap();
        assert_eq!(
            missing(temp.path(), "cgroup.subtree_control"),
            ["cpu", "pids"]
        );
    }

    #[test]
    fn a_refused_controller_is_an_error_that_names_it() {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join("cgroup.subtree_control")).unwrap();
        let error = hand_down(temp.path()).unwrap_err();
        assert!(error.to_string().contains("cpu, memory, pids"), "{error}");
    }
}
