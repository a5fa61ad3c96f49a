//! What a keeper and a compiler say to each other: the keeper one task, the
//! compiler one answer. The keeper takes every word as hostile.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stint_api::id::Digest;
use stint_api::kit::Entry;
use stint_api::outcome::Outcome;

use crate::frame::{Channel, PLAN_FRAME_BYTES_MAX, WORKER_FRAME_BYTES_MAX};
use crate::jail::Jail;
use crate::keeper::wire::Speech;

/// How a keeper speaks to a compiler; the one frame it sends is a [`Compilation`].
pub(crate) const SPEECH: Speech = Speech {
    channel: Channel::Compiler,
    out_bytes_max: PLAN_FRAME_BYTES_MAX,
    in_bytes_max: WORKER_FRAME_BYTES_MAX,
};

/// What to compile, and the limits that the compiler puts on itself first.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Compilation {
    /// The module's bytes.
    pub(crate) wasm: PathBuf,
    /// How it is entered.
    pub(crate) entry: Entry,
    /// Where the artifact goes, as it is made.
    pub(crate) artifact: PathBuf,
    /// Most CPU time, in seconds.
    pub(crate) cpu_seconds: u64,
    /// Largest artifact.
    pub(crate) output_bytes: u64,
    /// Most memory that it may write to; absent where a cgroup holds it.
    pub(crate) data_bytes: Option<u64>,
    /// The jail that it puts itself into.
    pub(crate) jail: Jail,
}

/// What a compiler says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum FromCompiler {
    /// The artifact is whole in its place, and on the disk.
    Compiled {
        /// Its sha-256.
        sha256: Digest,
    },
    /// There will be none.
    Refused {
        /// Why.
        outcome: Outcome,
    },
    /// It made a call that its jail stopped, and ends.
    Violation {
        /// The number of the call.
        call: u32,
    },
    /// The compiler itself failed.
    Fault {
        /// What it said.
        message: String,
    },
}
