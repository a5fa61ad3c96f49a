//! What the API answers about jobs, tasks, attempts, nodes and modules.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::id::{AttemptId, Digest, JobId, Namespace, NodeId, TaskIndex};
use crate::job::JobSpec;
use crate::kit::Kit;
use crate::link::Stream;
use crate::outcome::{Outcome, Usage};
use crate::quantity::{Bytes, Millicores, Resources};
use crate::said::Said;
use crate::time::Time;

/// Where a job is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// No task has started.
    Queued,
    /// Some task has started, not all are done.
    Running,
    /// Every task succeeded.
    Succeeded,
    /// Every task is done and at least one failed.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

impl JobState {
    /// Whether nothing changes any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// How many tasks are where.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct TaskCounts {
    /// All of them.
    pub total: u32,
    /// Not granted to a node.
    pub pending: u32,
    /// Granted to a node.
    pub granted: u32,
    /// Done, and well.
    pub succeeded: u32,
    /// Done, and not well.
    pub failed: u32,
}

/// A job, as `GET /v1/jobs/{id}` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct JobView {
    /// Its id.
    pub id: JobId,
    /// What was submitted.
    pub spec: JobSpec,
    /// Where it is.
    pub state: JobState,
    /// How the first failing task ended for good; absent while none has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_failure: Option<TaskFailure>,
    /// Its tasks.
    pub tasks: TaskCounts,
    /// Attempts that ended.
    pub attempts: u64,
    /// What they used together.
    pub usage: Usage,
    /// Since when it is suspended: nothing more of it is started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended_at: Option<Time>,
    /// The job that it runs again, all of it or in part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerun_of: Option<JobId>,
    /// When it was accepted.
    pub submitted_at: Time,
    /// When its first attempt started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When its last task was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// Why it waits, while tasks are pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
}

/// The final outcome of a task that failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TaskFailure {
    /// The task.
    pub task: TaskIndex,
    /// How it ended.
    pub outcome: Outcome,
    /// The last lines that it wrote to standard error, when it failed by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr_tail: Option<String>,
}

/// A page of jobs, newest first.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct JobList {
    /// The jobs.
    pub jobs: Vec<JobView>,
    /// Give it as `cursor` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TaskState {
    /// Not granted to a node.
    Pending,
    /// Granted to a node.
    Granted,
    /// Succeeded, its outputs being published.
    Publishing,
    /// Done, and well.
    Succeeded,
    /// Done, and not well.
    Failed,
}

/// A run of attempts that ended alike, as the history keeps it; one attempt when `tasks` is one.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AttemptView {
    /// The first attempt of the run.
    pub attempt: AttemptId,
    /// How many consecutive tasks the run covers.
    pub tasks: u32,
    /// Where it ran.
    pub node: NodeId,
    /// How it ended.
    pub outcome: Outcome,
    /// What it used.
    pub usage: Usage,
    /// When it ended.
    pub ended_at: Time,
    /// Whether the tasks were done with it.
    #[serde(rename = "final")]
    pub is_final: bool,
}

/// `GET /v1/jobs/{id}/tasks`: states as runs, a page of them, and the history of attempts.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TasksView {
    /// Consecutive tasks in the same state, for example `{"tasks": "0-11", "state": "succeeded"}`.
    pub runs: Vec<TaskRun>,
    /// Attempts that ended, oldest first.
    pub history: Vec<AttemptView>,
    /// Whether older attempts were dropped from the history to bound it.
    pub truncated: bool,
    /// What tasks said of themselves last; a restarted scheduler has forgotten it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<TaskSaid>,
    /// Give it as `from` for the next page of runs; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<TaskIndex>,
}

/// What a task said of itself last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TaskSaid {
    /// The attempt that said it.
    pub attempt: AttemptId,
    /// When it was heard.
    pub at: Time,
    /// What it said.
    pub said: Said,
}

/// Consecutive tasks in the same state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TaskRun {
    /// The indices, as `7` or `0-11`.
    pub tasks: String,
    /// Their state.
    pub state: TaskState,
    /// The node that holds them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
}

/// One line of `GET /v1/jobs/{id}/results` (NDJSON, ascending by task).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ResultLine {
    /// The task.
    pub task: TaskIndex,
    /// What it returned.
    pub result: Box<RawValue>,
}

/// `GET /v1/capacity`: what there is, and what more could be used now.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct CapacityView {
    /// Nodes that take work.
    pub nodes: u64,
    /// What they have.
    pub total: Amount,
    /// What of that slots take.
    pub taken: Amount,
    /// What more the tasks could take that wait for room now: beyond what is taken, and
    /// within the parallelism of their jobs.
    pub wanted: Amount,
}

/// So much of each resource.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Amount {
    /// In so many slots; of a total, 0.
    pub slots: u64,
    /// CPU.
    pub cpu: Millicores,
    /// Memory.
    pub memory: Bytes,
    /// Disk for scratch and outputs.
    pub scratch: Bytes,
}

/// Whether a node is heard from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    /// Its lease runs.
    Ready,
    /// It was silent past its lease.
    Lost,
}

/// Whether a node is to take work, as somebody decided.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum NodeDuty {
    /// It takes work.
    #[default]
    Open,
    /// It takes no new work; what it has goes on.
    Cordoned,
    /// It takes no new work, and what it has goes elsewhere.
    Draining,
    /// It was drained, and has nothing any more.
    Drained,
}

/// A node, as `GET /v1/nodes` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct NodeView {
    /// Its name.
    pub id: NodeId,
    /// Whether it is heard from.
    pub state: NodeState,
    /// Whether it is to take work.
    #[serde(default)]
    pub duty: NodeDuty,
    /// While it drains: when what still runs there is stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_by: Option<Time>,
    /// What its slots may take together.
    pub capacity: Resources,
    /// What is not taken.
    pub free: Resources,
    /// Grants it holds.
    pub grants: u32,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// How it holds its slots to their limits.
    pub limits: String,
    /// Version of its binary.
    pub version: String,
    /// When it was last heard from.
    pub heard_at: Time,
}

/// `GET /v1/nodes`.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct NodeList {
    /// Every node the scheduler knows.
    pub nodes: Vec<NodeView>,
}

/// A module, as `GET /v1/modules` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ModuleView {
    /// Who it belongs to.
    pub namespace: Namespace,
    /// Its sha-256.
    pub digest: Digest,
    /// Its size.
    pub size: Bytes,
    /// `core` (WASI preview 1) or `component` (WASI 0.2).
    pub kind: String,
    /// `_start`, or another entry.
    pub entry: String,
    /// Smallest memory it declares.
    pub memory_min: Bytes,
    /// Its imports, as `module.name`.
    pub imports: Vec<String>,
    /// `plain` or `exceptions`: what the engine must have on.
    pub profile: String,
    /// When it was first pushed.
    pub pushed_at: Time,
    /// The kit that it is the module of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kit: Option<Box<Kit>>,
}

/// `GET /v1/modules`.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ModuleList {
    /// Every module of the namespace.
    pub modules: Vec<ModuleView>,
}

/// One server-sent event of `GET /v1/jobs/{id}/events`; its SSE id is `seq`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Event {
    /// Grows with each event of the scheduler.
    pub seq: u64,
    /// When.
    pub at: Time,
    /// The job it is about.
    pub job: JobId,
    /// What happened.
    pub what: EventKind,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "snake_case"
)]
pub enum EventKind {
    /// The job was accepted.
    Submitted,
    /// Tasks were granted to a node.
    Granted {
        /// The tasks, as `0-11`.
        tasks: String,
        /// The node.
        node: NodeId,
    },
    /// A node gets the module ready.
    Preparing {
        /// The node.
        node: NodeId,
        /// What goes on.
        step: String,
    },
    /// An attempt runs.
    Started {
        /// The attempt.
        attempt: AttemptId,
        /// Where.
        node: NodeId,
    },
    /// An attempt says how far it is, or what it measured.
    Said {
        /// The attempt.
        attempt: AttemptId,
        /// The latest of everything that it said.
        said: Said,
    },
    /// Attempts ended.
    Ended {
        /// The first attempt.
        attempt: AttemptId,
        /// How many consecutive tasks.
        tasks: u32,
        /// Where.
        node: NodeId,
        /// How.
        outcome: Outcome,
        /// What they used.
        usage: Usage,
        /// Seconds until the node tries again; absent when it does not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_in_seconds: Option<f64>,
        /// Whether the tasks are done with it.
        #[serde(default, rename = "final")]
        is_final: bool,
    },
    /// A node was lost with tasks of this job; they wait for another.
    NodeLost {
        /// The node.
        node: NodeId,
        /// The tasks, as `0-11`.
        tasks: String,
    },
    /// A node gave back tasks of this job that it had not begun; they wait for another.
    Returned {
        /// The node.
        node: NodeId,
        /// The tasks, as `0-11`.
        tasks: String,
    },
    /// Somebody suspended the job: nothing more of it is started.
    Suspended,
    /// Somebody resumed the job.
    Resumed,
    /// The job is over.
    Done {
        /// How.
        state: JobState,
    },
}

/// One server-sent event of `GET /v1/jobs/{id}/logs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LogChunk {
    /// The attempt that wrote it.
    pub attempt: AttemptId,
    /// Which stream.
    pub stream: Stream,
    /// Offset of the first byte in the stream.
    pub offset: u64,
    /// The bytes, base64.
    pub data: String,
}

/// The answer to `POST /v1/jobs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Submitted {
    /// The new job, or the one that the same idempotency key made before.
    pub id: JobId,
}

/// The answer to `POST /v1/jobs:batch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BatchSubmitted {
    /// The jobs, in the order of the batch.
    pub ids: Vec<JobId>,
}
