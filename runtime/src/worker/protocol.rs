//! What a keeper and a worker say to each other: the keeper one plan, the worker
//! that it runs and then how that ended. The keeper takes every word as hostile.

use serde::{Deserialize, Serialize};
use stint_api::outcome::Outcome;
use stint_api::quantity::Bytes;
use stint_api::time::Span;

use crate::frame::{Channel, PLAN_FRAME_BYTES_MAX, WORKER_FRAME_BYTES_MAX};
use crate::keeper::wire::Speech;

/// How a keeper speaks to a worker; the one frame it sends is a [`stint_sandbox::Plan`].
pub(crate) const SPEECH: Speech = Speech {
    channel: Channel::Worker,
    out_bytes_max: PLAN_FRAME_BYTES_MAX,
    in_bytes_max: WORKER_FRAME_BYTES_MAX,
};

/// What a worker says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum FromWorker {
    /// The plan is read; the guest is next.
    Running,
    /// It ended. The last frame.
    Ended(Box<Said>),
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
    /// CPU time of the process.
    pub(crate) cpu: Span,
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
