//! 4096 tasks of a job: what is durable about them, in one small record.
//!
//! ```text
//!               grant                     final, well
//!  pending ---------------> granted ------------------------> succeeded
//!     ^                        |  \  final, not well
//!     |  returned, node lost   |   +------------------------> failed
//!     +------------------------+
//! ```
//!
//! A task is pending when no bitmap has it. A job that is over by decree
//! (cancelled, or failed for good) has its unfinished tasks failed by its own
//! record; their bits stay as they are and mean nothing any more.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stint_api::id::{GrantNumber, TaskIndex};
use stint_api::outcome::Usage;
use stint_api::view::TaskFailure;

use crate::bitmap::{Bitmap, CHUNK_TASKS, absent};
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
    /// Tasks of this chunk: fewer than 4096 in a job's last; set by the job.
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
    /// An untouched chunk.
    pub(crate) fn new(first: TaskIndex, len: u32) -> Self {
        Self::default().placed(first, len)
    }

    /// A chunk as it was read, told where it stands.
    pub(crate) fn placed(mut self, first: TaskIndex, len: u32) -> Self {
        (self.first, self.len) = (first, len);
        self.granted = Bitmap::default();
        for task in self.grants.values().flat_map(|grant| &grant.tasks) {
            self.granted.insert(task.wrapping_sub(first));
        }
        self
    }

    /// Whether what was read is possible: every task at one place, within the chunk.
    pub(crate) fn is_sound(&self) -> bool {
        let held: usize = self.grants.values().map(|grant| grant.tasks.len()).sum();
        let within = |set: &Bitmap| set.iter().all(|offset| offset < self.len);
        let twice = self.succeeded.iter().any(|o| self.failed.contains(o))
            || self
                .granted
                .iter()
                .any(|o| self.succeeded.contains(o) || self.failed.contains(o));
        held == self.granted.count() as usize
            && within(&self.granted)
            && within(&self.succeeded)
            && within(&self.failed)
            && !twice
    }

    pub(crate) fn counts(&self) -> Counts {
        let (succeeded, failed) = (self.succeeded.count(), self.failed.count());
        let granted = self.granted.count();
        Counts {
            pending: self.len - succeeded - failed - granted,
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
        absent([&self.succeeded, &self.failed, &self.granted], self.len)
            .map(|offset| self.first + offset)
    }

    pub(crate) fn last_grant(&self) -> GrantNumber {
        self.last_grant
    }

    /// What `task` has been through.
    pub(crate) fn trouble(&self, task: TaskIndex) -> Trouble {
        self.troubles.get(&task).cloned().unwrap_or_default()
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

/// The chunk that `task` is in.
pub(crate) const fn chunk_of(task: TaskIndex) -> u32 {
    task / CHUNK_TASKS
}
