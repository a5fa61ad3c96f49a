//! A job: its record, and where it is in its life. Its tasks are in `job/tasks.rs`.
//!
//! ```text
//!            first attempt starts          every task done, all well
//!  queued -----------------------> running ------------------------> succeeded
//!     |                               |    every task done, some not well, or one failed for good
//!     |                               +----------------------------> failed
//!     |             somebody cancels  |
//!     +-------------------------------+----------------------------> cancelled
//! ```

mod tasks;

use serde::{Deserialize, Serialize};
use stint_api::id::{Digest, JobId};
use stint_api::job::JobSpec;
use stint_api::kit::Kit;
use stint_api::time::Time;
use stint_api::view::{JobState, TaskFailure};

pub(crate) use tasks::PendingRun;
use tasks::Tasks;

/// What is durable about a job, its tasks apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct JobRecord {
    pub(crate) spec: JobSpec,
    /// The kit that runs the script, as it was when the job came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kit: Option<Box<Kit>>,
    pub(crate) submitted_at: Time,
    /// Kept as long as the job is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) idempotency: Option<Idempotency>,
    /// What ended a job whose tasks were not all done; of the lowest that was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) decree: Option<TaskFailure>,
    /// Since when nothing more of it is started, because somebody wants it so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) suspended_at: Option<Time>,
    /// The job that it runs again, all of it or in part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rerun_of: Option<JobId>,
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
    tasks: Tasks,
}

impl Job {
    pub(crate) fn new(record: JobRecord) -> Self {
        Self {
            record,
            tasks: Tasks::default(),
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.record.life, Life::Over { .. })
    }

    /// Whether tasks of it may be granted, as far as it is up to the job.
    pub(crate) fn may_start(&self) -> bool {
        self.is_open() && self.record.suspended_at.is_none()
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
