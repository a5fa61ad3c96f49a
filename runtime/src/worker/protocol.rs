//! What a keeper and a worker say to each other: the keeper assignments, the worker
//! that each runs and then how it ended. The keeper takes every word as hostile.

use serde::{Deserialize, Serialize};
use stint_api::kit::Entry;
use stint_api::outcome::Outcome;
use stint_api::quantity::Bytes;
use stint_api::time::Span;
use stint_sandbox::{Guest, Profile};

use crate::frame::{Channel, PLAN_FRAME_BYTES_MAX, WORKER_FRAME_BYTES_MAX};
use crate::keeper::wire::Speech;

/// How a keeper speaks to a worker; what it sends is [`ToWorker`].
pub(crate) const SPEECH: Speech = Speech {
    channel: Channel::Worker,
    out_bytes_max: PLAN_FRAME_BYTES_MAX,
    in_bytes_max: WORKER_FRAME_BYTES_MAX,
};

/// What a keeper says to a worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum ToWorker {
    /// Attempts at a module are to be expected, whose artifact comes with this and was
    /// compared: it is to be loaded, and nothing is to be said. A worker that cannot, ends.
    Load {
        /// The engine profile that it was compiled for.
        profile: Profile,
        /// How it will be entered.
        entry: Entry,
    },
    /// An attempt.
    Run(Assignment),
}

/// An attempt to run. Its open files come with it: the artifact, if the module is
/// given, and then what [`stint_sandbox::Files`] holds, in its order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Assignment {
    /// What to run.
    pub(crate) module: Module,
    /// As what to run it.
    pub(crate) guest: Guest,
    /// Whether others of the same job come after it; said with the first.
    pub(crate) more: bool,
    /// How many tasks follow this one, with the next indices, as long as each succeeds
    /// and leaves nothing.
    #[serde(default)]
    pub(crate) then: u32,
    /// How often the keeper is to hear that a guest lives; never when absent.
    #[serde(default)]
    pub(crate) pulse: Option<Span>,
}

/// Where an attempt's module comes from.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Module {
    /// The first of the files that come with this.
    Given {
        /// The engine profile that it was compiled for.
        profile: Profile,
        /// To be compared before it is loaded; absent where that was done before
        /// with the same open file.
        sha256: Option<[u8; 32]>,
    },
    /// The worker has it: from the attempt before, or because it was to load it.
    Same,
}

/// What a worker says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum FromWorker {
    /// It is up, in its leaf, and waits, or is about to read what it is waited for
    /// with. The first frame of a worker that was forked from a zygote; one that was
    /// started by itself does not say it.
    Berthed {
        /// Its process id.
        pid: u32,
    },
    /// All is mapped, linked and open; the guest is next.
    Running,
    /// Its guest is about to write to a log for the first time. Said of a run of tasks
    /// only, whose logs are one file as long as they are empty.
    Speaks,
    /// Its guest has called its host; said no more often than the assignment asks for.
    Lives,
    /// A task of a run succeeded and left nothing, neither a word nor a file.
    Passed {
        /// How it went.
        said: Box<Said>,
        /// Whether the run is over; else the next task's guest is next.
        over: bool,
    },
    /// It ended. The last frame about this attempt.
    Ended(Box<Said>),
    /// It cannot be run; said instead of running. The last frame about this attempt.
    Unable {
        /// Why.
        outcome: Outcome,
    },
    /// It made a call that its jail stopped, and ends. The last frame.
    Violation {
        /// The number of the call.
        call: u32,
    },
    /// The worker itself failed. The last frame.
    Fault {
        /// What it said.
        message: String,
    },
}

/// What a worker says about the attempt it ran.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Said {
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// CPU time of the process, from when it was told of the attempt.
    pub(crate) cpu: Span,
    /// Time from when it said that it runs.
    pub(crate) wall: Span,
    /// The most that the guest's memories had.
    pub(crate) peak_memory: Bytes,
    /// The largest growth refused, as the size it would have made.
    pub(crate) refused_growth: Bytes,
    /// Read from files.
    pub(crate) read: Bytes,
    /// Written to files and logs.
    pub(crate) written: Bytes,
    /// Bytes of log beyond what is kept.
    pub(crate) logs_dropped: Bytes,
}

impl Said {
    /// Of an attempt that could not be run.
    pub(crate) fn unable(outcome: Outcome) -> Self {
        Self {
            outcome,
            cpu: Span::ZERO,
            wall: Span::ZERO,
            peak_memory: Bytes(0),
            refused_growth: Bytes(0),
            read: Bytes(0),
            written: Bytes(0),
            logs_dropped: Bytes(0),
        }
    }
}
