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

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stint_api::constraint::Constraint;
use stint_api::id::{Digest, JobId};
use stint_api::job::JobSpec;
use stint_api::kit::Kit;
use stint_api::outcome::DeadlineScope;
use stint_api::quantity::{Bytes, Resources};
use stint_api::time::Time;
use stint_api::view::{JobState, TaskFailure};

use crate::bitmap::CHUNK_TASKS_MAX;
use crate::queue::Shape;
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
    /// Tasks of each of its chunks.
    #[serde(default = "largest_chunk", skip_serializing_if = "is_largest_chunk")]
    pub(crate) chunk_tasks: u32,
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
    /// It is being forgotten: nobody knows it any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_forgotten: bool,
    pub(crate) life: Life,
}

/// Tasks of a chunk of a new job whose tasks are granted few at a time.
pub(crate) const CHUNK_TASKS: u32 = 64;
/// The same, where they are granted in long runs: a million in four thousand records.
pub(crate) const CHUNK_TASKS_LONG: u32 = 256;

const fn largest_chunk() -> u32 {
    CHUNK_TASKS_MAX
}

const fn is_largest_chunk(tasks: &u32) -> bool {
    *tasks == CHUNK_TASKS_MAX
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
    constraints: Option<Arc<[Constraint]>>,
    /// The lines of the queue that it stands in.
    pub(crate) queued: Vec<Shape>,
    /// When its time is over, as it was last noted.
    pub(crate) due: Option<Time>,
}

/// What the nodes of a job's slots must be; nothing where it says nothing.
pub(crate) fn constraints(spec: &JobSpec) -> Option<Arc<[Constraint]>> {
    let constraints = spec.constraints.as_slice();
    (!constraints.is_empty()).then(|| constraints.into())
}

impl Job {
    pub(crate) fn new(record: JobRecord) -> Self {
        let constraints = constraints(&record.spec);
        Self {
            record,
            tasks: Tasks::default(),
            constraints,
            queued: Vec::new(),
            due: None,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.record.life, Life::Over { .. })
    }

    /// Whether tasks of it may be granted, as far as it is up to the job.
    pub(crate) fn may_start(&self) -> bool {
        self.is_open() && self.record.suspended_at.is_none()
    }

    /// Most slots that it may have.
    pub(crate) fn slots_max(&self) -> usize {
        let most = self.record.spec.parallelism;
        most.map_or(usize::MAX, |most| {
            usize::try_from(most).unwrap_or(usize::MAX)
        })
    }

    /// What its slots are like, when they have that memory.
    pub(crate) fn shape(&self, memory: Option<Bytes>) -> Shape {
        let need = self.record.spec.resources();
        let memory = memory.unwrap_or(need.memory);
        Shape::new(Resources { memory, ..need }, self.constraints.clone())
    }

    /// The shapes of the slots that its pending tasks could have now.
    pub(crate) fn wanted(&self) -> Vec<Shape> {
        if !self.may_start() || self.slots() >= self.slots_max() {
            return Vec::new();
        }
        let memories = self.pending_memories();
        memories.map(|memory| self.shape(memory)).collect()
    }

    /// When its time is over, and which; none when it has no limit, or that does not run.
    pub(crate) fn deadline(&self, eligible_at: Option<Time>) -> Option<(Time, DeadlineScope)> {
        let spec = &self.record.spec;
        match self.record.life {
            Life::Queued if self.slots() == 0 => {
                Some((eligible_at? + spec.queue_timeout?, DeadlineScope::Queue))
            }
            Life::Running { since } => Some((since + spec.job_timeout?, DeadlineScope::Job)),
            Life::Queued | Life::Over { .. } => None,
        }
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

    /// When the last task was done.
    pub(crate) fn ended_at(&self) -> Option<Time> {
        match self.record.life {
            Life::Over { at, .. } => Some(at),
            Life::Queued | Life::Running { .. } => None,
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
