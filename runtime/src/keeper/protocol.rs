//! What a node and its keeper say to each other, one JSON message a frame
//! ([`crate::frame`], channel `Node`), over `keeper.sock` in the node's directory.
//!
//! ```text
//! node                                keeper
//!  │ Hello ─────────────────────────────▶│   first on every connection
//!  │◀──────────── Running × n, Ended × m │   what it holds, in full
//!  │◀────────────────────────────── Kept │   that was all of it
//!  │ Lease ─────────────────────────────▶│   before the first Start, and again before it is over
//!  │ Start ─────────────────────────────▶│   leaf, worker, plan
//!  │◀─────────────────────────── Started │   the worker is about to run the guest
//!  │◀────────────────────── Passed × any │   of a run: so many tasks succeeded and left nothing
//!  │◀──────────────────── Speaks, or not │   of a run: the logs are of the task that is named
//!  │◀───────────────────────────── Ended │   in the spool before it is said
//!  │ Discard ───────────────────────────▶│   the node no longer needs it in the spool
//! ```
//!
//! A grant of several consecutive tasks, the attempt's first, makes a run of the order:
//! one worker runs them one after another, as long as each succeeds and leaves
//! nothing. The slot is called by the attempt of the order for as long as it
//! lives (`name_of`), whichever attempt runs.
//!
//! Every message is idempotent. An answer belongs to the attempt or module that
//! it names, never to a place in the stream: several orders may be under way, and
//! a node that reconnects is told again what it might have missed.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stint_api::id::{AttemptId, Digest};
use stint_api::kit::{CompileBudget, Entry};
use stint_api::link::Grant;
use stint_api::outcome::{Outcome, Usage};
use stint_api::quantity::{Bytes, Resources};
use stint_api::time::{Span, Time};
use stint_jail::Layers;
use stint_sandbox::Plan;

pub use super::clock::BootTime;

/// Version of these messages: a keeper outlives its node process, so a node of
/// another version may find it.
pub const PROTOCOL: u32 = 2;

/// What a node tells its keeper.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ToKeeper {
    /// First on a connection; the keeper answers with all that it holds. A newer
    /// connection replaces an older one.
    Hello {
        /// [`PROTOCOL`] of the node.
        protocol: u32,
    },
    /// The keeper may let slots run until then. When it passes, every slot is
    /// killed with [`Outcome::NodeLost`] and nothing starts until the next.
    /// Never shortens a lease that runs longer.
    Lease {
        /// Not after the lease that the scheduler gave, counted from when it was asked for.
        until: BootTime,
    },
    /// Start an attempt. Answered by [`FromKeeper::Started`] and
    /// [`FromKeeper::Ended`], or by `Ended` alone. For an attempt that runs or is
    /// in the spool it changes nothing, and what is known is said again.
    Start(Box<StartOrder>),
    /// Kill an attempt, which then ends with `why`. Changes nothing for one
    /// that does not run.
    Kill {
        /// The attempt.
        attempt: AttemptId,
        /// The outcome it ends with.
        why: Outcome,
    },
    /// Forget an attempt that ended: its outcome leaves the spool.
    Discard {
        /// The attempt.
        attempt: AttemptId,
    },
    /// Compile a module. Answered by [`FromKeeper::Compiled`]; asking again while
    /// it is under way changes nothing.
    Compile(CompileOrder),
    /// Kill every attempt that runs; each ends with `why`. What is compiled goes on.
    StopAll {
        /// The outcome they end with.
        why: Outcome,
    },
    /// End the keeper. What still runs is killed first, with
    /// [`Outcome::Drained`]; the spool stays.
    Exit,
}

/// An attempt to start.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartOrder {
    /// Which attempt; names its leaf cgroup and its place in the spool.
    pub attempt: AttemptId,
    /// The grant it runs under, so that a node that starts anew can rebuild what it held.
    pub grant: Grant,
    /// What its worker runs. Every path in it is absolute and ready.
    pub plan: Plan,
    /// What the slot is held to: the grant's limits, unless a retry rule changed them.
    pub limits: Resources,
    /// Longest run, counted from [`FromKeeper::Started`].
    pub timeout: Span,
}

/// A module to compile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompileOrder {
    /// The module. Its bytes decide its engine profile too, so this names the work.
    pub module: Digest,
    /// Where its bytes are.
    pub wasm: PathBuf,
    /// Where the compiled artifact goes: whole and on the disk for good when it is
    /// said to be compiled, gone when it is not. Its directory exists.
    pub artifact: PathBuf,
    /// Size of the module, which sets the budget.
    pub module_bytes: Bytes,
    /// How it is entered.
    #[serde(default)]
    pub entry: Entry,
    /// The budget, where whoever administrates the cluster has set one.
    #[serde(default)]
    pub budget: Option<CompileBudget>,
}

/// What a keeper tells its node.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FromKeeper {
    /// This attempt runs; said before [`FromKeeper::Kept`], and to a repeated [`ToKeeper::Start`].
    Running(Box<Running>),
    /// Everything it holds has been said.
    Kept {
        /// [`PROTOCOL`] of the keeper.
        protocol: u32,
        /// How it holds slots to their limits: `cgroup v1`, `cgroup v2` or `wasmtime only: <why>`.
        limits: String,
        /// Which layers of the jail its workers have.
        jail: Layers,
    },
    /// The worker is up and about to run the guest.
    Started {
        /// The attempt.
        attempt: AttemptId,
        /// When, by the keeper's clock.
        at: Time,
    },
    /// Tasks of a run ended, and the next one's attempt runs, or the run is over. In
    /// the spool until it is discarded, by the name of the first of them.
    Passed(Box<Spooled>),
    /// This attempt, of a run, is about to write to its logs.
    Speaks {
        /// The attempt.
        attempt: AttemptId,
        /// The slot's name.
        slot: AttemptId,
    },
    /// An attempt ended. In the spool until it is discarded, except for one
    /// that was refused, of which nothing ever ran.
    Ended(Box<Spooled>),
    /// A module was compiled, or was not.
    Compiled {
        /// The module.
        module: Digest,
        /// The sha-256 of the artifact, or why there is none: `module-rejected`,
        /// `compile-failed`, `compile-limit`, or a failure of the node.
        result: Result<Digest, Outcome>,
    },
}

/// An attempt that a keeper runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Running {
    /// The attempt.
    pub attempt: AttemptId,
    /// From its order.
    pub grant: Grant,
    /// When its worker was up; absent while it is not.
    pub started_at: Option<Time>,
    /// Whether it, of a run, writes to its logs.
    #[serde(default)]
    pub speaks: bool,
}

/// An attempt that ended, as it stands in the spool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spooled {
    /// The attempt.
    pub attempt: AttemptId,
    /// From its order.
    pub grant: Grant,
    /// How it ended: what the keeper decided, else what the worker said, else
    /// what its death shows.
    pub outcome: Outcome,
    /// What it used. CPU, peak memory and throttling are the leaf cgroup's
    /// where there is one; the rest is the worker's own word.
    pub usage: Usage,
    /// Bytes of log beyond what is kept, both streams together.
    pub logs_dropped: Bytes,
    /// When its worker was up; absent when it never was.
    pub started_at: Option<Time>,
    /// When its worker was gone.
    pub ended_at: Time,
    /// Present when this is of several attempts of a run, of which this is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<Passed>,
}

/// Tasks of a run that succeeded one after another and left nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passed {
    /// How many.
    pub count: u32,
    /// Whether the run is over.
    pub over: bool,
}

/// What the slot of an attempt is called, which runs or ran under this grant as it stood in its order.
pub(crate) fn name_of(attempt: &AttemptId, grant: &Grant) -> AttemptId {
    let mut name = attempt.clone();
    if let [run] = grant.tasks.as_slice()
        && run.contains(attempt.task)
    {
        name.task = run.first;
    }
    name
}
