//! What a person submits: the body of `POST /v1/jobs`, and `job.toml`.

mod checks;

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::constraint::Constraint;
use crate::id::{Digest, JobId, Namespace};
use crate::kit::Script;
use crate::quantity::{Bytes, Millicores, Resources};
use crate::retry::RetryRule;
use crate::tasks::TaskList;
use crate::time::Span;

pub(crate) use checks::{check, check_variables, is_file_name};

/// Most tasks of one job.
pub const TASKS_MAX: u32 = 1_000_000;
/// Most attempts that a task may spend after its first.
pub const RETRIES_MAX: u32 = 1_000;
/// Most arguments and most environment variables.
pub const ENTRIES_MAX: usize = 1_024;
/// Most bytes of arguments, and of environment.
pub const ENTRY_BYTES_MAX: usize = 128 << 10;
/// Most inputs.
pub const INPUTS_MAX: usize = 64;
/// Most jobs that one runs after.
pub const AFTER_MAX: usize = 64;
/// Least time after which a quiet program is stalled: shorter ones would tell of a busy
/// machine rather than of the program.
pub const STALL_MIN: Span = Span::from_secs(1);
/// Longest timeout: 30 days.
pub const TIMEOUT_MAX: Span = Span::from_secs(30 * 24 * 3_600);

/// A job as it is submitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// A name for people; need not be unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who the job belongs to.
    #[serde(default)]
    pub namespace: Namespace,
    /// The module to run, pushed before. A job with a `kit` names none; the scheduler
    /// fills in the kit's.
    #[serde(default = "no_module", skip_serializing_if = "is_no_module")]
    pub module: Digest,
    /// The kit that runs `script`, added before by `stint kit add`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kit: Option<String>,
    /// The script that the kit runs, put before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<Script>,
    /// Arguments after the program's name.
    #[serde(default)]
    pub args: Vec<String>,
    /// Environment variables; names that start with `STINT_` are Stint's own.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// How many tasks, each with its `STINT_TASK_INDEX` from 0.
    #[serde(default = "one")]
    pub tasks: u32,
    /// Which of the tasks to run, for example `3,7-9`; all of them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<TaskList>,
    /// Most tasks that may run at once; as many as fit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<u32>,
    /// CPU of each slot: a task of it gets no more.
    #[serde(default = "default_cpu")]
    pub cpu: Millicores,
    /// Memory of each slot's guest, which is refused more; a kit may have another default.
    #[serde(default = "default_memory")]
    pub memory: Bytes,
    /// Disk of each slot for `/scratch` and `/out`.
    #[serde(default = "default_scratch")]
    pub scratch: Bytes,
    /// Longest run of one attempt.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// Longest time that a task may run, all its attempts together that failed by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_timeout: Option<Span>,
    /// Longest time from the job's first start to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_timeout: Option<Span>,
    /// Longest time that the job may wait for a place before any task of it has started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_timeout: Option<Span>,
    /// Longest time that a program may go without a call to its host: it reads, writes,
    /// looks at the clock and sleeps by these. Then its attempt ends as `stalled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stall: Option<Span>,
    /// Attempts that a task may spend after its first, for failures of its own.
    #[serde(default)]
    pub retries: u32,
    /// What follows certain ends of an attempt; the first rule that matches counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retry: Vec<RetryRule>,
    /// Tasks that may fail before the job is given up; none of them ends it when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_failed: Option<u32>,
    /// Jobs of the same namespace that must have succeeded before any task starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<JobId>,
    /// What the labels of a node must be, for example `zone=eu`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<Constraint>,
    /// What the labels of a node should be: one that meets more of them is preferred.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefer: Vec<Constraint>,
    /// A label over whose values the job's slots are spread evenly, for example `zone`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<String>,
    /// Higher goes first, and takes the place of lower ones that run.
    #[serde(default)]
    pub priority: i32,
    /// Whether its tasks may share a process; `job` when absent and there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// Files and directories that the tasks read under `/in`.
    #[serde(default)]
    pub inputs: Vec<Input>,
    /// Where `/out` is published, one directory per task: `file:///path` or `s3://bucket/prefix`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// How far the tasks of a job are kept apart. Those of different jobs never share a process.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// A worker may run one task after another, each with a memory, files and
    /// environment of its own.
    Job,
    /// Each attempt has a process of its own.
    #[default]
    Task,
}

impl FromStr for Isolation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "job" => Ok(Self::Job),
            "task" => Ok(Self::Task),
            other => Err(format!("`{other}` is neither `job` nor `task`")),
        }
    }
}

/// Many jobs at once: the body of `POST /v1/jobs:batch`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobBatch {
    /// The jobs: all of them are accepted, or none.
    pub jobs: Vec<JobSpec>,
}

/// One input, readable at `/in/NAME`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Its name under `/in`.
    pub name: String,
    /// Where it is: `file:///path`, `https://host/path`, `http://host/path` or `s3://bucket/key`.
    /// A path or key with `*` in it, or a key that ends in `/`, is a directory of all that match.
    pub url: String,
    /// What its bytes must be: of another digest, no task starts. One object has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// Makes tasks: one for each object, or for each `lines` lines. The program reads its own
    /// at `/in/NAME`. One input of a job can be split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// With `split = "lines"`, how many lines a task reads; 100,000 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<u64>,
    /// The list of what each task reads, which the scheduler makes at submit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing: Option<Digest>,
}

/// How an input makes tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// One task for each object.
    Object,
    /// One task for so many lines of an object.
    Lines,
}

/// Lines that a task reads of an input that is split into lines, when nobody says.
pub const LINES_DEFAULT: u64 = 100_000;

/// What stands where a module is not named: the digest of nothing that anybody finds.
const NO_MODULE: Digest = Digest([0; 32]);

const fn no_module() -> Digest {
    NO_MODULE
}

fn is_no_module(module: &Digest) -> bool {
    *module == NO_MODULE
}

const fn one() -> u32 {
    1
}

const fn default_cpu() -> Millicores {
    Millicores(1000)
}

const fn default_memory() -> Bytes {
    Bytes::mebi(256)
}

const fn default_scratch() -> Bytes {
    Bytes::mebi(64)
}

const fn default_timeout() -> Span {
    Span::from_secs(3_600)
}

/// A field of a [`JobSpec`] has a value that no cluster could accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: {why}")]
pub struct InvalidSpec {
    /// The field, for example `memory` or `inputs[2].name`.
    pub field: String,
    /// What is wrong, and what would be right.
    pub why: String,
}

impl JobSpec {
    /// The files that are put on the scheduler for it: its script, what lies beside that, and
    /// the lists of what is split.
    pub fn files(&self) -> impl Iterator<Item = Digest> {
        let script = self.script.iter();
        let beside = script.clone().flat_map(|script| &script.files);
        let script = script.map(|script| script.digest);
        let listings = self.inputs.iter().filter_map(|input| input.listing);
        script.chain(beside.map(|file| file.digest)).chain(listings)
    }

    /// A job of one task with every default, for the module `module`.
    pub fn new(module: Digest) -> Self {
        Self {
            name: None,
            namespace: Namespace::default(),
            module,
            kit: None,
            script: None,
            args: Vec::new(),
            env: BTreeMap::new(),
            tasks: one(),
            only: None,
            parallelism: None,
            cpu: default_cpu(),
            memory: default_memory(),
            scratch: default_scratch(),
            timeout: default_timeout(),
            task_timeout: None,
            job_timeout: None,
            queue_timeout: None,
            stall: None,
            retries: 0,
            retry: Vec::new(),
            max_failed: None,
            after: Vec::new(),
            constraints: Vec::new(),
            prefer: Vec::new(),
            spread: None,
            priority: 0,
            isolation: None,
            inputs: Vec::new(),
            output: None,
        }
    }

    /// A job of one task with every default, that runs `script` with the kit `kit`.
    pub fn of_script(kit: String, script: Script) -> Self {
        Self {
            kit: Some(kit),
            script: Some(script),
            ..Self::new(NO_MODULE)
        }
    }

    /// Whether it names a module itself.
    pub fn names_module(&self) -> bool {
        self.module != NO_MODULE
    }

    /// How many tasks it runs.
    pub fn selected(&self) -> u32 {
        self.only.as_ref().map_or(self.tasks, TaskList::count)
    }

    /// Whether an input makes its tasks.
    pub fn is_split(&self) -> bool {
        self.inputs.iter().any(|input| input.split.is_some())
    }

    /// How far its tasks are kept apart.
    pub fn isolation(&self) -> Isolation {
        // Tasks of a split input each have files of their own, and a worker's stay the same.
        let several = self.tasks > 1 && !self.is_split();
        self.isolation.unwrap_or(match several {
            true => Isolation::Job,
            false => Isolation::Task,
        })
    }

    /// What one slot of the job takes from a node.
    pub fn resources(&self) -> Resources {
        Resources {
            cpu: self.cpu,
            memory: self.memory,
            scratch: self.scratch,
        }
    }
}
