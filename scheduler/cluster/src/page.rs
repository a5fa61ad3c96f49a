//! Pages: how attempts of a chunk ended, and what its tasks returned. Written
//! once, never kept in memory; whoever asks reads them from the store.
//!
//! A page is written before the chunk record that counts it. What a store
//! holds beyond the count was cut off by a crash and is ignored, then
//! overwritten; so an attempt stands on a page exactly when its chunk knows it.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stint_api::id::{JobId, TaskIndex};
use stint_api::time::Time;
use stint_api::view::{AttemptView, ResultLine};

use crate::chunk::Chunk;
use crate::key::RecordKey;
use crate::record::{RecordError, from_bytes};

/// History entries kept of one job, the oldest; results are always kept.
/// Ten thousand lines are more than a person reads and a few MiB on disk.
pub(crate) const ENTRIES_MAX: u32 = 10_000;
/// A page that is this large is closed: a store takes 1 MiB at once.
const PAGE_BYTES: usize = 256 << 10;
/// What an entry takes at most, its outcome's text apart; an estimate for [`PAGE_BYTES`].
const ENTRY_BYTES: usize = 512;

/// What one batch of reports says about one chunk, or a part of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Page {
    /// When the scheduler heard it; orders the pages of different chunks.
    at: Time,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) attempts: Vec<AttemptView>,
    /// Of committed attempts only.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    results: BTreeMap<TaskIndex, Box<RawValue>>,
}

/// A page, read for its attempts.
#[derive(Debug, Deserialize)]
struct AttemptsOfPage {
    at: Time,
    #[serde(default)]
    attempts: Vec<AttemptView>,
}

/// Gathers what happened to one chunk into as few pages as the limit allows.
#[derive(Debug, Default)]
pub(crate) struct PageDraft {
    pages: Vec<Page>,
    /// Estimated bytes of the last page.
    bytes: usize,
}

impl PageDraft {
    fn room(&mut self, now: Time, bytes: usize) -> &mut Page {
        if self.pages.is_empty() || self.bytes + bytes > PAGE_BYTES {
            self.bytes = 0;
            self.pages.push(Page {
                at: now,
                ..Page::default()
            });
        }
        self.bytes += bytes;
        let last = self.pages.len() - 1;
        &mut self.pages[last]
    }

    /// Adds a run of attempts that ended alike.
    pub(crate) fn attempt(&mut self, now: Time, attempt: AttemptView) {
        let bytes = ENTRY_BYTES + attempt.outcome.to_string().len();
        let bytes = bytes + outcome_bytes(&attempt);
        self.room(now, bytes).attempts.push(attempt);
    }

    /// Adds what a task returned.
    pub(crate) fn result(&mut self, now: Time, task: TaskIndex, result: Box<RawValue>) {
        let bytes = result.get().len() + 16;
        self.room(now, bytes).results.insert(task, result);
    }

    pub(crate) fn into_pages(self) -> Vec<Page> {
        self.pages
    }
}

/// Text that the line for people leaves out.
fn outcome_bytes(attempt: &AttemptView) -> usize {
    match &attempt.outcome {
        stint_api::outcome::Outcome::Trapped { backtrace, .. } => backtrace.len(),
        _ => 0,
    }
}

/// Which pages a job has, as of the moment it was asked for.
#[derive(Clone, Debug)]
pub struct PageIndex {
    job: JobId,
    counts: BTreeMap<u32, u32>,
    entries: usize,
    truncated: bool,
    chunk_tasks: u32,
    /// Results of earlier tasks are not wanted.
    first: TaskIndex,
}

/// What the pages of a job say.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Attempts that ended, oldest first.
    pub attempts: Vec<AttemptView>,
    /// What the tasks returned that succeeded, ascending by task.
    pub results: Vec<ResultLine>,
    /// Whether attempts beyond the first ten thousand runs were counted but not kept.
    pub truncated: bool,
}

impl PageIndex {
    pub(crate) fn new(job: JobId, chunks: &BTreeMap<u32, Chunk>, chunk_tasks: u32) -> Self {
        let counts = chunks.iter().map(|(index, chunk)| (*index, chunk.pages));
        let entries = chunks.values().map(|chunk| chunk.entries as usize);
        Self {
            job,
            counts: counts.collect(),
            entries: entries.sum(),
            truncated: chunks.values().any(|chunk| chunk.dropped > 0),
            chunk_tasks,
            first: 0,
        }
    }

    /// How many attempts the pages hold together.
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Those with results of the task `first` and later ones, and of no others.
    #[must_use]
    pub fn since(mut self, first: TaskIndex) -> Self {
        let chunk = first / self.chunk_tasks;
        self.counts = self.counts.split_off(&chunk);
        self.first = first;
        self
    }

    /// What to load after: the keys of all pages are greater.
    pub fn start(&self) -> String {
        RecordKey::before_pages(&self.job, self.first / self.chunk_tasks)
    }

    /// Prefix of the keys to load and give to [`Self::read`].
    pub fn prefix(&self) -> String {
        RecordKey::pages_of(&self.job)
    }

    /// Reads loaded records, in any order; those that the index does not count are ignored.
    ///
    /// # Errors
    /// A record that it counts cannot be read.
    pub fn read<'a>(
        &self,
        records: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<History, RecordError> {
        let mut attempts = Vec::new();
        let mut results = BTreeMap::new();
        for page in self.pages(records, |page: &Page| page.at)? {
            attempts.extend(page.attempts);
            results.extend(page.results);
        }
        Ok(History {
            attempts,
            results: results
                .split_off(&self.first)
                .into_iter()
                .map(|(task, result)| ResultLine { task, result })
                .collect(),
            truncated: self.truncated,
        })
    }

    /// The same, without the results, over which it passes quickly.
    ///
    /// # Errors
    /// A record that it counts cannot be read.
    pub fn read_attempts<'a>(
        &self,
        records: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Vec<AttemptView>, RecordError> {
        let pages = self.pages(records, |page: &AttemptsOfPage| page.at)?;
        Ok(pages.into_iter().flat_map(|page| page.attempts).collect())
    }

    /// Whether attempts beyond those on the pages were counted but not kept.
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// The pages that the index counts, in the order in which they were written.
    fn pages<'a, T: DeserializeOwned>(
        &self,
        records: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        at: impl Fn(&T) -> Time,
    ) -> Result<Vec<T>, RecordError> {
        let mut pages = Vec::new();
        for (text, bytes) in records {
            let Ok(key) = text.parse::<RecordKey>() else {
                continue;
            };
            let RecordKey::Page(job, chunk, seq) = &key else {
                continue;
            };
            if *job == self.job && self.counts.get(chunk).is_some_and(|count| seq < count) {
                let page: T = from_bytes(&key, bytes)?;
                pages.push(((at(&page), *chunk, *seq), page));
            }
        }
        pages.sort_by_key(|(place, _)| *place);
        Ok(pages.into_iter().map(|(_, page)| page).collect())
    }
}
