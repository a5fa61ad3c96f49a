//! What a keeper and a zygote say to each other: the keeper one birth after
//! another, the zygote that it is ready and nothing more. A worker speaks for itself.

use serde::{Deserialize, Serialize};

use crate::frame::{Channel, WORKER_FRAME_BYTES_MAX};
use crate::jail::Jail;
use crate::keeper::wire::Speech;

/// How a keeper speaks to a zygote.
pub(crate) const SPEECH: Speech = Speech {
    channel: Channel::Zygote,
    out_bytes_max: WORKER_FRAME_BYTES_MAX,
    in_bytes_max: WORKER_FRAME_BYTES_MAX,
};

/// A worker to be born. With it come the worker's end of its socket, and the way
/// into its leaf.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Birth {
    /// Where it is born.
    pub(crate) place: Birthplace,
    /// What for.
    pub(crate) purpose: Purpose,
    /// How it is jailed.
    pub(crate) jail: Jail,
}

/// How a worker gets into its leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Birthplace {
    /// By writing to the files that come with it, one for each hierarchy; without
    /// any, there is no leaf.
    Doors,
    /// It is born in the directory that comes with it.
    Directory,
}

/// What a worker is born for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Purpose {
    /// To wait at a berth, warmed up, for whatever comes.
    Berth,
    /// For an attempt, which it will find to be read as soon as it is up: to warm up
    /// first would take longer than it saves.
    Attempt,
}

/// What a zygote says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum FromZygote {
    /// Its engine is made; it gives birth from now on.
    Ready,
    /// It cannot. The last frame.
    Fault {
        /// What it said.
        message: String,
    },
}
