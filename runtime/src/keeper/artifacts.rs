//! Artifacts that slots are given, open. What a file holds is compared with its
//! sha-256 once, by the first worker that is given it; the next get the same open
//! file, which cannot have become another.

use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};

use stint_api::time::Span;
use stint_sandbox::{Files, OpenError, Plan, Profile};

use super::clock::BootTime;
use crate::worker::protocol::Module;

/// Artifacts kept open. A node runs few modules at a time, and one that is opened
/// anew costs its next start the time to hash it.
const OPEN_MAX: usize = 64;
/// How long one is kept open that nobody starts: a module that was removed from
/// the disk takes its place there until it is closed.
const IDLE: Span = Span::from_secs(60);

/// An artifact that was opened.
#[derive(Debug)]
struct Open {
    path: PathBuf,
    sha256: [u8; 32],
    file: File,
    /// Whether a worker has found that it has that sha-256.
    compared: bool,
    used: BootTime,
}

/// The artifacts of late.
#[derive(Debug, Default)]
pub(crate) struct Artifacts(Vec<Open>);

/// An artifact to be given to a worker.
#[derive(Debug)]
pub(crate) struct Given<'a> {
    /// The open file.
    pub(crate) file: BorrowedFd<'a>,
    /// What the worker is to compare first; absent where another has done so.
    pub(crate) sha256: Option<[u8; 32]>,
}

impl Given<'_> {
    /// As a worker is told of it, which is for engine profile `profile`.
    pub(crate) fn module(&self, profile: Profile) -> Module {
        Module::Given {
            profile,
            sha256: self.sha256,
        }
    }
}

impl Artifacts {
    /// The artifact of `plan`.
    pub(crate) fn give(&mut self, plan: &Plan, now: BootTime) -> Result<Given<'_>, OpenError> {
        let at = match self.find(&plan.artifact, &plan.artifact_sha256) {
            Some(at) => at,
            None => {
                let file = Files::artifact(plan)?;
                self.make_room();
                self.0.push(Open {
                    path: plan.artifact.clone(),
                    sha256: plan.artifact_sha256,
                    file,
                    compared: false,
                    used: now,
                });
                self.0.len() - 1
            }
        };
        let open = &mut self.0[at];
        open.used = now;
        Ok(Given {
            file: open.file.as_fd(),
            sha256: (!open.compared).then_some(open.sha256),
        })
    }

    /// A worker that was to compare has loaded it.
    pub(crate) fn compared(&mut self, sha256: &[u8; 32]) {
        for open in self.0.iter_mut().filter(|open| open.sha256 == *sha256) {
            open.compared = true;
        }
    }

    /// The artifact with that sha-256, if it is open and was found to be right.
    pub(crate) fn known(&self, sha256: &[u8; 32]) -> Option<BorrowedFd<'_>> {
        let is = |open: &&Open| open.compared && open.sha256 == *sha256;
        self.0.iter().find(is).map(|open| open.file.as_fd())
    }

    /// Closes what is not used any more.
    pub(crate) fn tick(&mut self, now: BootTime) {
        self.0.retain(|open| now < open.used.after(IDLE));
    }

    /// When it wants [`Artifacts::tick`].
    pub(crate) fn wake(&self) -> Option<BootTime> {
        let idle = self.0.iter().map(|open| open.used.after(IDLE));
        idle.min()
    }

    fn find(&self, path: &Path, sha256: &[u8; 32]) -> Option<usize> {
        let same = |open: &Open| open.sha256 == *sha256 && open.path == path;
        self.0.iter().position(same)
    }

    fn make_room(&mut self) {
        if self.0.len() >= OPEN_MAX {
            let oldest = (0..self.0.len()).min_by_key(|at| self.0[*at].used);
            oldest.map(|at| self.0.swap_remove(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(path: &Path, sha256: u8) -> Plan {
        Plan {
            artifact: path.to_owned(),
            artifact_sha256: [sha256; 32],
            profile: Profile::Plain,
            entry: stint_api::kit::Entry::default(),
            args: Vec::new(),
            env: Vec::new(),
            memory_limit_bytes: 0,
            dirs: Vec::new(),
            stdout: PathBuf::new(),
            stderr: PathBuf::new(),
            log_bytes_max: 0,
        }
    }

    #[test]
    fn an_artifact_is_compared_once_and_then_the_same_file_is_given() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let plan = plan(&path, 1);
        let mut artifacts = Artifacts::default();
        let now = BootTime::now();
        artifacts.give(&plan, now).unwrap_err();
        std::fs::write(&path, "a").unwrap();
        assert_eq!(artifacts.give(&plan, now).unwrap().sha256, Some([1; 32]));
        assert_eq!(artifacts.give(&plan, now).unwrap().sha256, Some([1; 32]));
        artifacts.compared(&[2; 32]);
        assert!(artifacts.give(&plan, now).unwrap().sha256.is_some());
        assert!(artifacts.known(&[1; 32]).is_none());
        artifacts.compared(&[1; 32]);
        assert!(artifacts.known(&[1; 32]).is_some());
        std::fs::remove_file(&path).unwrap();
        assert_eq!(artifacts.give(&plan, now).unwrap().sha256, None);
        // Another sha-256 is another artifact, wherever it is said to be.
        artifacts.give(&self::plan(&path, 2), now).unwrap_err();
        assert_eq!(artifacts.wake(), Some(now.after(IDLE)));
        artifacts.tick(now.after(IDLE));
        artifacts.give(&plan, now).unwrap_err();
    }

    #[test]
    fn only_so_many_are_kept_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "a").unwrap();
        let mut artifacts = Artifacts::default();
        for sha256 in 0..=255 {
            artifacts
                .give(&plan(&path, sha256), BootTime::now())
                .unwrap();
        }
        assert_eq!(artifacts.0.len(), OPEN_MAX);
        assert!(artifacts.find(&path, &[255; 32]).is_some());
    }
}
