//! A place in the hierarchy: for each controller the directory that stands there.
//! On v1 these differ; on v2 they are one. `cgroups-rs` is given exactly these
//! through its `Hierarchy`, so it never touches a controller that is not ours.

use std::io;
use std::path::{Path, PathBuf};

use cgroups_rs::fs::cpu::CpuController;
use cgroups_rs::fs::cpuacct::CpuAcctController;
use cgroups_rs::fs::memory::MemController;
use cgroups_rs::fs::pid::PidController;
use cgroups_rs::fs::{Cgroup, Hierarchy, Subsystem};

use crate::Version;

/// A controller that holds or counts something for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Controller {
    Cpu,
    CpuAcct,
    Memory,
    Pids,
}

impl Controller {
    /// What the kernel calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Controller::Cpu => "cpu",
            Controller::CpuAcct => "cpuacct",
            Controller::Memory => "memory",
            Controller::Pids => "pids",
        }
    }

    /// What a version needs; v2 counts CPU time in `cpu` itself.
    pub(crate) fn needed(version: Version) -> &'static [Controller] {
        match version {
            Version::V1 => &[
                Controller::Cpu,
                Controller::CpuAcct,
                Controller::Memory,
                Controller::Pids,
            ],
            Version::V2 => &[Controller::Cpu, Controller::Memory, Controller::Pids],
        }
    }
}

/// One group's directory for each controller.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) version: Version,
    dirs: Vec<(Controller, PathBuf)>,
}

impl Place {
    /// On v1, one directory for each needed controller.
    pub(crate) fn v1(dirs: Vec<(Controller, PathBuf)>) -> Place {
        Place {
            version: Version::V1,
            dirs,
        }
    }

    /// On v2, one directory for all of them.
    pub(crate) fn v2(dir: &Path) -> Place {
        let dirs = Controller::needed(Version::V2)
            .iter()
            .map(|c| (*c, dir.to_path_buf()))
            .collect();
        Place {
            version: Version::V2,
            dirs,
        }
    }

    /// The place `path` below this one.
    pub(crate) fn below(&self, path: &str) -> Place {
        Place {
            version: self.version,
            dirs: self.dirs.iter().map(|(c, d)| (*c, d.join(path))).collect(),
        }
    }

    /// Where `controller` has its files; the first directory if it has none of
    /// its own (v2 has no `cpuacct`).
    pub(crate) fn dir(&self, controller: Controller) -> &Path {
        let own = self.dirs.iter().find(|(c, _)| *c == controller);
        own.or_else(|| self.dirs.first())
            .map_or_else(|| Path::new(""), |(_, dir)| dir.as_path())
    }

    /// Every directory once (v1 may mount two controllers together).
    pub(crate) fn each_dir(&self) -> Vec<&Path> {
        let mut dirs: Vec<&Path> = self.dirs.iter().map(|(_, d)| d.as_path()).collect();
        dirs.sort_unstable();
        dirs.dedup();
        dirs
    }

    fn controller_names(&self) -> Vec<String> {
        self.dirs.iter().map(|(c, _)| c.name().to_owned()).collect()
    }

    /// A handle to the group `path` below this place, whether it exists or not.
    pub(crate) fn group(&self, path: &str) -> Cgroup {
        Cgroup::load_with_specified_controllers(
            Box::new(self.clone()),
            path,
            self.controller_names(),
        )
    }

    /// Makes the group `path` below this place, with our controllers only. If
    /// one of its directories cannot be made, none of them stays.
    pub(crate) fn make(&self, path: &str) -> io::Result<Cgroup> {
        let group = self.group(path);
        let was_there = group.exists();
        match group.create() {
            Ok(()) => Ok(group),
            Err(error) => {
                let cause = cause(error);
                // What stood there before may hold leaves, and stays.
                if was_there {
                    return Err(cause);
                }
                if let Err(error) = group.delete() {
                    tracing::warn!(path, %error, "a half-made cgroup could not be removed");
                }
                Err(cause)
            }
        }
    }
}

impl Place {
    /// Makes the v2 group `path` without handing it any controller. A group that
    /// holds processes must not be asked to: it would take those that also work on
    /// threads, and its children could then hold no process at all.
    pub(crate) fn make_bare(&self, path: &str) -> io::Result<()> {
        Cgroup::load_with_specified_controllers(Box::new(self.clone()), path, Vec::new())
            .create()
            .map_err(cause)
    }
}

impl Hierarchy for Place {
    fn subsystems(&self) -> Vec<Subsystem> {
        let v2 = self.version == Version::V2;
        let base = PathBuf::new;
        self.dirs
            .iter()
            .map(|(controller, dir)| match controller {
                Controller::Cpu => Subsystem::Cpu(CpuController::new(dir.clone(), base(), v2)),
                Controller::CpuAcct => {
                    Subsystem::CpuAcct(CpuAcctController::new(dir.clone(), base()))
                }
                Controller::Memory => Subsystem::Mem(MemController::new(dir.clone(), base(), v2)),
                Controller::Pids => Subsystem::Pid(PidController::new(dir.clone(), base(), v2)),
            })
            .collect()
    }

    fn root(&self) -> PathBuf {
        self.dir(Controller::Memory).to_path_buf()
    }

    fn root_control_group(&self) -> Cgroup {
        self.group("")
    }

    fn parent_control_group(&self, path: &str) -> Cgroup {
        let parent = Path::new(path).parent().and_then(Path::to_str);
        self.group(parent.unwrap_or_default())
    }

    fn v2(&self) -> bool {
        self.version == Version::V2
    }
}

/// The system error inside an error of `cgroups-rs`, so that a cause is said once.
pub(crate) fn cause(error: cgroups_rs::fs::error::Error) -> io::Error {
    let inner = std::error::Error::source(&error).and_then(|e| e.downcast_ref::<io::Error>());
    match inner.and_then(io::Error::raw_os_error) {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::other(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v1_in(dir: &Path) -> Place {
        let dirs = Controller::needed(Version::V1)
            .iter()
            .map(|c| (*c, dir.join(c.name())))
            .collect();
        Place::v1(dirs)
    }

    #[test]
    fn a_group_is_made_and_deleted_in_every_hierarchy() {
        let temp = tempfile::tempdir().unwrap();
        let place = v1_in(temp.path());
        let group = place.make("tree/one").unwrap();
        for controller in ["cpu", "cpuacct", "memory", "pids"] {
            assert!(temp.path().join(controller).join("tree/one").is_dir());
        }
        group.delete().unwrap();
        assert!(!group.exists());
    }

    #[test]
    fn what_was_made_is_undone_when_the_last_controller_fails() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("pids"), "not a directory").unwrap();
        let place = v1_in(temp.path());
        place.make("tree").unwrap_err();
        assert!(!temp.path().join("memory/tree").exists());
        assert!(!temp.path().join("cpu/tree").exists());
    }

    #[test]
    fn controllers_mounted_together_are_one_directory() {
        let both = PathBuf::from("/x/cpu,cpuacct");
        let place = Place::v1(vec![
            (Controller::Cpu, both.clone()),
            (Controller::CpuAcct, both.clone()),
        ]);
        assert_eq!(place.each_dir(), [both.as_path()]);
    }
}
