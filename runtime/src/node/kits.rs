//! What a script needs beside its module: the kit's files, laid out once for all
//! attempts that read them, and the script itself.
//!
//! ```text
//! files/<digest>               fetched, as it came
//! kits/<manifest's digest>/0/  the first of the kit's directories, as a guest sees it
//! slots/<attempt>/kit          a link to the layout that the attempt reads: it stays meanwhile
//! slots/<attempt>/script/      the script, and what lies beside it, under their names
//! ```

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use stint_api::client::Client;
use stint_api::id::Digest;
use stint_api::kit::{MANIFEST_BYTES_MAX, Manifest};
use stint_api::link::KitPlan;
use stint_api::outcome::Outcome;

use super::cache;
use super::dir;
use super::explain::explain;
use super::fetch::{Blob, FetchError, fetch};
use super::modules::blocking;
use super::slot::Slot;
use super::staging::link_or_copy;

/// Most layouts that are kept: the kits that a cluster uses, and their last versions.
const LAYOUTS_MAX: usize = 16;
/// In a slot: the link to the layout that its attempt reads.
const LINK: &str = "kit";

/// What a script needs cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KitError {
    #[error("fetch {digest}")]
    Fetch {
        digest: Digest,
        #[source]
        source: FetchError,
    },
    #[error("the list of the kit's files cannot be read: {why}")]
    Manifest { why: String },
    #[error("lay out {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// A directory of a kit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KitDir {
    /// Where it is on this machine.
    pub(crate) host: PathBuf,
    /// Where the guest sees it.
    pub(crate) guest: String,
}

/// What one attempt needs beside its module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Beside {
    /// Where the kit's files are laid out, if it has some.
    layout: Option<PathBuf>,
    /// The kit's directories.
    pub(crate) dirs: Vec<KitDir>,
    /// The script and what lies beside it, each as it was fetched, and its name.
    files: Vec<(PathBuf, String)>,
    /// The directory in which the guest sees it.
    pub(crate) scripts: String,
}

/// The kits of this node.
#[derive(Debug)]
pub(crate) struct Kits {
    client: Client,
    files: PathBuf,
    layouts: PathBuf,
    slots: PathBuf,
    /// One layout is made at a time: it is made once.
    making: tokio::sync::Mutex<()>,
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> KitError + use<> {
    let path = path.to_owned();
    |source| KitError::Io { path, source }
}

impl Kits {
    pub(crate) fn new(client: Client, dir: &dir::Dir) -> Self {
        Self {
            client,
            files: dir.files(),
            layouts: dir.kits(),
            slots: dir.slots(),
            making: tokio::sync::Mutex::new(()),
        }
    }

    /// What an attempt under `plan` needs; fetched where it is not there yet.
    ///
    /// # Errors
    /// The outcome of the attempt.
    pub(crate) async fn ready(&self, plan: &KitPlan) -> Result<Beside, Outcome> {
        let step = |error: KitError| Outcome::StartFailed {
            step: format!("kit: {}", explain(&error)),
        };
        let mut files = Vec::new();
        for (name, digest) in plan.script.all() {
            let path = self.fetch(digest).await.map_err(step)?;
            files.push((path, name.to_owned()));
        }
        let mut beside = Beside {
            layout: None,
            dirs: Vec::new(),
            files,
            scripts: plan.scripts.clone(),
        };
        if let Some(digest) = &plan.files {
            let path = self.fetch(digest).await.map_err(step)?;
            let manifest = blocking(move || read(&path)).await?.map_err(step)?;
            let layout = self.layouts.join(digest.hex());
            self.lay_out(&manifest, &layout).await.map_err(step)?;
            beside.dirs = dirs(&manifest, &layout);
            beside.layout = Some(layout);
        }
        Ok(beside)
    }

    async fn fetch(&self, digest: &Digest) -> Result<PathBuf, KitError> {
        let fetched = fetch(&self.client, Blob::File, &self.files, digest).await;
        let path = fetched.map_err(|source| KitError::Fetch {
            digest: *digest,
            source,
        })?;
        // What is used stays; one that was trimmed just now is missed by whoever links it.
        drop(cache::touch(&path));
        Ok(path)
    }

    async fn lay_out(&self, manifest: &Manifest, layout: &Path) -> Result<(), KitError> {
        let _alone = self.making.lock().await;
        if cache::touch(layout).is_ok() {
            return Ok(());
        }
        for file in manifest.files() {
            self.fetch(&file.digest).await?;
        }
        let (manifest, files, to) = (manifest.clone(), self.files.clone(), layout.to_owned());
        let (layouts, slots) = (self.layouts.clone(), self.slots.clone());
        let made = blocking(move || {
            make(&manifest, &files, &to)?;
            trim(&layouts, &slots, &to).map_err(at(&layouts))
        });
        made.await.map_err(|outcome| KitError::Io {
            path: layout.to_owned(),
            source: io::Error::other(outcome.to_string()),
        })?
    }
}

impl Beside {
    /// Puts it into a slot that is made.
    pub(crate) fn put(&self, slot: &Slot) -> io::Result<()> {
        let scripts = slot.scripts();
        fs::create_dir(&scripts)?;
        for (path, name) in &self.files {
            link_or_copy(&File::open(path)?, &scripts.join(name))?;
        }
        match &self.layout {
            Some(layout) => symlink(layout, slot.root().join(LINK)),
            None => Ok(()),
        }
    }
}

/// The list of a kit's files.
fn read(path: &Path) -> Result<Manifest, KitError> {
    let wrong = |why: String| KitError::Manifest { why };
    let bytes = fs::metadata(path).map_err(at(path))?.len();
    if bytes > MANIFEST_BYTES_MAX {
        return Err(wrong(format!(
            "{bytes} bytes; at most {MANIFEST_BYTES_MAX}"
        )));
    }
    let text = fs::read(path).map_err(at(path))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    manifest
        .validate()
        .map_err(|error| wrong(error.to_string()))?;
    Ok(manifest)
}

fn dirs(manifest: &Manifest, layout: &Path) -> Vec<KitDir> {
    let dirs = manifest.dirs.iter().enumerate();
    dirs.map(|(number, dir)| KitDir {
        host: layout.join(number.to_string()),
        guest: dir.at.clone(),
    })
    .collect()
}

/// Lays files out at `to`: all of them, or nothing.
fn make(manifest: &Manifest, files: &Path, to: &Path) -> Result<(), KitError> {
    let number = dir::random().map_err(at(to))?;
    let temporary = to.with_added_extension(format!("{number:016x}.new"));
    let filled =
        fill(manifest, files, &temporary).and_then(|()| fs::rename(&temporary, to).map_err(at(to)));
    if filled.is_err() {
        drop(cache::remove(&temporary));
    }
    filled
}

fn fill(manifest: &Manifest, files: &Path, layout: &Path) -> Result<(), KitError> {
    for (number, dir) in manifest.dirs.iter().enumerate() {
        let root = layout.join(number.to_string());
        fs::create_dir_all(&root).map_err(at(&root))?;
        for file in &dir.files {
            let place = root.join(&file.path);
            let link = || {
                if let Some(parent) = place.parent() {
                    fs::create_dir_all(parent)?;
                }
                link_or_copy(&File::open(files.join(file.digest.hex()))?, &place)
            };
            link().map_err(at(&place))?;
        }
    }
    Ok(())
}

/// Removes layouts beyond [`LAYOUTS_MAX`], those used longest ago first; one that an
/// attempt reads stays, and `keep` does.
fn trim(layouts: &Path, slots: &Path, keep: &Path) -> io::Result<()> {
    let mut read = BTreeSet::from([keep.to_owned()]);
    for slot in fs::read_dir(slots)? {
        read.extend(fs::read_link(slot?.path().join(LINK)).ok());
    }
    let mut all = Vec::new();
    for entry in fs::read_dir(layouts)? {
        let entry = entry?;
        all.push((entry.metadata()?.modified()?, entry.path()));
    }
    all.sort();
    let beyond = all.len().saturating_sub(LAYOUTS_MAX);
    let unread = all.iter().filter(|(_, path)| !read.contains(path));
    for (_, path) in unread.take(beyond) {
        cache::remove(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use stint_api::kit::{ManifestDir, ManifestFile};
    use stint_api::quantity::Bytes;

    use super::*;

    fn manifest() -> Manifest {
        let file = |path: &str, byte| ManifestFile {
            path: path.into(),
            digest: Digest([byte; 32]),
            bytes: Bytes(1),
        };
        Manifest {
            dirs: vec![
                ManifestDir {
                    at: "/lib".into(),
                    files: vec![file("a.zip", 1)],
                },
                ManifestDir {
                    at: "/lib/a.zip/data".into(),
                    files: vec![file("x/y", 2), file("x/z", 1)],
                },
            ],
        }
    }

    fn fetched(dir: &Path) {
        for byte in [1, 2] {
            fs::write(dir.join(Digest([byte; 32]).hex()), [byte]).unwrap();
        }
    }

    #[test]
    fn files_are_laid_out_as_the_guest_sees_them_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let (files, layout) = (root.path().join("files"), root.path().join("layout"));
        fs::create_dir(&files).unwrap();
        assert!(make(&manifest(), &files, &layout).is_err());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        fetched(&files);
        make(&manifest(), &files, &layout).unwrap();
        let seen = dirs(&manifest(), &layout);
        assert_eq!(seen[1].guest, "/lib/a.zip/data");
        assert_eq!(fs::read(seen[0].host.join("a.zip")).unwrap(), [1]);
        assert_eq!(fs::read(seen[1].host.join("x/y")).unwrap(), [2]);
    }

    #[test]
    fn a_layout_that_an_attempt_reads_is_not_trimmed() {
        let root = tempfile::tempdir().unwrap();
        let (layouts, slots) = (root.path().join("kits"), root.path().join("slots"));
        fs::create_dir_all(slots.join("a")).unwrap();
        for number in 0..=LAYOUTS_MAX {
            fs::create_dir_all(layouts.join(format!("{number:02}/0"))).unwrap();
        }
        let oldest = std::time::SystemTime::UNIX_EPOCH;
        let file = File::open(layouts.join("00")).unwrap();
        file.set_modified(oldest).unwrap();
        symlink(layouts.join("00"), slots.join("a").join(LINK)).unwrap();
        trim(&layouts, &slots, &layouts.join("16")).unwrap();
        assert!(layouts.join("00").exists());
        assert_eq!(fs::read_dir(&layouts).unwrap().count(), LAYOUTS_MAX);
    }
}
