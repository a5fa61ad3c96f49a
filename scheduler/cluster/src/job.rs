//! A job: its record, and the chunks of it that were touched.
//!
//! ```text
//!            first attempt starts          every task done, all well
//!  queued -----------------------> running ------------------------> succeeded
//!     |                               |    every task done, some not well, or one failed for good
//!     |                               +----------------------------> failed
//!     |             somebody cancels  |
//!     +-------------------------------+----------------------------> cancelled
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use stint_api::id::{Digest, GrantNumber, JobId, TaskIndex};
use stint_api::job::JobSpec;
use stint_api::outcome::Usage;
use stint_api::time::Time;
use stint_api::view::{JobState, TaskCounts, TaskFailure};

use crate::bitmap::CHUNK_TASKS;
use crate::chunk::{Chunk, chunk_of};
use crate::grants::{Grant, Trouble};

/// What is durable about a job, its tasks apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct JobRecord {
    pub(crate) spec: JobSpec,
    pub(crate) submitted_at: Time,
    /// Kept as long as the job is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) idempotency: Option<Idempotency>,
    /// What ended a job whose tasks were not all done; of the lowest that was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) decree: Option<TaskFailure>,
    pub(crate) life: Life,
}

/// Under which key a job was submitted, and with which body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Idempotency {
    pub(crate) key: String,
    pub(crate) body: Digest,
}

/// Where a job is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Life {
    /// No attempt has started.
    Queued,
    /// Some attempt has.
    Running {
        /// When the first did.
        since: Time,
    },
    /// Nothing changes any more.
    Over {
        /// How it ended; a final state.
        state: JobState,
        /// When its first attempt started, if one did.
        since: Option<Time>,
        /// When the last task was done.
        at: Time,
    },
}

/// A job in memory.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) record: JobRecord,
    /// The touched chunks, from the first, without gaps: pending tasks are granted in order.
    chunks: BTreeMap<u32, Chunk>,
    /// Where each outstanding grant is; derived from the chunks.
    grants: BTreeMap<GrantNumber, u32>,
}

impl Job {
    pub(crate) fn new(record: JobRecord) -> Self {
        Self {
            record,
            chunks: BTreeMap::new(),
            grants: BTreeMap::new(),
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.record.life, Life::Over { .. })
    }

    /// Puts a chunk that was read into its place; whether it is possible there.
    pub(crate) fn adopt(&mut self, index: u32, chunk: Chunk) -> bool {
        let Some(empty) = self.untouched(index) else {
            return false;
        };
        let chunk = chunk.placed(index * CHUNK_TASKS, empty.counts().pending);
        let sound = chunk.is_sound();
        if sound {
            let numbers = chunk.grants.keys().map(|number| (*number, index));
            self.grants.extend(numbers);
            self.chunks.insert(index, chunk);
        }
        sound
    }

    /// The chunk `index` as it is before anything touches it; nothing beyond the job.
    fn untouched(&self, index: u32) -> Option<Chunk> {
        let first = index.checked_mul(CHUNK_TASKS)?;
        let len = self.record.spec.tasks.checked_sub(first)?.min(CHUNK_TASKS);
        (len > 0).then(|| Chunk::new(first, len))
    }

    pub(crate) fn chunks(&self) -> &BTreeMap<u32, Chunk> {
        &self.chunks
    }

    pub(crate) fn chunk(&self, index: u32) -> Option<&Chunk> {
        self.chunks.get(&index)
    }

    pub(crate) fn chunk_mut(&mut self, index: u32) -> Option<&mut Chunk> {
        self.chunks.get_mut(&index)
    }

    /// The outstanding grant `number`, and its chunk.
    pub(crate) fn grant(&self, number: GrantNumber) -> Option<(u32, &Grant)> {
        let index = *self.grants.get(&number)?;
        Some((index, self.chunks.get(&index)?.grants.get(&number)?))
    }

    /// The outstanding grant `number`, to change it, and its chunk.
    pub(crate) fn grant_mut(&mut self, number: GrantNumber) -> Option<(u32, &mut Grant)> {
        let index = *self.grants.get(&number)?;
        let chunk = self.chunks.get_mut(&index)?;
        Some((index, chunk.grants.get_mut(&number)?))
    }

    /// Outstanding grants, each one slot.
    pub(crate) fn grants(&self) -> impl Iterator<Item = (GrantNumber, u32, &Grant)> {
        self.grants.iter().filter_map(|(number, index)| {
            Some((*number, *index, self.chunks.get(index)?.grants.get(number)?))
        })
    }

    pub(crate) fn slots(&self) -> usize {
        self.grants.len()
    }

    /// A number that no grant of this job ever had.
    pub(crate) fn next_grant(&self) -> GrantNumber {
        let last = self.chunks.values().map(Chunk::last_grant).max();
        GrantNumber(last.unwrap_or_default().0 + 1)
    }

    /// Issues a grant of pending tasks of the chunk `index`, touching it if need be.
    pub(crate) fn issue(&mut self, index: u32, number: GrantNumber, grant: Grant) {
        let Some(fresh) = self.untouched(index) else {
            return;
        };
        self.grants.insert(number, index);
        let chunk = self.chunks.entry(index).or_insert(fresh);
        chunk.grant(number, grant);
    }

    /// Forgets where a grant was; its chunk has let it go.
    pub(crate) fn forget_grant(&mut self, number: GrantNumber) {
        self.grants.remove(&number);
    }

    /// The next tasks to grant: at most `most` pending ones of one chunk that
    /// have been through the same, the lowest index first.
    pub(crate) fn next_run(&self, most: usize) -> Option<PendingRun> {
        let mut touched = self.chunks.iter();
        let run = match touched.find(|(_, chunk)| chunk.counts().pending > 0) {
            Some((index, chunk)) => PendingRun::of(*index, chunk, most),
            None => {
                let next = self.chunks.keys().next_back().map_or(0, |last| last + 1);
                PendingRun::of(next, &self.untouched(next)?, most)
            }
        };
        (!run.tasks.is_empty()).then_some(run)
    }

    /// How many tasks are where; a task that a job's end left unfinished has failed.
    pub(crate) fn counts(&self) -> TaskCounts {
        let mut sum = TaskCounts {
            total: self.record.spec.tasks,
            ..TaskCounts::default()
        };
        for counts in self.chunks.values().map(Chunk::counts) {
            sum.granted += counts.granted;
            sum.succeeded += counts.succeeded;
            sum.failed += counts.failed;
        }
        if self.is_open() {
            sum.pending = sum.total - sum.granted - sum.succeeded - sum.failed;
        } else {
            sum.granted = 0;
            sum.failed = sum.total - sum.succeeded;
        }
        sum
    }

    /// The lowest task that is not done.
    pub(crate) fn first_unfinished(&self) -> Option<TaskIndex> {
        (0..self.record.spec.tasks).find(|task| {
            self.chunk(chunk_of(*task))
                .is_none_or(|chunk| !chunk.succeeded(*task) && !chunk.failed(*task))
        })
    }

    /// How the first failing task ended for good.
    pub(crate) fn first_failure(&self) -> Option<&TaskFailure> {
        let mut failures = self.chunks.values().map(|chunk| &chunk.first_failure);
        failures
            .find_map(Option::as_ref)
            .or(self.record.decree.as_ref())
    }

    /// Attempts that ended, and what they used together.
    pub(crate) fn spent(&self) -> (u64, Usage) {
        let mut usage = Usage::default();
        let mut attempts = 0;
        for chunk in self.chunks.values() {
            attempts += chunk.attempts;
            usage.absorb(&chunk.usage);
        }
        (attempts, usage)
    }

    /// History entries kept on pages.
    pub(crate) fn entries(&self) -> u32 {
        self.chunks.values().map(|chunk| chunk.entries).sum()
    }

    /// The state, as the API names it.
    pub(crate) fn state(&self) -> JobState {
        match self.record.life {
            Life::Queued => JobState::Queued,
            Life::Running { .. } => JobState::Running,
            Life::Over { state, .. } => state,
        }
    }

    /// When the first attempt started.
    pub(crate) fn started_at(&self) -> Option<Time> {
        match self.record.life {
            Life::Queued => None,
            Life::Running { since } => Some(since),
            Life::Over { since, .. } => since,
        }
    }

    /// Whether its chunks know of an attempt.
    pub(crate) fn has_attempts(&self) -> bool {
        self.chunks.values().any(|chunk| {
            chunk.attempts > 0 || chunk.grants.values().any(|grant| grant.running.is_some())
        })
    }

    /// An attempt starts; whether it is the first.
    pub(crate) fn start(&mut self, now: Time) -> bool {
        let first = matches!(self.record.life, Life::Queued);
        if first {
            self.record.life = Life::Running { since: now };
        }
        first
    }

    /// Ends the job, if it is not over yet: no task of it is granted any more.
    pub(crate) fn end(&mut self, state: JobState, at: Time) -> bool {
        let open = self.is_open();
        if open {
            let since = self.started_at();
            self.record.life = Life::Over { state, since, at };
        }
        open
    }
}

/// Pending tasks that one grant may hold: the same budget is left to each.
#[derive(Debug)]
pub(crate) struct PendingRun {
    pub(crate) chunk: u32,
    pub(crate) tasks: BTreeSet<TaskIndex>,
    pub(crate) trouble: Trouble,
}

impl PendingRun {
    fn of(index: u32, chunk: &Chunk, most: usize) -> Self {
        let been_through = |task: TaskIndex| Trouble {
            tries: 0,
            ..chunk.trouble(task)
        };
        let mut pending = chunk.pending().peekable();
        let trouble = pending.peek().map(|task| been_through(*task));
        let trouble = trouble.unwrap_or_default();
        Self {
            chunk: index,
            tasks: pending
                .filter(|task| been_through(*task) == trouble)
                .take(most)
                .collect(),
            trouble,
        }
    }
}

/// The job's place among those that wait: higher priority, then who came first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    priority: std::cmp::Reverse<i32>,
    submitted_at: Time,
    pub(crate) job: JobId,
}

impl Place {
    pub(crate) fn of(id: &JobId, record: &JobRecord) -> Self {
        Self {
            priority: std::cmp::Reverse(record.spec.priority),
            submitted_at: record.submitted_at,
            job: id.clone(),
        }
    }
}
