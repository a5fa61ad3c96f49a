//! The node link: what a scheduler and a node say to each other.
//!
//! The node dials. `POST /v1/link/hello` ([`Hello`] → [`Welcome`]) makes a new
//! generation; `GET /v1/link/orders?node=…&generation=…` streams one [`Orders`]
//! per line and stays open; `POST /v1/link/leave` ([`Leave`]) is a goodbye; `POST /v1/link/reports` ([`Reports`] →
//! [`ReportsAnswer`]) carries what happened and renews the lease, even when
//! empty; `GET /v1/link/modules/{digest}` gives a module's bytes, and
//! `GET /v1/link/files/{digest}` those of a file beside one. Everything is idempotent: a node repeats a batch until it is
//! answered, and after a reconnect both sides say in full what they hold.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::id::{
    AttemptId, ClusterId, Digest, Generation, GrantId, Incarnation, JobId, NodeId, TaskIndex,
};
use crate::job::{Input, Isolation};
use crate::kit::{CompileBudget, Entry, Script};
use crate::outcome::{Outcome, Usage};
use crate::quantity::Resources;
use crate::retry::RetryRule;
use crate::said::Said;
use crate::tasks::TaskRange;
use crate::time::{Span, Time};

/// Version of this protocol; the scheduler refuses a node that speaks another.
pub const PROTOCOL: u32 = 1;
/// Most reports in one batch; a node sends the rest in the next.
pub const REPORTS_MAX: usize = 1_000;
/// Most bytes of log in one report.
pub const LOG_BYTES_MAX: usize = 64 << 10;
/// Most bytes of a task's `/out/result.json`.
pub const RESULT_BYTES_MAX: u64 = 64 << 10;
/// Most bytes of the last lines of standard error that are told with an end.
pub const STDERR_TAIL_BYTES_MAX: usize = 2 << 10;
/// Most bytes of a log stream of one attempt that are kept: its beginning, and up to 1 MiB of its end. What
/// came between is counted and dropped, and a line in its place says so.
pub const LOG_STREAM_BYTES_MAX: u64 = 16 << 20;
/// Most bytes of the body of [`Reports`], and of one line of orders.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// A node asks to join, or to be heard again after a break.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`] of the node.
    pub protocol: u32,
    /// Version of the node's binary, for people.
    pub version: String,
    /// Its name.
    pub node: NodeId,
    /// Which incarnation of that name.
    pub incarnation: Incarnation,
    /// The cluster whose grants it holds, if any.
    pub cluster: Option<ClusterId>,
    /// What its slots may take together.
    pub capacity: Resources,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// How it holds its slots to their limits, for people: `cgroup v1`, `cgroup v2` or `wasmtime only: <why>`.
    pub limits: String,
    /// Every grant it holds, with the tasks it has not reported final.
    pub held: Vec<Held>,
    /// When it was sent, by the node's clock. While the node is heard from, one that was not sent
    /// after the last is refused: a network may hold up a hello until long after the node
    /// said another, and what it held then is not what it holds now.
    #[serde(default)]
    pub sent_at: Time,
}

/// A grant that a node holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The grant.
    pub id: GrantId,
    /// Tasks that wait, run, back off, or ended unreported; in ascending order.
    pub tasks: Vec<TaskRange>,
}

/// The scheduler's answer to [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Bears every order and report from here on.
    pub generation: Generation,
    /// A node that held grants of another cluster drops them.
    pub cluster: ClusterId,
    /// The node may act until this long after it *sent* the hello.
    pub lease: Span,
}

/// A node says goodbye: all that it ran has ended, and it ran it under this generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leave {
    /// The node.
    pub node: NodeId,
    /// From its last welcome.
    pub generation: Generation,
}

/// One line of the orders stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Orders {
    /// Refused by the node when older than its own.
    pub generation: Generation,
    /// What it wants.
    pub orders: Vec<Order>,
}

/// What the scheduler wants of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(
    clippy::large_enum_variant,
    reason = "most orders are of the largest kind; a box for each would save nothing"
)]
pub enum Order {
    /// First on each stream: everything the node shall hold. What it holds beside it, it stops.
    Full {
        /// The grants, each narrowed to its unfinished tasks.
        grants: Vec<Grant>,
    },
    /// Hold this grant too.
    Run(Grant),
    /// Stop what runs under this grant and forget it.
    Stop {
        /// The grant.
        id: GrantId,
        /// The outcome that its unfinished attempts end with.
        why: Outcome,
    },
    /// The attempt's outputs may be published: the commit is granted.
    Publish {
        /// The attempt that said [`Report::Finished`].
        attempt: AttemptId,
    },
    /// Start nothing more under this grant: give back the tasks that no attempt
    /// runs, and after its end the one that does, unless it is done. Said again
    /// in full after each list of what the node shall hold.
    GiveBack {
        /// The grant.
        id: GrantId,
        /// Kill what runs, so that it ends as this; what runs may go on when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kill: Option<Outcome>,
    },
}

/// A run of task indices handed to a slot, with all that a node needs to run
/// and retry them without asking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// The fencing token.
    pub id: GrantId,
    /// The tasks; ascending, at least one.
    pub tasks: Vec<TaskRange>,
    /// What to run them with.
    pub plan: Plan,
    /// What the node may spend on each task.
    pub budget: RetryBudget,
}

/// What every attempt of a grant has in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The module.
    pub module: Digest,
    /// What else it takes to run it, when a kit's script is what runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kit: Option<Box<KitPlan>>,
    /// Arguments after the program's name; with a kit, all arguments.
    pub args: Vec<String>,
    /// The user's environment variables, and the kit's beneath them.
    pub env: BTreeMap<String, String>,
    /// How many tasks the whole job has (`STINT_TASK_COUNT`).
    pub task_count: u32,
    /// What follows certain ends of an attempt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retry: Vec<RetryRule>,
    /// Limits of the slot.
    pub limits: Resources,
    /// Longest run of one attempt.
    pub timeout: Span,
    /// Longest time that one may go without a call to its host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stall: Option<Span>,
    /// What is mounted under `/in`.
    pub inputs: Vec<Input>,
    /// Where `/out` is published.
    pub output: Option<String>,
    /// How far the tasks of the job are kept apart.
    #[serde(default)]
    pub isolation: Isolation,
}

/// What a node has to know to run a script with a kit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KitPlan {
    /// How the module is entered.
    pub entry: Entry,
    /// The list of its files.
    pub files: Option<Digest>,
    /// The script.
    pub script: Script,
    /// The directory in which the guest sees the script.
    pub scripts: String,
    /// What compiling the module may take; by its size when absent.
    pub compile: Option<CompileBudget>,
}

/// What a node may spend on each task of a grant before it is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryBudget {
    /// Failures of the job's own after which it may still try again.
    pub retries: u32,
    /// Failures of the cluster's after which it may still try again.
    pub losses: u32,
    /// How long it may run, all its attempts together that fail by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Span>,
    /// Wait before the first retry; doubles with each, under full jitter.
    pub backoff: Span,
    /// Longest wait.
    pub backoff_max: Span,
}

/// A batch from a node. Sending it also asks for the lease to be renewed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reports {
    /// The node.
    pub node: NodeId,
    /// From the [`Welcome`]; an older one is answered with 409 and the node says hello again.
    pub generation: Generation,
    /// In the order in which they happened.
    pub reports: Vec<Report>,
}

/// The batch is durable: the node may forget it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportsAnswer {
    /// The node may act until this long after it *sent* the batch.
    pub lease: Span,
}

/// What a node says is so.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Report {
    /// An attempt runs.
    Started {
        /// The attempt.
        attempt: AttemptId,
        /// When, by the node's clock.
        at: Time,
    },
    /// Attempts ended alike, each task of the run with the same try number.
    Ended(Ended),
    /// An attempt succeeded and left files: may it publish them?
    Finished {
        /// The attempt.
        attempt: AttemptId,
        /// What it left in `/out`.
        manifest: Vec<OutputFile>,
    },
    /// Bytes of a log, at an offset: said twice, written once.
    Log {
        /// The attempt that wrote it.
        attempt: AttemptId,
        /// Which stream.
        stream: Stream,
        /// Offset of the first byte in the stream.
        offset: u64,
        /// The bytes, base64.
        data: Base64,
    },
    /// What an attempt says of itself: the latest of everything.
    Said {
        /// The attempt.
        attempt: AttemptId,
        /// What it said.
        said: Said,
    },
    /// The node gave tasks back that no attempt of it runs or ran well; the grant no longer holds them.
    GaveBack {
        /// The grant.
        id: GrantId,
        /// The tasks, ascending.
        tasks: Vec<TaskRange>,
    },
    /// Preparing a module: shown to whoever waits.
    Preparing {
        /// The job that waits for it.
        job: JobId,
        /// What goes on, for example `compiling sha256:…`.
        step: String,
    },
    /// The node keeps this module compiled.
    Compiled {
        /// The module.
        module: Digest,
    },
}

/// A run of attempts that ended alike.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ended {
    /// The grant they ran under.
    pub id: GrantId,
    /// The tasks.
    pub tasks: TaskRange,
    /// Which try of each task.
    pub try_number: u32,
    /// How they ended.
    pub outcome: Outcome,
    /// What they used together.
    pub usage: Usage,
    /// When the last of them ended, by the node's clock.
    pub at: Time,
    /// What comes next.
    pub verdict: Verdict,
    /// The last lines that the first of them wrote to standard error, when they failed by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr_tail: Option<String>,
    /// What the tasks returned, by task; a task that returned nothing is absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub results: BTreeMap<TaskIndex, Box<RawValue>>,
}

/// What a node decided about the tasks of a run of attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The tasks are done, for better or worse; the grant no longer holds them.
    Final,
    /// The node tries again after this wait; the grant still holds them.
    Retry {
        /// The wait.
        after: Span,
    },
    /// The node gives the tasks back for another to run; the grant no longer holds them.
    Returned,
}

/// A file that an attempt left in `/out`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputFile {
    /// Path below `/out`.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// One of the two log streams of an attempt.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    /// The guest's standard output.
    Stdout,
    /// The guest's standard error.
    Stderr,
}

/// Bytes that travel in JSON as base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base64(pub Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use base64::Engine as _;
        serializer.serialize_str(&base64::engine::general_purpose::STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use base64::Engine as _;
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        base64::engine::general_purpose::STANDARD
            .decode(text.as_bytes())
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}
