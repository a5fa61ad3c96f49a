//! What the supervisor wants done, and what the shell tells it about attempts.

use serde_json::value::RawValue;
use stint_api::id::{AttemptId, GrantId};
use stint_api::link::{Grant, OutputFile};
use stint_api::outcome::{Outcome, Usage};
use stint_api::time::Time;

/// What the shell shall do now. Actions are performed in order; none waits for another.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Fetch and compile the module and stage the inputs; answer with `Supervisor::prepared`.
    Prepare {
        /// The grant, with its tasks that may yet run.
        grant: Box<Grant>,
    },
    /// Run this attempt; answer with `started`, then `ended` (or only `ended`, when it cannot be started).
    Start {
        /// The attempt.
        attempt: AttemptId,
        /// The grant narrowed to the attempt's task, with what is left of its budget. Keep
        /// it with the attempt: `Supervisor::kept` wants it back after a restart. Where it
        /// has more tasks, those may be run after it, in their order, as long as each
        /// succeeds and leaves nothing; answer with `passed`. To run fewer is no mistake.
        grant: Box<Grant>,
    },
    /// Kill this attempt; `ended` follows with `why` as its outcome, or with the truth if it ended before.
    Kill {
        /// The attempt.
        attempt: AttemptId,
        /// The outcome that it shall end with.
        why: Outcome,
    },
    /// Move what the attempt left in `/out` to its place; answer with `published`.
    Publish {
        /// The attempt.
        attempt: AttemptId,
        /// Where to, from the plan.
        output: String,
    },
    /// Nobody will ask for this attempt again: its spooled outcome and its files may go.
    Discard {
        /// The attempt.
        attempt: AttemptId,
    },
    /// Nobody will ask for these attempts of a run again, of which this is the first: what
    /// is in the spool of them may go. They left no files.
    Forget {
        /// The first of them.
        attempt: AttemptId,
    },
    /// The grant is gone: what `Prepare` made for it may go.
    Release {
        /// The grant.
        grant: GrantId,
    },
}

/// How an attempt ended, as the keeper says.
#[derive(Clone, Debug)]
pub struct AttemptEnd {
    /// Exactly one true reason.
    pub outcome: Outcome,
    /// When, by the node's clock.
    pub at: Time,
    /// What it used.
    pub usage: Usage,
    /// The last lines that it wrote to standard error, when it failed by itself.
    pub stderr_tail: Option<String>,
    /// What it returned in `/out/result.json`.
    pub result: Option<Box<RawValue>>,
    /// What else it left in `/out`.
    pub files: Vec<OutputFile>,
}

impl AttemptEnd {
    /// The end of an attempt that never ran: no usage, no result, no files.
    pub fn without_run(outcome: Outcome, at: Time) -> Self {
        Self {
            outcome,
            at,
            usage: Usage::default(),
            stderr_tail: None,
            result: None,
            files: Vec::new(),
        }
    }
}

/// Attempts of a run that succeeded one after another and left nothing.
#[derive(Clone, Debug)]
pub struct Run {
    /// The first of them.
    pub first: AttemptId,
    /// How many tasks.
    pub count: u32,
    /// Whether the run is over; else the attempt of the next task runs.
    pub over: bool,
    /// What they used together.
    pub usage: Usage,
    /// When the last of them ended, by the node's clock.
    pub at: Time,
}

/// An attempt that the keeper runs, or whose end it spooled.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The attempt.
    pub attempt: AttemptId,
    /// The grant, as `Action::Start` gave it.
    pub grant: Grant,
    /// Where it is.
    pub state: KeptState,
}

/// Where a kept attempt is.
#[derive(Clone, Debug)]
pub enum KeptState {
    /// It runs.
    Running {
        /// When the guest started; absent while it has not.
        started_at: Option<Time>,
    },
    /// It ended.
    Ended(AttemptEnd),
    /// It is the first of several that ended.
    Passed(Run),
}
