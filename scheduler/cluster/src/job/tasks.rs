//! The tasks of a job: the chunks that were touched, and the sums over them,
//! kept as they change so that no verb looks at every chunk of a large job.

use std::collections::{BTreeMap, BTreeSet};

use stint_api::id::{GrantNumber, TaskIndex};
use stint_api::job::JobSpec;
use stint_api::outcome::Usage;
use stint_api::quantity::Bytes;
use stint_api::tasks::TaskList;
use stint_api::view::{AttemptView, TaskCounts, TaskFailure};

use super::Job;
use crate::bitmap::Bitmap;
use crate::chunk::{Chunk, Counts, Settled};
use crate::grants::{Grant, Trouble};
use crate::page::ENTRIES_MAX;
use crate::queue::Shape;

/// What is in memory of a job's tasks; all but the chunks is derived from them.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    /// The touched chunks, from the first, without gaps: pending tasks are granted in order.
    chunks: BTreeMap<u32, Chunk>,
    /// Where each outstanding grant is.
    grants: BTreeMap<GrantNumber, u32>,
    /// Touched chunks with pending tasks of the job's own memory.
    pending: BTreeSet<u32>,
    /// Pending tasks that are tried with more.
    escalated: BTreeMap<Bytes, BTreeSet<TaskIndex>>,
    /// How many of those each chunk has.
    escalated_in: BTreeMap<u32, u32>,
    sums: Sums,
}

/// Sums over the chunks.
#[derive(Debug, Default)]
struct Sums {
    granted: u32,
    succeeded: u32,
    failed: u32,
    entries: u32,
    attempts: u64,
    usage: Usage,
    last_grant: GrantNumber,
}

impl Sums {
    /// Takes in, or out, what the counts of a chunk changed.
    fn replace(&mut self, before: Counts, after: Counts) {
        self.granted = self.granted + after.granted - before.granted;
        self.succeeded = self.succeeded + after.succeeded - before.succeeded;
        self.failed = self.failed + after.failed - before.failed;
    }
}

impl Tasks {
    /// A pending task of the chunk `index` is to be tried with more memory.
    fn escalate(&mut self, index: u32, memory: Bytes, task: TaskIndex) {
        if self.escalated.entry(memory).or_default().insert(task) {
            *self.escalated_in.entry(index).or_default() += 1;
        }
    }

    /// Such tasks of one chunk are pending no more.
    fn calm(&mut self, memory: Bytes, index: u32, granted: &BTreeSet<TaskIndex>) {
        let Some(escalated) = self.escalated.get_mut(&memory) else {
            return;
        };
        for task in granted {
            if escalated.remove(task)
                && let Some(count) = self.escalated_in.get_mut(&index)
            {
                *count -= 1;
            }
        }
        if escalated.is_empty() {
            self.escalated.remove(&memory);
        }
    }
}

impl Job {
    /// Puts a chunk that was read into its place, the next that is untouched;
    /// whether it is possible there.
    pub(crate) fn adopt(&mut self, index: u32, chunk: Chunk) -> bool {
        let Some(empty) = self.untouched(index) else {
            return false;
        };
        let before = empty.counts();
        let chunk = chunk.placed(empty);
        if !chunk.is_sound() {
            return false;
        }
        let tasks = &mut self.tasks;
        let numbers = chunk.grants.keys().map(|number| (*number, index));
        tasks.grants.extend(numbers);
        tasks.sums.replace(before, chunk.counts());
        tasks.sums.entries += chunk.entries;
        tasks.sums.attempts += chunk.attempts;
        tasks.sums.usage.absorb(&chunk.usage);
        tasks.sums.last_grant = tasks.sums.last_grant.max(chunk.last_grant());
        for (memory, task) in chunk.escalated() {
            tasks.escalate(index, memory, task);
        }
        tasks.chunks.insert(index, chunk);
        self.sort(index);
        true
    }

    /// The chunk that `task` is in.
    fn chunk_of(&self, task: TaskIndex) -> u32 {
        task / self.record.chunk_tasks
    }

    /// The first chunk with a task to run that nothing has touched.
    pub(crate) fn next_untouched(&self) -> Option<u32> {
        let last = self.tasks.chunks.keys().next_back();
        let first = last
            .map_or(0, |last| last + 1)
            .checked_mul(self.record.chunk_tasks)?;
        let spec = &self.record.spec;
        let task = match &spec.only {
            None => first,
            Some(only) => only.next_from(first)?,
        };
        (task < spec.tasks).then(|| self.chunk_of(task))
    }

    /// The chunk `index` as it is before anything touches it; nothing beyond the job.
    fn untouched(&self, index: u32) -> Option<Chunk> {
        let spec = &self.record.spec;
        let first = index.checked_mul(self.record.chunk_tasks)?;
        let len = spec.tasks.checked_sub(first)?.min(self.record.chunk_tasks);
        let mut skipped = Bitmap::default();
        if let Some(only) = &spec.only {
            for offset in (0..len).filter(|offset| !only.contains(first + offset)) {
                skipped.insert(offset);
            }
        }
        (len > 0).then(|| Chunk::new(first, len, skipped))
    }

    pub(crate) fn chunks(&self) -> &BTreeMap<u32, Chunk> {
        &self.tasks.chunks
    }

    pub(crate) fn chunk(&self, index: u32) -> Option<&Chunk> {
        self.tasks.chunks.get(&index)
    }

    /// The chunk, to change what no sum follows from.
    pub(crate) fn chunk_mut(&mut self, index: u32) -> Option<&mut Chunk> {
        self.tasks.chunks.get_mut(&index)
    }

    /// The same, and what was submitted.
    pub(crate) fn spec_and_chunk(&mut self, index: u32) -> Option<(&JobSpec, &mut Chunk)> {
        Some((&self.record.spec, self.tasks.chunks.get_mut(&index)?))
    }

    /// The outstanding grant `number`, and its chunk.
    pub(crate) fn grant(&self, number: GrantNumber) -> Option<(u32, &Grant)> {
        let index = *self.tasks.grants.get(&number)?;
        Some((index, self.chunk(index)?.grants.get(&number)?))
    }

    /// The outstanding grant `number`, to change it, and its chunk.
    pub(crate) fn grant_mut(&mut self, number: GrantNumber) -> Option<(u32, &mut Grant)> {
        let index = *self.tasks.grants.get(&number)?;
        let chunk = self.tasks.chunks.get_mut(&index)?;
        Some((index, chunk.grants.get_mut(&number)?))
    }

    /// Outstanding grants, each one slot.
    pub(crate) fn grants(&self) -> impl Iterator<Item = (GrantNumber, u32, &Grant)> {
        let all = self.tasks.grants.iter();
        all.filter_map(|(number, index)| {
            Some((*number, *index, self.chunk(*index)?.grants.get(number)?))
        })
    }

    pub(crate) fn slots(&self) -> usize {
        self.tasks.grants.len()
    }

    /// A number that no grant of this job ever had.
    pub(crate) fn next_grant(&self) -> GrantNumber {
        GrantNumber(self.tasks.sums.last_grant.0 + 1)
    }

    /// Issues a grant of pending tasks of the chunk `index`, touching it if need be.
    pub(crate) fn issue(&mut self, index: u32, number: GrantNumber, grant: Grant) {
        let Some(fresh) = self.untouched(index) else {
            return;
        };
        let tasks = &mut self.tasks;
        let chunk = tasks.chunks.entry(index).or_insert(fresh);
        let before = chunk.counts();
        let (memory, granted) = (grant.memory, grant.tasks.clone());
        chunk.grant(number, grant);
        tasks.sums.replace(before, chunk.counts());
        tasks.grants.insert(number, index);
        tasks.sums.last_grant = tasks.sums.last_grant.max(number);
        if let Some(memory) = memory {
            tasks.calm(memory, index, &granted);
        }
        self.sort(index);
    }

    /// Takes `task` out of its grant and records where it goes; whether the
    /// grant is gone with it. None when there is no such grant.
    pub(crate) fn settle(
        &mut self,
        number: GrantNumber,
        task: TaskIndex,
        to: Settled,
    ) -> Option<bool> {
        let index = *self.tasks.grants.get(&number)?;
        let chunk = self.tasks.chunks.get_mut(&index)?;
        let before = chunk.counts();
        let gone = chunk.settle(number, task, to);
        self.tasks.sums.replace(before, chunk.counts());
        let memory = chunk.trouble(task).memory;
        if let Some(memory) = memory.filter(|_| to == Settled::Pending) {
            self.tasks.escalate(index, memory, task);
        }
        if gone {
            self.tasks.grants.remove(&number);
        }
        self.sort(index);
        Some(gone)
    }

    /// Notes whether a chunk has pending tasks of the job's own memory.
    fn sort(&mut self, index: u32) {
        let tasks = &mut self.tasks;
        let escalated = tasks.escalated_in.get(&index).copied().unwrap_or(0);
        let chunk = tasks.chunks.get(&index);
        if chunk.map_or(0, |chunk| chunk.counts().pending) > escalated {
            tasks.pending.insert(index);
        } else {
            tasks.pending.remove(&index);
        }
    }

    /// The memories that pending tasks are to be tried with: the job's own, or more.
    pub(crate) fn pending_memories(&self) -> impl Iterator<Item = Option<Bytes>> + '_ {
        let is_left = !self.tasks.pending.is_empty() || self.next_untouched().is_some();
        let own = is_left.then_some(None);
        let escalated = self.tasks.escalated.keys();
        own.into_iter().chain(escalated.copied().map(Some))
    }

    /// Counts a run of attempts of the chunk `index` that ended; whether the
    /// history has room for it.
    pub(crate) fn count(&mut self, index: u32, attempt: &AttemptView) -> bool {
        let sums = &mut self.tasks.sums;
        let is_kept = sums.entries < ENTRIES_MAX;
        let Some(chunk) = self.tasks.chunks.get_mut(&index) else {
            return false;
        };
        let attempts = u64::from(attempt.tasks);
        for (count, usage) in [
            (&mut chunk.attempts, &mut chunk.usage),
            (&mut sums.attempts, &mut sums.usage),
        ] {
            *count += attempts;
            usage.absorb(&attempt.usage);
        }
        if is_kept {
            chunk.entries += 1;
            sums.entries += 1;
        } else {
            chunk.dropped += 1;
        }
        is_kept
    }

    /// The next tasks to grant to a slot of that shape: at most `most` pending ones of
    /// one chunk that have been through the same, the lowest index first.
    pub(crate) fn next_run(&self, shape: &Shape, most: usize) -> Option<PendingRun> {
        let memory = shape.need().memory;
        if memory != self.record.spec.memory {
            return self.next_escalated(memory, most);
        }
        let touched = self.tasks.pending.first();
        let run = match touched.and_then(|index| Some((*index, self.chunk(*index)?))) {
            Some((index, chunk)) => PendingRun::of(index, chunk, most),
            None => {
                let next = self.next_untouched()?;
                PendingRun::of(next, &self.untouched(next)?, most)
            }
        };
        (!run.tasks.is_empty()).then_some(run)
    }

    fn next_escalated(&self, memory: Bytes, most: usize) -> Option<PendingRun> {
        let all = self.tasks.escalated.get(&memory)?;
        let index = self.chunk_of(*all.first()?);
        let chunk = self.chunk(index)?;
        let tasks = all.range(..(index + 1) * self.record.chunk_tasks).copied();
        let tasks = chunk.alike_of(tasks, most);
        Some(PendingRun::new(index, chunk, tasks))
    }

    /// How many tasks are where; a task that a job's end left unfinished has failed.
    pub(crate) fn counts(&self) -> TaskCounts {
        let sums = &self.tasks.sums;
        let total = self.record.spec.selected();
        let is_open = self.is_open();
        TaskCounts {
            total,
            pending: match is_open {
                true => total - sums.granted - sums.succeeded - sums.failed,
                false => 0,
            },
            granted: if is_open { sums.granted } else { 0 },
            succeeded: sums.succeeded,
            failed: match is_open {
                true => sums.failed,
                false => total - sums.succeeded,
            },
        }
    }

    /// The lowest task that is not done.
    pub(crate) fn first_unfinished(&self) -> Option<TaskIndex> {
        let touched = self.tasks.chunks.values();
        let touched = touched.filter_map(Chunk::first_unfinished).next();
        touched.or_else(|| {
            let next = self.next_untouched()?;
            self.untouched(next)?.first_unfinished()
        })
    }

    /// Tasks that failed; of a job that is over, every one that did not succeed.
    pub(crate) fn unsuccessful(&self) -> TaskList {
        let is_open = self.is_open();
        let touched = self.tasks.chunks.values();
        let touched = touched.flat_map(|chunk| chunk.unsuccessful(is_open));
        let first = self.next_untouched().filter(|_| !is_open);
        let rest = first.map_or(0..0, |first| {
            first * self.record.chunk_tasks..self.record.spec.tasks
        });
        let runs = |task: &TaskIndex| {
            let only = self.record.spec.only.as_ref();
            only.is_none_or(|only| only.contains(*task))
        };
        TaskList::of(touched.chain(rest.filter(runs)))
    }

    /// How the first failing task ended for good.
    pub(crate) fn first_failure(&self) -> Option<&TaskFailure> {
        let chunks = self.tasks.chunks.values();
        let mut failures = chunks.map(|chunk| &chunk.first_failure);
        failures
            .find_map(Option::as_ref)
            .or(self.record.decree.as_ref())
    }

    /// Attempts that ended, and what they used together.
    pub(crate) fn spent(&self) -> (u64, Usage) {
        (self.tasks.sums.attempts, self.tasks.sums.usage)
    }

    /// Whether its chunks know of an attempt.
    pub(crate) fn has_attempts(&self) -> bool {
        let runs = |(_, _, grant): (_, _, &Grant)| grant.running.is_some();
        self.tasks.sums.attempts > 0 || self.grants().any(runs)
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
        Self::new(index, chunk, chunk.next_alike(most))
    }

    fn new(index: u32, chunk: &Chunk, tasks: BTreeSet<TaskIndex>) -> Self {
        let first = tasks.first().map(|task| chunk.trouble(*task));
        let first = first.unwrap_or_default();
        Self {
            chunk: index,
            tasks,
            trouble: Trouble { tries: 0, ..first },
        }
    }
}
