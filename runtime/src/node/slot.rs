//! The files of one attempt, in a directory of its own.
//!
//! ```text
//! slots/<attempt>/in/         inputs: files linked in, directories' mount points
//!                 out/        what the guest leaves; moved away when it is published
//!                 scratch/    what it needs meanwhile; in it .stint-events and .stint-checkpoint/
//!                 disk/       has out/ and scratch/ in it instead, on a node with disks
//!                 script/, kit    of a kit: the script, and a link to what it reads
//!                 stdout, stderr
//!                 left.json   what it left in /out, once that is known
//!                 uploads, published   of a publication into a bucket: what was begun; that it is over
//!                 holds       names of what it shows of the inputs' cache
//! ```

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use stint_api::id::AttemptId;
use stint_api::quantity::Bytes;

use super::cache;
use super::dir::random;
use super::images;
use super::staging::{Staged, hold, link_or_copy};

/// In a guest's `/scratch`: the file to which it appends what it says of itself.
pub(crate) const EVENTS: &str = ".stint-events";
/// In a guest's `/scratch`: the directory whose content its next attempt finds again.
pub(crate) const CHECKPOINT: &str = ".stint-checkpoint";

/// The files of one attempt cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("the slot's directory {}", path.display())]
pub(crate) struct SlotError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Where the files of one attempt are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    root: PathBuf,
}

impl Slot {
    /// The slot whose directory is `root`, made or not.
    pub(crate) const fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// Makes it, empty but for the inputs; with a disk of that size, if it is to have one.
    pub(crate) fn make(&self, inputs: &[Staged], disk: Option<Bytes>) -> Result<(), SlotError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| SlotError { path, source }
        };
        // A node process that died before it could say so may have begun it.
        self.remove().map_err(failed(&self.root))?;
        let mut private = DirBuilder::new();
        private.mode(0o700);
        private.create(&self.root).map_err(failed(&self.root))?;
        if let Some(limit) = disk {
            let mounted = images::mount(&self.root, limit).map_err(io::Error::other);
            mounted.map_err(failed(&self.root))?;
        }
        // Before the first of them is shown, so that none is trimmed under a guest.
        hold(&self.root, inputs).map_err(failed(&self.root))?;
        for dir in [self.inputs(), self.out(), self.scratch()] {
            fs::create_dir(&dir).map_err(failed(&dir))?;
        }
        for input in inputs {
            match input {
                Staged::File { name, path } => {
                    let place = self.inputs().join(name);
                    let link = || link_or_copy(&File::open(path)?, &place);
                    link().map_err(failed(&place))?;
                }
                // The guest lists it here, and enters it by a directory of its own.
                Staged::Directory { name, .. } => {
                    let place = self.inputs().join(name);
                    fs::create_dir(&place).map_err(failed(&place))?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn scripts(&self) -> PathBuf {
        self.root.join("script")
    }

    pub(crate) fn inputs(&self) -> PathBuf {
        self.root.join("in")
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.disk().join("out")
    }

    pub(crate) fn scratch(&self) -> PathBuf {
        self.disk().join("scratch")
    }

    /// What the guest says of itself, once it says anything.
    pub(crate) fn events(&self) -> PathBuf {
        self.scratch().join(EVENTS)
    }

    /// What the guest wants to find again.
    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.scratch().join(CHECKPOINT)
    }

    /// Where the guest may write.
    fn disk(&self) -> PathBuf {
        images::disk_of(&self.root).unwrap_or_else(|| self.root.clone())
    }

    pub(crate) fn stdout(&self) -> PathBuf {
        self.root.join("stdout")
    }

    pub(crate) fn stderr(&self) -> PathBuf {
        self.root.join("stderr")
    }

    pub(crate) fn left(&self) -> PathBuf {
        self.root.join("left.json")
    }

    /// Removes it; what is not there is removed already.
    pub(crate) fn remove(&self) -> io::Result<()> {
        remove(&self.root)
    }
}

/// Removes `root` and all in it, however deep a guest made it: what lies deeper
/// than a path can name, or than there are descriptors to walk it, is moved up first.
fn remove(root: &Path) -> io::Result<()> {
    /// A path this deep below a slot can be named, whatever the names.
    const DEPTH_MAX: usize = 12;
    // All that is on it goes with it.
    images::unmount(root);
    let mut trees = vec![root.to_owned()];
    while let Some(tree) = trees.pop() {
        let mut rest = vec![(tree.clone(), 0)];
        while let Some((dir, depth)) = rest.pop() {
            let Ok(list) = fs::read_dir(&dir) else {
                continue;
            };
            for entry in list.flatten() {
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                if depth < DEPTH_MAX {
                    rest.push((entry.path(), depth + 1));
                } else {
                    let up = root.with_added_extension(format!("{:016x}", random()?));
                    fs::rename(entry.path(), &up)?;
                    trees.push(up);
                }
            }
        }
        cache::remove(&tree)?;
    }
    Ok(())
}

/// Removes every slot in `slots` that is not of one of `known`: a node process
/// died between letting go of the attempt and removing its files.
pub(crate) fn sweep(slots: &Path, known: &BTreeSet<AttemptId>) -> io::Result<()> {
    let known: BTreeSet<String> = known.iter().map(ToString::to_string).collect();
    for entry in fs::read_dir(slots)? {
        let entry = entry?;
        let name = entry.file_name();
        if !name.to_str().is_some_and(|name| known.contains(name)) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_shows_inputs_and_is_removed_with_all_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::write(&data, "one").unwrap();
        let slot = Slot::at(dir.path().join("a.1.t0.g1.1"));
        let inputs = [
            Staged::File {
                name: "file".into(),
                path: data.clone(),
            },
            Staged::Directory {
                name: "dir".into(),
                path: dir.path().to_owned(),
                is_cached: false,
            },
        ];
        for _ in 0..2 {
            slot.make(&inputs, None).unwrap();
            fs::write(slot.scratch().join("left over"), "x").unwrap();
        }
        assert_eq!(
            fs::read_to_string(slot.inputs().join("file")).unwrap(),
            "one"
        );
        assert!(slot.inputs().join("dir").is_dir());
        assert!(slot.out().is_dir());
        slot.remove().unwrap();
        slot.remove().unwrap();
        assert!(!dir.path().join("a.1.t0.g1.1").exists());
        assert_eq!(fs::read_to_string(&data).unwrap(), "one");
    }

    #[test]
    fn a_slot_is_removed_however_deep_its_guest_made_it() {
        use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
        let root = tempfile::tempdir().unwrap();
        let slot = Slot::at(root.path().join("a.1.t0.g1.1"));
        slot.make(&[], None).unwrap();
        let flags = OFlags::DIRECTORY | OFlags::RDONLY;
        let name = "n".repeat(200);
        let mut dir = openat(CWD, slot.scratch(), flags, Mode::empty()).unwrap();
        for _ in 0..1_100 {
            mkdirat(&dir, &name, Mode::RWXU).unwrap();
            dir = openat(&dir, &name, flags, Mode::empty()).unwrap();
        }
        slot.remove().unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn slots_of_attempts_that_nobody_knows_are_swept() {
        let dir = tempfile::tempdir().unwrap();
        let known: AttemptId = "a.1.t0.g1.1".parse().unwrap();
        for name in [known.to_string(), "a.1.t0.g1.2".into()] {
            fs::create_dir_all(dir.path().join(name).join("out/deep")).unwrap();
        }
        fs::write(dir.path().join("stray"), "x").unwrap();
        sweep(dir.path(), &BTreeSet::from([known.clone()])).unwrap();
        let left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, [known.to_string().as_str()]);
    }

    #[test]
    fn a_slot_that_cannot_be_made_says_where() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "in the way").unwrap();
        let error = Slot::at(file.join("a.1.t0.g1.1"))
            .make(&[], None)
            .unwrap_err();
        assert!(error.to_string().contains("a.1.t0.g1.1"), "{error}");
    }
}
