//! Some tasks of a job: what is durable about them, in one small record.
//!
//! ```text
//!               grant                     final, well
//!  pending ---------------> granted ------------------------> succeeded
//!     ^                        |  \  final, not well
//!     |  returned, node lost   |   +------------------------> failed
//!     +------------------------+
//! ```
//!
//! A task is pending when no bitmap has it, and the job runs it at all. A job that is over by decree
//! (cancelled, or failed for good) has its unfinished tasks failed by its own
//! record; their bits stay as they are and mean nothing any more.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use stint_api::id::{GrantNumber, TaskIndex};
use stint_api::outcome::Usage;
use stint_api::quantity::Bytes;
use stint_api::view::TaskFailure;

use crate::bitmap::{Bitmap, absent};
use crate::grants::{Grant, Trouble};

/// A chunk, as it is kept and as it is recorded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Chunk {
    succeeded: Bitmap,
    failed: Bitmap,
    /// Grants outstanding.
    pub(crate) grants: BTreeMap<GrantNumber, Grant>,
    /// Unfinished tasks that something went wrong with.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    troubles: BTreeMap<TaskIndex, Trouble>,
    /// The first of its tasks that failed for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) first_failure: Option<TaskFailure>,
    /// The highest grant ever issued here; numbers are not reused.
    last_grant: GrantNumber,
    /// Pages written; what a store holds beyond was never committed.
    pub(crate) pages: u32,
    /// History entries on the pages.
    pub(crate) entries: u32,
    /// History entries not kept, to bound the history.
    pub(crate) dropped: u64,
    /// Attempts that ended.
    pub(crate) attempts: u64,
    /// What they used together.
    pub(crate) usage: Usage,
    /// Union of the grants' tasks; rebuilt from them.
    #[serde(skip)]
    granted: Bitmap,
    /// Tasks that the job does not run; set by the job.
    #[serde(skip)]
    skipped: Bitmap,
    /// Tasks of this chunk: fewer in a job's last; set by the job.
    #[serde(skip)]
    len: u32,
    /// Index of the first task; set by the job.
    #[serde(skip)]
    first: TaskIndex,
}

/// How many tasks of a chunk are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) pending: u32,
    pub(crate) granted: u32,
    pub(crate) succeeded: u32,
    pub(crate) failed: u32,
}

impl Chunk {
    /// An untouched chunk, without the tasks that the job skips.
    pub(crate) fn new(first: TaskIndex, len: u32, skipped: Bitmap) -> Self {
        Self {
            first,
            len,
            skipped,
            ..Self::default()
        }
    }

    /// A chunk as it was read, in the place of one that is untouched.
    pub(crate) fn placed(mut self, place: Self) -> Self {
        (self.first, self.len) = (place.first, place.len);
        self.skipped = place.skipped;
        let first = self.first;
        self.granted = Bitmap::default();
        for task in self.grants.values().flat_map(|grant| &grant.tasks) {
            self.granted.insert(task.wrapping_sub(first));
        }
        self
    }

    /// Whether what was read is possible: every task at one place, within the chunk.
    pub(crate) fn is_sound(&self) -> bool {
        let held: usize = self.grants.values().map(|grant| grant.tasks.len()).sum();
        let places = [&self.succeeded, &self.failed, &self.granted, &self.skipped];
        let in_places = |offset| places.iter().filter(|set| set.contains(offset)).count();
        let fits = |set: &Bitmap| set.iter().all(|o| o < self.len && in_places(o) == 1);
        held == self.granted.count() as usize && places.into_iter().all(fits)
    }

    pub(crate) fn counts(&self) -> Counts {
        let (succeeded, failed) = (self.succeeded.count(), self.failed.count());
        let granted = self.granted.count();
        Counts {
            pending: self.len - self.skipped.count() - succeeded - failed - granted,
            granted,
            succeeded,
            failed,
        }
    }

    pub(crate) fn succeeded(&self, task: TaskIndex) -> bool {
        self.succeeded.contains(task.wrapping_sub(self.first))
    }

    pub(crate) fn failed(&self, task: TaskIndex) -> bool {
        self.failed.contains(task.wrapping_sub(self.first))
    }

    /// Tasks that no node holds and that are not done, ascending.
    pub(crate) fn pending(&self) -> impl Iterator<Item = TaskIndex> + '_ {
        let elsewhere = [&self.succeeded, &self.failed, &self.granted, &self.skipped];
        absent(elsewhere, self.len).map(|offset| self.first + offset)
    }

    pub(crate) fn last_grant(&self) -> GrantNumber {
        self.last_grant
    }

    /// Whether the job runs `task` at all.
    pub(crate) fn runs(&self, task: TaskIndex) -> bool {
        !self.skipped.contains(task.wrapping_sub(self.first))
    }

    /// What `task` has been through.
    pub(crate) fn trouble(&self, task: TaskIndex) -> Trouble {
        self.troubles.get(&task).cloned().unwrap_or_default()
    }

    /// Whether the two have been through the same, the tries under a grant apart.
    fn alike(&self, one: TaskIndex, other: TaskIndex) -> bool {
        match (self.troubles.get(&one), self.troubles.get(&other)) {
            (None, None) => true,
            (Some(one), Some(other)) => one.is_like(other),
            (Some(one), None) | (None, Some(one)) => one.is_like(&Trouble::default()),
        }
    }

    /// At most `most` pending tasks of the job's own memory that have been through
    /// the same as the first.
    pub(crate) fn next_alike(&self, most: usize) -> BTreeSet<TaskIndex> {
        let escalated = |task: &TaskIndex| {
            let trouble = self.troubles.get(task);
            trouble.is_some_and(|trouble| trouble.memory.is_some())
        };
        self.alike_of(self.pending().filter(|task| !escalated(task)), most)
    }

    /// At most `most` of these tasks that have been through the same as the first.
    pub(crate) fn alike_of(
        &self,
        tasks: impl Iterator<Item = TaskIndex>,
        most: usize,
    ) -> BTreeSet<TaskIndex> {
        let mut tasks = tasks.peekable();
        let Some(first) = tasks.peek().copied() else {
            return BTreeSet::new();
        };
        let alike = tasks.filter(|task| self.alike(first, *task));
        alike.take(most).collect()
    }

    /// Pending tasks that are tried with more memory than the job's own.
    pub(crate) fn escalated(&self) -> impl Iterator<Item = (Bytes, TaskIndex)> + '_ {
        let pending = |task: &TaskIndex| {
            let held = self.granted.contains(task.wrapping_sub(self.first));
            !held && !self.succeeded(*task) && !self.failed(*task)
        };
        let troubles = self.troubles.iter();
        let troubles = troubles.filter(move |(task, _)| pending(task));
        troubles.filter_map(|(task, trouble)| Some((trouble.memory?, *task)))
    }

    /// The lowest task that is not done.
    pub(crate) fn first_unfinished(&self) -> Option<TaskIndex> {
        let done = [&self.succeeded, &self.failed, &self.skipped];
        let mut left = absent(done, self.len);
        left.next().map(|offset| self.first + offset)
    }

    /// Tasks that failed, ascending; of a job that is over, all that did not succeed.
    pub(crate) fn unsuccessful(&self, is_open: bool) -> impl Iterator<Item = TaskIndex> + '_ {
        let done = [&self.succeeded, &self.skipped];
        let all = absent(done, self.len);
        let some = all.filter(move |offset| !is_open || self.failed.contains(*offset));
        some.map(|offset| self.first + offset)
    }

    /// Changes what is known of an unfinished task's troubles.
    pub(crate) fn set_trouble(&mut self, task: TaskIndex, trouble: Trouble) {
        if trouble == Trouble::default() {
            self.troubles.remove(&task);
        } else {
            self.troubles.insert(task, trouble);
        }
    }

    /// Issues a grant of pending tasks; their tries are counted from nothing again.
    pub(crate) fn grant(&mut self, number: GrantNumber, grant: Grant) {
        for task in &grant.tasks {
            self.granted.insert(task.wrapping_sub(self.first));
            if let Some(trouble) = self.troubles.get_mut(task) {
                trouble.tries = 0;
            }
        }
        self.last_grant = self.last_grant.max(number);
        self.grants.insert(number, grant);
    }

    /// Takes `task` out of its grant and records where it goes; the grant
    /// itself goes with its last task. Whether the grant is gone.
    pub(crate) fn settle(&mut self, number: GrantNumber, task: TaskIndex, to: Settled) -> bool {
        let offset = task.wrapping_sub(self.first);
        self.granted.remove(offset);
        match to {
            Settled::Pending => {}
            Settled::Succeeded => {
                self.succeeded.insert(offset);
                self.troubles.remove(&task);
            }
            Settled::Failed => {
                self.failed.insert(offset);
                self.troubles.remove(&task);
            }
        }
        let Some(grant) = self.grants.get_mut(&number) else {
            return true;
        };
        grant.narrow(task);
        let gone = grant.tasks.is_empty();
        if gone {
            self.grants.remove(&number);
        }
        gone
    }
}

/// Where a task goes when it leaves its grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It waits for another grant.
    Pending,
    /// It is done, and well.
    Succeeded,
    /// It is done, and not well.
    Failed,
}
