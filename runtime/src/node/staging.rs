//! Inputs: from a URL to a file or directory that a guest may read.
//!
//! ```text
//! a file here            linked into the cache (or copied, across disks)
//! a directory here       shown as it is
//! an object elsewhere    streamed into the cache
//! many (`*`, `s3://b/p/`)   a directory of them in the cache
//! ```
//!
//! The cache is keyed by what names a content: the digest that the job pinned, else what
//! the source says of its version, else the bytes. A job with many tasks stages its inputs
//! once; a source that was replaced meanwhile is not mixed up with its successor. On a node
//! of root's a job runs as a user of its own, who must be able to read what it is given.

mod local;
mod piece;
mod remote;
mod set;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};
use stint_api::client::Client;
use stint_api::id::{Digest, JobId, TaskIndex};
use stint_api::job::Input;
use stint_api::outcome::Outcome;
use stint_objects::{Location, ObjectError, Objects, Piece, Reach, Selection, shown};
use tokio::task::spawn_blocking;

use super::cache;
use super::dir::Dir;
use super::explain::explain;
use super::fetch::FetchError;

pub(crate) use local::link_or_copy;

/// Most bytes of staged inputs: what a data set of a few jobs takes.
const CACHE_BYTES_MAX: u64 = 64 << 30;
/// Most bytes of one input: beside it the cache still holds as much of others.
const INPUT_BYTES_MAX: u64 = CACHE_BYTES_MAX / 2;
/// Most inputs of jobs that are remembered; one that is not is asked for again.
const KNOWN_MAX: usize = 4_096;
/// In the cache, before a name of its own: what is not whole yet.
const UNFINISHED: &str = "new-";

/// An input at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Staged {
    /// A file in the cache.
    File {
        /// Its name under `/in`.
        name: String,
        /// Where it is.
        path: PathBuf,
    },
    /// A directory.
    Directory {
        /// Its name under `/in`.
        name: String,
        /// Where it is.
        path: PathBuf,
        /// Whether it is in the cache, which must keep it as long as a slot shows it.
        is_cached: bool,
    },
}

/// An input cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StageError {
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error(transparent)]
    Location(#[from] stint_objects::LocationError),
    #[error("neither a file nor a directory")]
    Kind,
    #[error(
        "the directory is kept from others, and its job would run as a user of its own; let others enter and read it: chmod o+rx"
    )]
    Private,
    #[error("a directory has no sha256; pin its files one by one")]
    PinnedDirectory,
    #[error("cannot copy it to {}", path.display())]
    Copy {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("its bytes have the digest {found}, and the job wants {wanted}")]
    Digest { wanted: Digest, found: Digest },
    #[error("it has more than {INPUT_BYTES_MAX} bytes, the most of one input")]
    TooLarge,
    #[error("`{name}` is another than when it was listed")]
    Replaced { name: String },
    #[error("the list of its objects")]
    List(#[from] FetchError),
    #[error("the node process failed")]
    Broke(#[from] tokio::task::JoinError),
}

/// Locks of what is fetched, by what it is: whoever wants the same waits for the first.
type Flights = BTreeMap<String, Arc<tokio::sync::Mutex<()>>>;

/// Stages inputs into a cache.
#[derive(Debug)]
pub(crate) struct Staging {
    cache: PathBuf,
    /// Slots, which may show directories of the cache.
    slots: PathBuf,
    objects: Objects,
    /// Where lists of split inputs come from, and where they are kept.
    client: Client,
    files: PathBuf,
    lists: Mutex<Vec<(Digest, Arc<Vec<Piece>>)>>,
    flights: Mutex<Flights>,
    /// Which entry an input of a job was found to be: its tasks here all read that version.
    known: Mutex<BTreeMap<(JobId, String), String>>,
}

impl Staging {
    /// Stages into the cache of `dir` what `reach` allows; what an earlier process began is removed.
    pub(crate) fn new(dir: &Dir, client: Client, reach: Reach) -> Self {
        let (cache, slots) = (dir.inputs(), dir.slots());
        for entry in std::fs::read_dir(&cache).into_iter().flatten().flatten() {
            let is_unfinished = entry.file_name().to_string_lossy().starts_with(UNFINISHED);
            if is_unfinished && let Err(error) = cache::remove(&entry.path()) {
                tracing::warn!(%error, "half an input stays in the cache until that is trimmed");
            }
        }
        Self {
            cache,
            slots,
            objects: Objects::new(reach),
            client,
            files: dir.files(),
            lists: Mutex::default(),
            flights: Mutex::default(),
            known: Mutex::default(),
        }
    }

    /// Stages every input of a task of `job`.
    ///
    /// # Errors
    /// `input-unavailable`, with the name of the first that cannot be had, and why.
    pub(crate) async fn stage_all(
        &self,
        job: &JobId,
        task: TaskIndex,
        inputs: &[Input],
    ) -> Result<Vec<Staged>, Outcome> {
        let mut staged = Vec::with_capacity(inputs.len());
        for input in inputs {
            let one = self.stage(job, task, input).await;
            staged.push(one.map_err(|error| Outcome::InputUnavailable {
                which: format!(
                    "`{}` ({}): {}",
                    input.name,
                    shown(&input.url),
                    explain(&error)
                ),
            })?);
        }
        Ok(staged)
    }

    async fn stage(
        &self,
        job: &JobId,
        task: TaskIndex,
        input: &Input,
    ) -> Result<Staged, StageError> {
        let name = input.name.clone();
        if let Some(listing) = &input.listing {
            let path = self.piece(job, task, listing).await?;
            return Ok(Staged::File { name, path });
        }
        match input.url.parse()? {
            Selection::One(Location::File(path)) => self.file(name, path, input.sha256).await,
            Selection::One(location) => {
                let entry = self
                    .object(job, &input.url, &location, input.sha256)
                    .await?;
                let path = entry.join(DATA);
                Ok(Staged::File { name, path })
            }
            all @ Selection::All { .. } => {
                let entry = self.set(job, &input.url, &all).await?;
                Ok(Staged::Directory {
                    name,
                    path: entry.join(DATA),
                    is_cached: true,
                })
            }
        }
    }

    /// A file or directory of this machine.
    async fn file(
        &self,
        name: String,
        path: PathBuf,
        wanted: Option<Digest>,
    ) -> Result<Staged, StageError> {
        let (cache, slots) = (self.cache.clone(), self.slots.clone());
        let objects = self.objects.clone();
        let staged = spawn_blocking(move || {
            let site = local::Site { cache, slots };
            site.stage(objects.reach(), name, &path, wanted)
        });
        staged.await?
    }

    /// The entry that an input of a job was found to be, if it is still there.
    fn known(&self, job: &JobId, url: &str) -> Option<PathBuf> {
        let key = (job.clone(), url.to_owned());
        let entry = self.cache.join(lock(&self.known).get(&key)?);
        is_at_hand(&entry).then_some(entry)
    }

    fn remember(&self, job: &JobId, url: &str, key: String) {
        let mut known = lock(&self.known);
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert((job.clone(), url.to_owned()), key);
    }

    /// What everybody who wants `what` holds in turn.
    fn flight(&self, what: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut flights = lock(&self.flights);
        flights.retain(|_, flight| Arc::strong_count(flight) > 1);
        Arc::clone(flights.entry(what.to_owned()).or_default())
    }

    /// Where something is made that is not whole yet.
    fn unfinished(&self) -> Result<PathBuf, StageError> {
        let number = super::dir::random();
        let number = number.map_err(copy_error(&self.cache))?;
        Ok(self.cache.join(format!("{UNFINISHED}{number:016x}")))
    }

    /// Gives what is whole its name in the cache; the oldest entries make room.
    async fn keep(&self, unfinished: PathBuf, key: &str) -> Result<PathBuf, StageError> {
        let entry = self.cache.join(key);
        let (cache, slots, kept) = (self.cache.clone(), self.slots.clone(), entry.clone());
        let keep = spawn_blocking(move || {
            local::keep(&unfinished, &kept)?;
            trim(&cache, &slots, &kept)
        });
        keep.await?.map_err(copy_error(&entry))?;
        Ok(entry)
    }
}

/// Whether an entry is there, whole; it is used now.
fn is_at_hand(entry: &Path) -> bool {
    entry.join(DATA).exists() && cache::touch(entry).is_ok()
}

/// The content of an entry.
const DATA: &str = "data";
/// In a slot: the names of the entries of the cache that it shows.
const HOLDS: &str = "holds";

/// Makes a slot hold entries, so that they stay as long as it does.
pub(crate) fn hold(slot: &Path, staged: &[Staged]) -> io::Result<()> {
    let mut names = String::new();
    for one in staged {
        if let Staged::Directory {
            path,
            is_cached: true,
            ..
        } = one
            && let Some(name) = path.parent().and_then(Path::file_name)
        {
            names.push_str(&name.to_string_lossy());
            names.push('\n');
        }
    }
    match names.is_empty() {
        true => Ok(()),
        false => std::fs::write(slot.join(HOLDS), names),
    }
}

/// Brings the cache below its size, but for `keep` and what slots hold.
fn trim(cache: &Path, slots: &Path, keep: &Path) -> io::Result<()> {
    let held = held(cache, slots)?;
    let keeps = |entry: &Path| entry == keep || held.iter().any(|held| held == entry);
    cache::trim_but(cache, CACHE_BYTES_MAX, keeps)
}

/// The entries that slots hold.
fn held(cache: &Path, slots: &Path) -> io::Result<Vec<PathBuf>> {
    let mut held = Vec::new();
    for slot in std::fs::read_dir(slots)? {
        let names = std::fs::read_to_string(slot?.path().join(HOLDS));
        held.extend(
            names
                .unwrap_or_default()
                .lines()
                .map(|name| cache.join(name)),
        );
    }
    Ok(held)
}

/// The name of an entry for what `parts` say of a content.
fn key(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    Digest(hash.finalize().into()).hex()
}

/// The name of an entry whose content has a digest.
fn key_of(content: &Digest) -> String {
    format!("sha256-{}", content.hex())
}

fn copy_error(path: &Path) -> impl FnOnce(io::Error) -> StageError + use<> {
    let path = path.to_owned();
    |source| StageError::Copy { path, source }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
