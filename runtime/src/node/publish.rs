//! Moves what a task left to where its job wants it: there whole or not there,
//! beneath an allowed directory, whatever is cut off half-way.
//!
//! ```text
//! slots/<attempt>/out ──▶ OUTPUT/.stint-<attempt> ──▶ OUTPUT/<task>
//!                  moved or copied, synced       renamed; takes the place of an earlier one
//! ```
//!
//! Each step may be repeated. The scheduler granted the commit to this attempt
//! alone, so what is there already is older. The grant may be withdrawn while
//! files are copied: it is asked for once more right before the rename.

mod bucket;

use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::Errno;
use stint_api::id::AttemptId;
use stint_api::outcome::Outcome;
use stint_objects::{Location, Objects, Reach};

use super::explain::explain;
use super::slot::Slot;

/// Outputs cannot be put in their place.
#[derive(Debug, thiserror::Error)]
enum PublishError {
    #[error("not the URL of an absolute path on this machine, or of a bucket")]
    Url,
    #[error(
        "not beneath a directory that this node lets jobs write to; start the node with --allow-outputs DIR"
    )]
    NotAllowed,
    #[error("{doing} {}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is in the way, and not a directory", path.display())]
    InTheWay { path: PathBuf },
    #[error("nothing is left to publish")]
    Gone,
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(Errno) -> PublishError {
    let path = path.to_owned();
    move |errno| PublishError::Io {
        doing,
        path,
        source: errno.into(),
    }
}

/// Publishes beneath what is allowed.
#[derive(Debug)]
pub(crate) struct Publisher {
    objects: Objects,
}

impl Publisher {
    pub(crate) fn new(reach: Reach) -> Self {
        Self {
            objects: Objects::new(reach),
        }
    }

    /// Moves `/out` of `slot` to the directory of its task in `output`, or writes it to a
    /// bucket, if it still `may` when everything is ready for the last step; whether it did.
    /// Blocks on the disk and the network.
    ///
    /// # Errors
    /// `output-refused`, with the reason.
    pub(crate) fn publish(
        &self,
        slot: &Slot,
        attempt: &AttemptId,
        output: &str,
        may: impl FnOnce() -> bool,
    ) -> Result<bool, Outcome> {
        if let Ok(Location::Bucket { bucket, key }) = output.parse() {
            return bucket::publish(&self.objects, slot, attempt, (bucket, key), may);
        }
        let published = self
            .open(output)
            .and_then(|base| base.take(&slot.out(), attempt, may));
        published.map_err(|error| Outcome::OutputRefused {
            which: format!("{output}: {}", explain(&error)),
        })
    }

    /// Gives up what a publication from `slot` that was cut off began in a bucket.
    pub(crate) fn give_up(&self, slot: &Slot) {
        bucket::clear(&self.objects, slot);
    }

    /// Removes what a publication of the attempt that was cut off left beside its place.
    pub(crate) fn clear(&self, attempt: &AttemptId, output: &str) {
        let cleared = self
            .open(output)
            .and_then(|base| base.remove(&beside(attempt)));
        if let Err(error) = cleared {
            tracing::warn!(%attempt, output, error = explain(&error), "half a publication stays");
        }
    }

    /// Makes the directory that `output` names and opens it, following no
    /// symbolic link beneath the allowed directory.
    fn open(&self, output: &str) -> Result<Base, PublishError> {
        let path = path_of(output).ok_or(PublishError::Url)?;
        let path = resolve(&path)?;
        let beneath = self.objects.reach().dirs().iter().find_map(|root| {
            let root = root.canonicalize().ok()?;
            let rest = path.strip_prefix(&root).ok()?.to_owned();
            Some((root, rest))
        });
        let (root, rest) = beneath.ok_or(PublishError::NotAllowed)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut dir =
            rustix::fs::open(&root, flags, Mode::empty()).map_err(io_error("open", &root))?;
        for name in rest.components() {
            let Component::Normal(name) = name else {
                return Err(PublishError::NotAllowed);
            };
            match rustix::fs::mkdirat(&dir, name, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(io_error("make", &path)(errno)),
            }
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
            dir = rustix::fs::openat2(&dir, name, flags, Mode::empty(), resolve)
                .map_err(io_error("open", &path))?;
        }
        Ok(Base { dir, path })
    }
}

/// The path that a `file://` URL names.
fn path_of(url: &str) -> Option<PathBuf> {
    match url.parse().ok()? {
        Location::File(path) => Some(path),
        _ => None,
    }
}

/// `path` with the symbolic links of the part that exists resolved; the rest must be plain names.
fn resolve(path: &Path) -> Result<PathBuf, PublishError> {
    let mut missing = Vec::new();
    let mut there = path;
    loop {
        match there.canonicalize() {
            Ok(found) => {
                return Ok(missing
                    .iter()
                    .rev()
                    .fold(found, |path, name| path.join(name)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => {
                return Err(PublishError::Io {
                    doing: "open",
                    path: there.to_owned(),
                    source,
                });
            }
        }
        // A name that leads upwards has no `file_name`.
        let (Some(name), Some(parent)) = (there.file_name(), there.parent()) else {
            return Err(PublishError::Url);
        };
        missing.push(name);
        there = parent;
    }
}

/// Where the outputs of an attempt wait for the rename: hidden, and of no other attempt's name.
fn beside(attempt: &AttemptId) -> String {
    format!(".stint-{attempt}")
}

/// The directory of a job's outputs.
struct Base {
    dir: OwnedFd,
    /// For messages.
    path: PathBuf,
}

impl Base {
    fn take(
        &self,
        out: &Path,
        attempt: &AttemptId,
        may: impl FnOnce() -> bool,
    ) -> Result<bool, PublishError> {
        let beside = beside(attempt);
        let place = attempt.task.to_string();
        if !out.is_dir() && !self.has(&beside) {
            // An earlier call came to its end, and its answer was lost.
            return match self.has(&place) {
                true => Ok(true),
                false => Err(PublishError::Gone),
            };
        }
        let ready = self.bring(out, &beside).and_then(|()| {
            rustix::fs::syncfs(&self.dir).map_err(io_error("write", &self.path))?;
            if !may() {
                self.give_back(&beside, out)?;
                return Ok(false);
            }
            self.put(&beside, &place)?;
            rustix::fs::fsync(&self.dir).map_err(io_error("write", &self.path))?;
            Ok(true)
        });
        if ready.is_err() {
            // Nobody asks for it again: the attempt ends with this error.
            self.remove(&beside)?;
        }
        ready
    }

    /// Moves or copies `out` to the name `beside`, unless an earlier call moved it.
    fn bring(&self, out: &Path, beside: &str) -> Result<(), PublishError> {
        if !out.is_dir() {
            return Ok(());
        }
        self.remove(beside)?;
        match rustix::fs::renameat(CWD, out, &self.dir, beside) {
            Ok(()) => Ok(()),
            // It is another disk.
            Err(Errno::XDEV) => copy(out, &self.through(beside)).map_err(|source| {
                let path = self.path.join(beside);
                let doing = "copy to";
                PublishError::Io {
                    doing,
                    path,
                    source,
                }
            }),
            Err(errno) => Err(io_error("move to", &self.path.join(beside))(errno)),
        }
    }

    /// Puts `out` back to where the guest left it.
    fn give_back(&self, beside: &str, out: &Path) -> Result<(), PublishError> {
        if out.is_dir() {
            return self.remove(beside);
        }
        rustix::fs::renameat(&self.dir, beside, CWD, out).map_err(io_error("move back to", out))
    }

    /// Renames `beside` to `place`, and removes what was there before.
    fn put(&self, beside: &str, place: &str) -> Result<(), PublishError> {
        let path = self.path.join(place);
        let rename = |flags| rustix::fs::renameat_with(&self.dir, beside, &self.dir, place, flags);
        match rename(RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(()),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(io_error("rename to", &path)(errno)),
        }
        let there = fs::symlink_metadata(self.through(place));
        if !there.is_ok_and(|metadata| metadata.is_dir()) {
            return Err(PublishError::InTheWay { path });
        }
        rename(RenameFlags::EXCHANGE).map_err(io_error("replace", &path))?;
        self.remove(beside)
    }

    fn has(&self, name: &str) -> bool {
        fs::symlink_metadata(self.through(name)).is_ok_and(|metadata| metadata.is_dir())
    }

    fn remove(&self, name: &str) -> Result<(), PublishError> {
        super::cache::remove(&self.through(name)).map_err(|source| PublishError::Io {
            doing: "remove",
            path: self.path.join(name),
            source,
        })
    }

    /// The path of a name in the directory that is open, whatever is done to its parents meanwhile.
    fn through(&self, name: &str) -> PathBuf {
        format!("/proc/self/fd/{}/{name}", self.dir.as_raw_fd()).into()
    }
}

/// Copies a directory of files and directories; anything else was refused before.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut rest = vec![PathBuf::new()];
    while let Some(dir) = rest.pop() {
        fs::create_dir(to.join(&dir))?;
        for entry in fs::read_dir(from.join(&dir))? {
            let entry = entry?;
            let path = dir.join(entry.file_name());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                rest.push(path);
            } else if kind.is_file() {
                fs::copy(from.join(&path), to.join(&path))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use stint_objects::Allowed;

    use super::*;

    struct Site {
        root: tempfile::TempDir,
        publisher: Publisher,
    }

    fn site() -> Site {
        let root = tempfile::tempdir().unwrap();
        let allowed = root.path().join("allowed");
        fs::create_dir(&allowed).unwrap();
        Site {
            publisher: Publisher::new(Reach::new(
                "node",
                "--allow-outputs",
                vec![Allowed::Dir(allowed)],
            )),
            root,
        }
    }

    impl Site {
        fn path(&self, path: &str) -> PathBuf {
            self.root.path().join(path)
        }

        /// A slot whose guest left one file that holds `text`.
        fn slot(&self, attempt: &str, text: &str) -> (Slot, AttemptId) {
            let slot = Slot::at(self.path(attempt));
            slot.make(&[], None).unwrap();
            fs::create_dir(slot.out().join("sub")).unwrap();
            fs::write(slot.out().join("sub/file"), text).unwrap();
            (slot, attempt.parse().unwrap())
        }

        fn publish(&self, (slot, attempt): &(Slot, AttemptId), to: &str) -> Result<bool, Outcome> {
            let url = format!("file://{}", self.path(to).display());
            self.publisher.publish(slot, attempt, &url, || true)
        }

        fn names(&self, dir: &str) -> Vec<String> {
            let mut names: Vec<_> = fs::read_dir(self.path(dir))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        }
    }

    #[test]
    fn each_task_has_its_directory_and_nothing_is_left_beside() {
        let site = site();
        site.publish(&site.slot("a.1.t0.g1.1", "zero"), "allowed/x/y")
            .unwrap();
        site.publish(&site.slot("a.1.t10.g1.1", "ten"), "allowed/x/y")
            .unwrap();
        assert_eq!(site.names("allowed/x/y"), ["0", "10"]);
        let text = fs::read_to_string(site.path("allowed/x/y/10/sub/file")).unwrap();
        assert_eq!(text, "ten");
    }

    #[test]
    fn publishing_again_changes_nothing_and_a_later_attempt_takes_the_place() {
        let site = site();
        let first = site.slot("a.1.t0.g1.1", "first");
        site.publish(&first, "allowed").unwrap();
        site.publish(&first, "allowed").unwrap();
        site.publish(&site.slot("a.1.t0.g2.1", "second"), "allowed")
            .unwrap();
        assert_eq!(site.names("allowed"), ["0"]);
        let text = fs::read_to_string(site.path("allowed/0/sub/file")).unwrap();
        assert_eq!(text, "second");
    }

    #[test]
    fn a_publication_that_was_cut_off_is_finished() {
        let site = site();
        let slot = site.slot("a.1.t0.g1.1", "whole");
        fs::rename(slot.0.out(), site.path("allowed/.stint-a.1.t0.g1.1")).unwrap();
        site.publish(&slot, "allowed").unwrap();
        assert_eq!(site.names("allowed"), ["0"]);
        assert_eq!(site.names("allowed/0"), ["sub"]);
    }

    #[test]
    fn a_commit_that_was_withdrawn_leaves_everything_as_it_was() {
        let site = site();
        let (slot, attempt) = site.slot("a.1.t0.g1.1", "later");
        let url = format!("file://{}", site.path("allowed").display());
        let refused = site.publisher.publish(&slot, &attempt, &url, || false);
        assert_eq!(refused, Ok(false));
        assert_eq!(site.names("allowed"), [] as [&str; 0]);
        let publish = || site.publisher.publish(&slot, &attempt, &url, || true);
        assert_eq!(publish(), Ok(true));
        assert_eq!(site.names("allowed"), ["0"]);
    }

    #[test]
    fn half_a_publication_is_cleared_away() {
        let site = site();
        let attempt = "a.1.t0.g1.1".parse().unwrap();
        fs::create_dir(site.path("allowed/.stint-a.1.t0.g1.1")).unwrap();
        let url = format!("file://{}", site.path("allowed").display());
        site.publisher.clear(&attempt, &url);
        assert_eq!(site.names("allowed"), [] as [&str; 0]);
    }

    #[test]
    fn nothing_goes_outside_the_allowed_directories() {
        let site = site();
        fs::create_dir(site.path("outside")).unwrap();
        symlink(site.path("outside"), site.path("allowed/link")).unwrap();
        for to in [
            "outside",
            "allowed/link",
            "allowed/link/deep",
            "allowed/%2e%2e/outside",
            "allowed/a%2f..%2f..%2foutside",
        ] {
            let refused = site
                .publish(&site.slot("a.1.t0.g1.1", "x"), to)
                .unwrap_err();
            assert_eq!(refused.reason(), "output-refused", "{to}");
        }
        assert_eq!(site.names("outside"), [] as [&str; 0]);
    }

    #[test]
    fn what_is_in_the_way_is_not_replaced_unless_it_is_a_directory() {
        let site = site();
        fs::write(site.path("allowed/0"), "precious").unwrap();
        let refused = site
            .publish(&site.slot("a.1.t0.g1.1", "x"), "allowed")
            .unwrap_err();
        assert!(refused.to_string().contains("in the way"), "{refused}");
        assert_eq!(
            fs::read_to_string(site.path("allowed/0")).unwrap(),
            "precious"
        );
        assert_eq!(site.names("allowed"), ["0"]);
    }

    #[test]
    fn a_copy_holds_all_files() {
        let site = site();
        let (slot, _) = site.slot("a.1.t0.g1.1", "text");
        copy(&slot.out(), &site.path("copy")).unwrap();
        assert_eq!(
            fs::read_to_string(site.path("copy/sub/file")).unwrap(),
            "text"
        );
    }
}
