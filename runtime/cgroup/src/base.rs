//! Where our tree may stand: from the caller's own group upwards, as far as no
//! limit, no delegation and no permission is left behind (the crate's doc says why).

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cgroups_rs::fs::cgroup::get_cgroups_relative_paths;
use cgroups_rs::fs::hierarchies::{
    Mountinfo, UNIFIED_MOUNTPOINT, is_cgroup2_unified_mode, mountinfo_self,
};
use rustix::fs::Access;

use crate::place::{Controller, Place};
use crate::{Version, v2};

/// At and above this a v1 limit means "none": the kernel shows the largest count of pages.
const V1_UNLIMITED_BYTES: u64 = 1 << 60;
/// systemd writes one of these on a group that it leaves to its owner.
const DELEGATED: [&str; 2] = ["trusted.delegate", "user.delegate"];
/// Deeper nesting than this is not climbed out of; kernels refuse it long before.
const MAX_CLIMB: usize = 64;

/// Why cgroups cannot hold limits for us. Each says what would change that.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// No cgroup file system is mounted.
    #[error("no cgroup file system is mounted; mount cgroup2 at /sys/fs/cgroup")]
    NotMounted,
    /// A controller is missing where our tree would stand.
    #[error(
        "the cgroup controllers {controllers} are not available in {}; enable them in its parent, or delegate them",
        dir.display()
    )]
    NoController {
        /// Which, separated by commas.
        controllers: String,
        /// The group that lacks them.
        dir: PathBuf,
    },
    /// Groups cannot be made where our tree would stand.
    #[error(
        "no group can be made in {}; run as root, or in a unit with Delegate=yes (systemd-run --user --scope -p Delegate=yes …)",
        dir.display()
    )]
    NotWritable {
        /// The group that refused.
        dir: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The caller's own group could not be read.
    #[error("the own cgroup could not be read from /proc/self/cgroup")]
    OwnGroup {
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// The place below which our trees go, or why there is none.
pub(crate) fn find() -> Result<Place, Unavailable> {
    let own = get_cgroups_relative_paths().map_err(|error| Unavailable::OwnGroup {
        source: crate::place::cause(error),
    })?;
    if is_cgroup2_unified_mode() {
        return v2_base(Path::new(UNIFIED_MOUNTPOINT), &own);
    }
    v1_base(&mountinfo_self(), &own)
}

fn v1_base(mounts: &[Mountinfo], own: &HashMap<String, String>) -> Result<Place, Unavailable> {
    let mut dirs = Vec::new();
    let mut missing = Vec::new();
    for controller in Controller::needed(Version::V1) {
        let name = controller.name();
        let mount = mounts
            .iter()
            .find(|m| m.super_opts.iter().any(|option| option == name));
        match mount {
            None => missing.push(name),
            Some(mount) => {
                let own = own.get(name).map_or("/", String::as_str);
                let start = own_dir(&mount.mount_point, &mount.mount_root, own);
                dirs.push((*controller, climb(&mount.mount_point, start)));
            }
        }
    }
    if missing.len() == Controller::needed(Version::V1).len() {
        return Err(Unavailable::NotMounted);
    }
    if !missing.is_empty() {
        return Err(Unavailable::NoController {
            controllers: missing.join(", "),
            dir: PathBuf::from(UNIFIED_MOUNTPOINT),
        });
    }
    Ok(Place::v1(dirs))
}

fn v2_base(mount: &Path, own: &HashMap<String, String>) -> Result<Place, Unavailable> {
    let own = own.get("").map_or("/", String::as_str);
    let dir = climb(mount, own_dir(mount, Path::new("/"), own));
    let missing = v2::missing(&dir, "cgroup.controllers");
    if !missing.is_empty() {
        return Err(Unavailable::NoController {
            controllers: missing.join(", "),
            dir,
        });
    }
    Ok(Place::v2(&dir))
}

/// The caller's own group as a directory. In a container whose view of the
/// hierarchy starts at its own group, that is the mount point itself.
fn own_dir(mount: &Path, mount_root: &Path, own: &str) -> PathBuf {
    let own = Path::new(own);
    let inside = own.strip_prefix(mount_root).unwrap_or(own);
    let inside = inside.strip_prefix("/").unwrap_or(inside);
    let outside = inside
        .components()
        .any(|c| c == std::path::Component::ParentDir);
    let dir = mount.join(inside);
    if outside || !dir.is_dir() {
        return mount.to_path_buf();
    }
    dir
}

fn climb(mount: &Path, start: PathBuf) -> PathBuf {
    let mut dir = start;
    for _ in 0..MAX_CLIMB {
        if dir == mount || is_delegated(&dir) || is_limited(&dir) {
            break;
        }
        match dir.parent() {
            Some(parent) if is_writable(parent) => dir = parent.to_path_buf(),
            _ => break,
        }
    }
    dir
}

/// Whether we may make groups in `dir`; false too on a read-only mount.
pub(crate) fn is_writable(dir: &Path) -> bool {
    rustix::fs::access(dir, Access::WRITE_OK).is_ok()
}

fn is_delegated(dir: &Path) -> bool {
    DELEGATED.iter().any(|name| {
        let mut value = [0_u8; 8];
        let length = rustix::fs::getxattr(dir, *name, &mut value[..]);
        length.is_ok_and(|n| value.get(..n) == Some(b"1"))
    })
}

fn is_limited(dir: &Path) -> bool {
    let read = |file: &str| fs::read_to_string(dir.join(file)).unwrap_or_default();
    let first = |file: &str| {
        let text = read(file);
        text.split_whitespace().next().unwrap_or("max").to_owned()
    };
    let v1_bytes = read("memory.limit_in_bytes").trim().parse::<u64>();
    let v1_quota = read("cpu.cfs_quota_us").trim().parse::<i64>();
    first("memory.max") != "max"
        || first("cpu.max") != "max"
        || v1_bytes.is_ok_and(|bytes| bytes < V1_UNLIMITED_BYTES)
        || v1_quota.is_ok_and(|quota| quota > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(root: &Path, path: &str, files: &[(&str, &str)]) -> PathBuf {
        let dir = root.join(path);
        fs::create_dir_all(&dir).unwrap();
        for (name, text) in files {
            fs::write(dir.join(name), text).unwrap();
        }
        dir
    }

    #[test]
    fn an_unlimited_login_group_is_left_for_the_root() {
        let root = tempfile::tempdir().unwrap();
        let unlimited = [("memory.limit_in_bytes", "9223372036854771712\n")];
        let own = group(root.path(), "login/one", &unlimited);
        assert_eq!(climb(root.path(), own), root.path());
    }

    #[test]
    fn the_limit_of_a_service_is_not_escaped() {
        let root = tempfile::tempdir().unwrap();
        let service = group(root.path(), "service", &[("memory.max", "1073741824\n")]);
        let own = group(
            root.path(),
            "service/supervisor",
            &[("cpu.max", "max 100000\n")],
        );
        assert_eq!(climb(root.path(), own), service);
        let v1 = group(root.path(), "old", &[("cpu.cfs_quota_us", "50000\n")]);
        assert_eq!(climb(root.path(), v1.clone()), v1);
    }

    #[test]
    fn a_view_that_starts_at_the_own_group_starts_at_the_mount() {
        let root = tempfile::tempdir().unwrap();
        let mount = root.path();
        assert_eq!(own_dir(mount, Path::new("/box/a"), "/box/a"), mount);
        assert_eq!(own_dir(mount, Path::new("/"), "/not/there"), mount);
        assert_eq!(own_dir(mount, Path::new("/"), "/../../else"), mount);
        let inner = group(mount, "inner", &[]);
        assert_eq!(own_dir(mount, Path::new("/box/a"), "/box/a/inner"), inner);
    }

    #[test]
    fn a_controller_that_is_not_mounted_is_named() {
        let mount = |name: &str| Mountinfo {
            mount_root: "/".into(),
            mount_point: "/nowhere".into(),
            fs_type: ("cgroup".to_owned(), None),
            super_opts: vec!["rw".to_owned(), name.to_owned()],
        };
        let some = [mount("cpu"), mount("cpuacct"), mount("pids")];
        let error = v1_base(&some, &HashMap::new()).unwrap_err();
        assert!(error.to_string().contains("memory"), "{error}");
        let none = v1_base(&[], &HashMap::new()).unwrap_err();
        assert!(matches!(none, Unavailable::NotMounted));
    }

    #[test]
    fn a_v2_group_without_our_controllers_is_refused() {
        let root = tempfile::tempdir().unwrap();
        group(
            root.path(),
            "",
            &[("cgroup.controllers", "cpuset cpu io\n")],
        );
        let error = v2_base(root.path(), &HashMap::new()).unwrap_err();
        assert!(error.to_string().contains("memory, pids"), "{error}");
    }
}
