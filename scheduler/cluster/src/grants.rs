//! A grant: tasks of one chunk that one slot of one node holds.
//!
//! ```text
//!            place: durable, then ordered
//!  (nothing) ----------------------------> outstanding --- last task final or returned --> (nothing)
//!                                            |   ^  |
//!                        a task leaves it    +---+  +--- node lost, job over, not held any more --> (nothing)
//! ```
//!
//! A grant that is gone is never named again: its number is not reused, so
//! whatever is still said under it changes nothing. That is the whole fence.
//!
//! **A task commits once.** While a grant is outstanding, commit is granted to
//! the latest attempt that asked for it; the node runs attempts of a task one
//! after another, so the ones before are over. When the grant is lost, so is the
//! commit: the task runs again under another grant and may be granted commit
//! there. A node publishes only while the lease runs under which the commit was
//! granted, and the lease ends on the node before it ends here; publication replaces the task's directory whole, by one rename. So a
//! task is counted done once, and its outputs are those of one successful
//! attempt, never a mixture.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use stint_api::id::{NodeId, TaskIndex};
use stint_api::job::JobSpec;
use stint_api::link::RetryBudget;
use stint_api::quantity::{Bytes, Resources};
use stint_api::time::{Span, Time};

use crate::bitmap;

/// Wait before a node's first retry: short enough to hide a stumble.
const BACKOFF: Span = Span::from_millis(100);
/// Longest wait between tries: a person who looks still sees progress.
const BACKOFF_MAX: Span = Span::from_secs(30);
/// Lost workers and failed starts that make a task poison.
pub(crate) const LOSSES_MAX: u32 = 3;

/// What a node holds of one job: part of the chunk's record. That is written with all its
/// grants whenever one of them changes, so names are short there, and what is usual is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    /// Who holds it.
    #[serde(rename = "n", alias = "node")]
    pub(crate) node: NodeId,
    /// Its unfinished tasks; never empty.
    #[serde(rename = "t", alias = "tasks", with = "task_text")]
    pub(crate) tasks: BTreeSet<TaskIndex>,
    /// Memory of its slot, where that is more than the job begins with.
    #[serde(
        rename = "m",
        alias = "memory",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) memory: Option<Bytes>,
    /// How long each task may yet run, all its attempts together; as issued.
    #[serde(
        rename = "d",
        alias = "time",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) time: Option<Span>,
    /// Retries that the node may spend on each task; as issued.
    #[serde(
        rename = "r",
        alias = "retries",
        default,
        skip_serializing_if = "is_none"
    )]
    pub(crate) retries: u32,
    /// Losses that the node may spend on each task; as issued.
    #[serde(
        rename = "l",
        alias = "losses",
        default = "usual_losses",
        skip_serializing_if = "is_usual"
    )]
    pub(crate) losses: u32,
    /// The attempt that the node said runs now.
    #[serde(
        rename = "u",
        alias = "running",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) running: Option<Running>,
    /// Attempts that were granted commit and have not ended: their try numbers.
    #[serde(
        rename = "p",
        alias = "publishing",
        default,
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub(crate) publishing: BTreeMap<TaskIndex, u32>,
}

/// One attempt of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Running {
    #[serde(rename = "t", alias = "task")]
    pub(crate) task: TaskIndex,
    #[serde(rename = "n", alias = "try_number")]
    pub(crate) try_number: u32,
    /// When that was heard.
    #[serde(rename = "s", default)]
    pub(crate) since: Time,
}

impl Grant {
    /// What its slot takes from the node.
    pub(crate) fn share(&self, spec: &JobSpec) -> Resources {
        let share = spec.resources();
        let memory = self.memory.unwrap_or(share.memory);
        Resources { memory, ..share }
    }

    /// What the node may spend on each task.
    pub(crate) fn budget(&self) -> RetryBudget {
        RetryBudget {
            retries: self.retries,
            losses: self.losses,
            time: self.time,
            backoff: BACKOFF,
            backoff_max: BACKOFF_MAX,
        }
    }

    /// Forgets that this try runs or publishes; it ended.
    pub(crate) fn ended(&mut self, task: TaskIndex, try_number: u32) {
        let is_this = |running: Running| (running.task, running.try_number) == (task, try_number);
        if self.running.is_some_and(is_this) {
            self.running = None;
        }
        if self.publishing.get(&task) == Some(&try_number) {
            self.publishing.remove(&task);
        }
    }

    /// Takes a task out of the grant.
    pub(crate) fn narrow(&mut self, task: TaskIndex) {
        self.tasks.remove(&task);
        self.publishing.remove(&task);
        if self.running.is_some_and(|running| running.task == task) {
            self.running = None;
        }
    }
}

/// What a task has been through; kept only while it is unfinished and something went wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Trouble {
    /// Failures of its own, over all grants.
    pub(crate) spent: u32,
    /// Lost workers and failed starts, over all grants.
    pub(crate) losses: u32,
    /// Tries that ended under the grant that holds it now.
    pub(crate) tries: u32,
    /// Attempts that were stopped for a job of higher priority.
    #[serde(skip_serializing_if = "is_none")]
    pub(crate) preempted: u32,
    /// Memory that it is tried with from now on, where that is more than the job's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory: Option<Bytes>,
    /// How long its attempts ran that failed by themselves, when the job limits that.
    #[serde(skip_serializing_if = "is_no_time")]
    pub(crate) wall: Span,
    /// Where the cluster failed it last; another node is preferred.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) avoid: Option<NodeId>,
}

/// What a task may lose that has lost nothing yet: the next makes it poison.
const fn usual_losses() -> u32 {
    LOSSES_MAX - 1
}

fn is_usual(losses: &u32) -> bool {
    *losses == usual_losses()
}

fn is_none(count: &u32) -> bool {
    *count == 0
}

fn is_no_time(span: &Span) -> bool {
    *span == Span::ZERO
}

impl Trouble {
    /// Whether a grant may hold both: all is the same but the tries under the last one.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let Self {
            spent,
            losses,
            preempted,
            tries: _,
            memory,
            wall,
            avoid,
        } = self;
        (spent, losses, preempted) == (&other.spent, &other.losses, &other.preempted)
            && (memory, wall, avoid) == (&other.memory, &other.wall, &other.avoid)
    }
}

/// A grant's tasks as runs, so that the record stays short and readable.
mod task_text {
    use super::{BTreeSet, TaskIndex, bitmap};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        tasks: &BTreeSet<TaskIndex>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&bitmap::text(tasks.iter().copied()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeSet<TaskIndex>, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let runs = bitmap::parse(&text)
            .ok_or_else(|| serde::de::Error::custom("not runs of task indices"))?;
        let most = u64::from(bitmap::CHUNK_TASKS_MAX);
        let tasks: u64 = runs.iter().map(|(a, b)| u64::from(b - a) + 1).sum();
        if tasks > most {
            return Err(serde::de::Error::custom("more tasks than a chunk has"));
        }
        Ok(runs.into_iter().flat_map(|(a, b)| a..=b).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_written_short_and_an_older_one_is_read() {
        let older = r#"{"node":"node-a","tasks":"3-5","retries":0,"losses":2,
            "running":{"task":3,"try_number":1}}"#;
        let grant: Grant = serde_json::from_str(older).unwrap();
        let text = serde_json::to_string(&Grant {
            running: None,
            ..grant.clone()
        });
        assert_eq!(text.unwrap(), r#"{"n":"node-a","t":"3-5"}"#);
        let again = serde_json::to_string(&grant).unwrap();
        assert_eq!(serde_json::from_str::<Grant>(&again).unwrap(), grant);
        assert_eq!((grant.retries, grant.losses), (0, 2));
    }
}
