//! Checkpoints: what an attempt leaves in a directory for the next attempt of its task.
//! While an attempt runs it is in its `/scratch`, within the limit of that; between
//! attempts the node keeps it by grant and task, until the grant is let go.
//!
//! ```text
//! slots/<attempt>/scratch/.stint-checkpoint ──failed──▶ checkpoints/<grant>/<task>
//!                     ▲──────────────── the next attempt ────────┘
//! ```
//!
//! The program makes the directory when it has something to save: one that saves
//! nothing leaves nothing, and costs nothing.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use stint_api::id::{AttemptId, GrantId};

use super::cache;
use super::publish::copy;
use super::slot::Slot;

/// Most bytes of checkpoints between attempts; what was kept longest ago goes first.
const KEPT_BYTES_MAX: u64 = 16 << 30;
/// Anybody may change it: the next attempt may be another user, and nobody but the
/// attempt comes into its slot.
const OPEN_DIR: u32 = 0o777;
const OPEN_FILE: u32 = 0o666;

/// Keeps checkpoints below a directory.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    root: PathBuf,
}

impl Checkpoints {
    pub(crate) const fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn of_grant(&self, grant: &GrantId) -> PathBuf {
        self.root.join(grant.to_string())
    }

    fn of(&self, attempt: &AttemptId) -> PathBuf {
        let grant = self.of_grant(&attempt.grant_id());
        grant.join(attempt.task.to_string())
    }

    /// Whether an attempt under `grant` left something.
    pub(crate) fn has(&self, grant: &GrantId) -> bool {
        self.of_grant(grant).exists()
    }

    /// Puts what an earlier attempt left into `slot`, where the attempt is told to look
    /// for it. Blocks on the disk.
    pub(crate) fn give_back(&self, attempt: &AttemptId, slot: &Slot) -> io::Result<()> {
        let place = slot.checkpoint();
        let kept = self.of(attempt);
        if !movable(&kept) {
            return Ok(());
        }
        relocate(&kept, &place)?;
        let grant = self.of_grant(&attempt.grant_id());
        if fs::read_dir(&grant)?.next().is_none() {
            fs::remove_dir(&grant)?;
        }
        if geteuid().is_root() {
            open_up(&place)?;
        }
        Ok(())
    }

    /// Keeps what the attempt in `slot` left, if it left anything. Blocks on the disk.
    pub(crate) fn keep(&self, attempt: &AttemptId, slot: &Slot) -> io::Result<()> {
        let place = slot.checkpoint();
        // The guest may have put a link there.
        if !movable(&place) || fs::read_dir(&place)?.next().is_none() {
            return Ok(());
        }
        let kept = self.of(attempt);
        let grant = self.of_grant(&attempt.grant_id());
        fs::create_dir_all(&grant)?;
        cache::remove(&kept)?;
        relocate(&place, &kept)?;
        cache::trim(&self.root, KEPT_BYTES_MAX, &grant)
    }

    /// The node lets go of a grant: another continues from the start. Blocks on the disk.
    pub(crate) fn forget(&self, grant: &GrantId) {
        if let Err(error) = cache::remove(&self.of_grant(grant)) {
            tracing::warn!(%grant, %error, "its checkpoints stay");
        }
    }
}

fn movable(dir: &Path) -> bool {
    fs::symlink_metadata(dir).is_ok_and(|metadata| metadata.is_dir())
}

/// Moves a directory, to another disk if need be.
fn relocate(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            copy(from, to)?;
            fs::remove_dir_all(from)
        }
        moved => moved,
    }
}

/// Lets anybody read and write the files and directories in `dir`.
fn open_up(dir: &Path) -> io::Result<()> {
    let mut rest = vec![dir.to_owned()];
    while let Some(dir) = rest.pop() {
        fs::set_permissions(&dir, Permissions::from_mode(OPEN_DIR))?;
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                rest.push(entry.path());
            } else if kind.is_file() {
                fs::set_permissions(entry.path(), Permissions::from_mode(OPEN_FILE))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Site {
        dir: tempfile::TempDir,
        checkpoints: Checkpoints,
    }

    fn site() -> Site {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(dir.path().join("checkpoints"));
        fs::create_dir(dir.path().join("checkpoints")).unwrap();
        Site { dir, checkpoints }
    }

    impl Site {
        fn start(&self, attempt: &str) -> (AttemptId, Slot) {
            let slot = Slot::at(self.dir.path().join(attempt));
            slot.make(&[], None).unwrap();
            let id = attempt.parse().unwrap();
            self.checkpoints.give_back(&id, &slot).unwrap();
            (id, slot)
        }
    }

    #[test]
    fn what_an_attempt_left_comes_back_until_its_grant_is_let_go() {
        let site = site();
        let (first, slot) = site.start("a.1.t0.g1.1");
        fs::create_dir_all(slot.checkpoint().join("deep")).unwrap();
        fs::write(slot.checkpoint().join("deep/state"), "half").unwrap();
        site.checkpoints.keep(&first, &slot).unwrap();
        slot.remove().unwrap();
        let (second, slot) = site.start("a.1.t0.g1.2");
        let state = slot.checkpoint().join("deep/state");
        assert_eq!(fs::read_to_string(&state).unwrap(), "half");
        fs::write(&state, "more").unwrap();
        site.checkpoints.keep(&second, &slot).unwrap();
        let (_, other) = site.start("a.1.t1.g1.1");
        assert!(!other.checkpoint().exists());
        site.checkpoints.forget(&second.grant_id());
        let (_, slot) = site.start("a.1.t0.g1.3");
        assert!(!slot.checkpoint().exists());
    }

    #[test]
    fn a_link_in_the_place_of_a_checkpoint_is_not_kept() {
        let site = site();
        let (id, slot) = site.start("a.1.t0.g1.1");
        std::os::unix::fs::symlink("/etc", slot.checkpoint()).unwrap();
        site.checkpoints.keep(&id, &slot).unwrap();
        assert!(!site.dir.path().join("checkpoints/a.1.g1").exists());
    }
}
