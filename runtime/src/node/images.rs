//! Disks for attempts: a file system in a file, mounted for one attempt, so that what
//! it writes ends where its limit is, between two measures too, and its files are
//! counted by inodes that are its own.
//!
//! ```text
//! slots/<attempt>/disk.img   made, mounted and removed at once: what is mounted holds it
//!                 disk/      where it is mounted: out and scratch are in it
//! ```
//!
//! A mount outlives every process of a node, and must, for attempts outlive the node
//! process. What none needs any more is unmounted when its slot is removed, and the
//! first thing that a node does at its start is to look for those that were forgotten.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::mount::UnmountFlags;
use stint_api::quantity::Bytes;

/// Where it is mounted, in a slot.
const DISK: &str = "disk";
/// Bytes of a block of the file system.
const BLOCK_BYTES: u64 = 4 << 10;
/// What the file system takes for itself whatever its size.
const OWN_BYTES: u64 = 4 << 20;
/// And of each so many bytes one: an inode of 256 bytes for each block, and maps.
const OWN_PART: u64 = 12;
/// Not for programs, devices or other users; nothing of it is wanted after a crash, and the
/// tables of inodes are not to be written before they are needed.
const OPTIONS: &str = "loop,nosuid,nodev,noexec,noatime,noinit_itable";
/// A trial disk: no file system is smaller.
const TRIAL: Bytes = Bytes::mebi(1);

/// A disk cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageError {
    #[error("{doing} {}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{tool}`: {said}")]
    Tool { tool: &'static str, said: String },
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ImageError {
    let path = path.to_owned();
    move |source| ImageError::Io {
        doing,
        path,
        source,
    }
}

/// Whether disks can be had for slots in the directory `slots`. Makes one, and removes it.
///
/// # Errors
/// Why not.
pub(crate) fn try_out(slots: &Path) -> Result<(), ImageError> {
    let trial = slots.join(".trial");
    // Of a node that died in between; what cannot be removed is said below.
    unmount(&trial);
    drop(fs::remove_dir_all(&trial));
    fs::create_dir_all(&trial).map_err(io_error("make", &trial))?;
    let mounted = mount(&trial, TRIAL);
    unmount(&trial);
    fs::remove_dir_all(&trial).map_err(io_error("remove", &trial))?;
    mounted.map(drop)
}

/// Mounts an empty disk of `limit` in the slot's directory; where.
pub(crate) fn mount(slot: &Path, limit: Bytes) -> Result<PathBuf, ImageError> {
    let (image, disk) = (slot.join("disk.img"), slot.join(DISK));
    let mounted = make(&image, limit).and_then(|()| {
        fs::create_dir(&disk).map_err(io_error("make", &disk))?;
        run("mount", &["-t", "ext4", "-o", OPTIONS], &[&image, &disk])
    });
    // From here on it is the mount's alone.
    let removed = fs::remove_file(&image).map_err(io_error("remove", &image));
    mounted.and(removed).map(|()| disk)
}

/// Where the slot's disk is, if it has one.
pub(crate) fn disk_of(slot: &Path) -> Option<PathBuf> {
    let disk = slot.join(DISK);
    disk.is_dir().then_some(disk)
}

/// Lets go of the slot's disk, if it has one: at once by its name, and when the last file
/// of it is closed for good.
pub(crate) fn unmount(slot: &Path) {
    let Some(disk) = disk_of(slot) else { return };
    let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
    // Twice only if somebody mounted over it.
    while rustix::mount::unmount(&disk, flags).is_ok() {}
}

/// An empty file system with room for `limit`.
fn make(image: &Path, limit: Bytes) -> Result<(), ImageError> {
    let size = (limit.0)
        .saturating_add(limit.0 / OWN_PART)
        .saturating_add(OWN_BYTES)
        .next_multiple_of(BLOCK_BYTES);
    let made = File::create(image).and_then(|file| file.set_len(size));
    made.map_err(io_error("make", image))?;
    let features = "^has_journal,^resize_inode";
    let options = [
        "-q", "-F", "-O", features, "-m", "0", "-b", "4096", "-i", "4096",
    ];
    let lazy = ["-E", "lazy_itable_init=1,nodiscard"];
    run("mkfs.ext4", &[&options[..], &lazy].concat(), &[image])
}

fn run(tool: &'static str, options: &[&str], paths: &[&Path]) -> Result<(), ImageError> {
    let failed = |said: String| ImageError::Tool { tool, said };
    let ran = Command::new(tool)
        .args(options)
        .args(paths)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    match ran.status.success() {
        true => Ok(()),
        false => Err(failed(
            String::from_utf8_lossy(&ran.stderr).trim().to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// A disk of 8 MiB in a directory of its own; none where this machine lets nobody mount.
    fn disk() -> Option<(tempfile::TempDir, PathBuf)> {
        let slot = tempfile::tempdir().unwrap();
        match mount(slot.path(), Bytes::mebi(8)) {
            Ok(disk) => Some((slot, disk)),
            Err(error) => {
                let _ = writeln!(
                    io::stderr(),
                    "SKIPPED: no disk can be mounted here: {error}"
                );
                None
            }
        }
    }

    #[test]
    fn a_disk_takes_its_limit_and_little_more() {
        let Some((slot, disk)) = disk() else { return };
        fs::write(disk.join("all"), vec![1; 8 << 20]).unwrap();
        let error = fs::write(disk.join("more"), vec![1; 4 << 20]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(!slot.path().join("disk.img").exists());
        unmount(slot.path());
        assert_eq!(fs::read_dir(&disk).unwrap().count(), 0);
        unmount(slot.path());
    }

    #[test]
    fn a_disk_holds_as_many_files_as_it_has_blocks() {
        let Some((slot, disk)) = disk() else { return };
        let made = (0..10_000).take_while(|n| File::create(disk.join(n.to_string())).is_ok());
        let made = made.count();
        assert!((2_000..4_000).contains(&made), "{made}");
        unmount(slot.path());
    }

    #[test]
    fn what_is_open_goes_on_until_it_is_closed() {
        let Some((slot, disk)) = disk() else { return };
        let mut file = File::create(disk.join("open")).unwrap();
        unmount(slot.path());
        file.write_all(&[1; 4096]).unwrap();
        drop(file);
        assert!(
            !fs::read_to_string("/proc/self/mountinfo")
                .unwrap()
                .contains(disk.to_str().unwrap())
        );
    }
}
