//! Why a job waits: the answer of `GET /v1/jobs/{id}/explain`, and the same in
//! one line for people. Figures first: each names something that could change.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{JobId, Namespace, NodeId};
use crate::quantity::Resources;
use crate::time::Time;
use crate::view::{JobState, TaskCounts};

/// Why tasks of a job wait, or that none does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Explanation {
    /// The job.
    pub id: JobId,
    /// Where it is.
    pub state: JobState,
    /// Its tasks.
    pub tasks: TaskCounts,
    /// What one slot of it takes.
    pub need: Resources,
    /// Slots that it has now.
    pub slots: u32,
    /// What its pending tasks wait for; absent when none waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// All of it in one line for people; absent when none waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

/// What pending tasks wait for: the first thing that somebody could change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(
    tag = "for",
    rename_all = "kebab-case",
    rename_all_fields = "snake_case"
)]
pub enum Wait {
    /// Somebody who resumes the job: it is suspended.
    Resumption {
        /// Since when.
        since: Time,
    },
    /// The end of other jobs.
    Jobs {
        /// Those that are not over.
        jobs: Vec<JobId>,
    },
    /// As many slots run as the job's parallelism allows.
    Parallelism {
        /// That many.
        most: u32,
    },
    /// Room within the quota of the namespace.
    Quota {
        /// The namespace.
        namespace: Namespace,
        /// `CPU`, `memory` or `slots`.
        resource: String,
        /// What the namespace may have of it.
        most: String,
        /// What its jobs have.
        used: String,
        /// What a slot takes.
        need: String,
        /// Where the job stands among those of its namespace that wait.
        queue: Standing,
    },
    /// A node with a free slot.
    Room {
        /// Where the job stands among those that wait.
        queue: Standing,
        /// How the nodes are, each counted once.
        nodes: Fit,
        /// The quota of its namespace is used up, and it waits for room that nobody else wants.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        borrows: bool,
    },
}

/// Where a job stands among those of its namespace that wait for room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Standing {
    /// Whose queue it is.
    pub queue: Namespace,
    /// 1 is the first; counted no further than 1001.
    pub position: u32,
    /// Whether it is that far behind, or further.
    pub or_later: bool,
}

/// How nodes suit a slot: each of them is counted in one of the figures, in the
/// order in which they stand here, and those that are full also under what they lack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Fit {
    /// All nodes that the scheduler knows.
    pub total: u32,
    /// Silent past their lease.
    pub lost: u32,
    /// Cordoned: they take no new work.
    pub cordoned: u32,
    /// Draining, or drained.
    pub draining: u32,
    /// Going down.
    pub leaving: u32,
    /// With other labels than the job asks for.
    pub unmatched: u32,
    /// Too small even when they are empty.
    pub too_small: u32,
    /// The largest of those that are too small, when no node is large enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub largest: Option<Largest>,
    /// With too little free now.
    pub full: u32,
    /// Would take a slot now.
    pub fit: u32,
    /// What those that are full have too little of.
    pub lacking: Vec<Lack>,
}

/// A node, and what it has when it is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Largest {
    /// The node.
    pub node: NodeId,
    /// What it has.
    pub has: Resources,
}

/// A resource of which nodes have too little free.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Lack {
    /// `CPU`, `memory` or `scratch`.
    pub resource: String,
    /// What a slot takes of it.
    pub need: String,
    /// How many nodes have less free.
    pub nodes: u32,
    /// The most that is free on such nodes, largest first: at most [`Lack::FREE_MAX`].
    pub free: Vec<String>,
}

impl Lack {
    /// More figures than this tell nobody more.
    pub const FREE_MAX: usize = 3;
}

impl Wait {
    /// More jobs than this are counted, not named.
    const JOBS_MAX: usize = 3;
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resumption { .. } => f.write_str("the job is suspended; stint resume JOB"),
            Self::Jobs { jobs } => {
                let first = jobs.iter().take(Self::JOBS_MAX).map(ToString::to_string);
                let first: Vec<String> = first.collect();
                write!(f, "it runs after {}", first.join(", "))?;
                match jobs.len().saturating_sub(Self::JOBS_MAX) {
                    0 => f.write_str(", which must succeed first"),
                    more => write!(f, " and {more} more, which must succeed first"),
                }
            }
            Self::Parallelism { most } => {
                write!(f, "{most} run, as many as its parallelism allows")
            }
            Self::Room { nodes, .. } if nodes.total == 0 => {
                f.write_str("no node has joined yet; start one: stint node --join URL")
            }
            Self::Quota {
                namespace,
                resource,
                most,
                used,
                need,
                queue,
            } => write!(
                f,
                "the quota of namespace {namespace} allows {resource} {most}: {used} are taken, a slot needs {need}; {queue}"
            ),
            Self::Room {
                queue,
                nodes,
                borrows: true,
            } => write!(
                f,
                "{nodes}; beyond the quota of namespace {}, so that others go first; {queue}",
                queue.queue
            ),
            Self::Room { queue, nodes, .. } => write!(f, "{nodes}; {queue}"),
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let later = if self.or_later { " or later" } else { "" };
        write!(
            f,
            "position {}{later} in queue {}",
            self.position, self.queue
        )
    }
}

/// `2 of 3 nodes lack CPU: need 6, free 4 and 2; 1 is lost`.
impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = Vec::new();
        // The first figure says of how many it is.
        let who = |count: u32, is_first: bool| match (is_first, count) {
            (true, 1) if self.total == 1 => "the one node".to_owned(),
            (true, count) => format!("{count} of {} nodes", self.total),
            (false, count) => count.to_string(),
        };
        let be = |count: u32| if count == 1 { "is" } else { "are" };
        if self.fit > 0 {
            let have = if self.fit == 1 { "has" } else { "have" };
            parts.push(format!("{} {have} room", who(self.fit, true)));
        }
        for lack in &self.lacking {
            let verb = if lack.nodes == 1 { "lacks" } else { "lack" };
            let who = who(lack.nodes, parts.is_empty());
            parts.push(format!("{who} {verb} {lack}"));
        }
        if self.too_small > 0 {
            let who = who(self.too_small, parts.is_empty());
            let large = match &self.largest {
                Some(Largest { node, has }) => format!(
                    ": the largest, `{node}`, has cpu {}, memory {:#}, scratch {:#}",
                    has.cpu, has.memory, has.scratch
                ),
                None => String::new(),
            };
            parts.push(format!("{who} {} too small{large}", be(self.too_small)));
        }
        for (count, what) in [
            (self.unmatched, "not what its constraints ask for"),
            (self.lost, "lost"),
            (self.cordoned, "cordoned"),
            (self.draining, "drained"),
            (self.leaving, "going down"),
        ] {
            if count > 0 {
                let who = who(count, parts.is_empty());
                parts.push(format!("{who} {} {what}", be(count)));
            }
        }
        f.write_str(&parts.join("; "))
    }
}

/// `CPU: need 6, free 4 and 2`.
impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: need {}, free ", self.resource, self.need)?;
        let figures = self.free.iter();
        let more = (self.nodes as usize).saturating_sub(self.free.len());
        let mut figures: Vec<String> = figures.cloned().collect();
        if more > 0 {
            figures.push("less".to_owned());
        }
        match figures.as_slice() {
            [rest @ .., last] if !rest.is_empty() => write!(f, "{} and {last}", rest.join(", ")),
            figures => f.write_str(&figures.concat()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_told_with_numbers() {
        let fit = Fit {
            total: 3,
            lost: 1,
            full: 2,
            lacking: vec![Lack {
                resource: "CPU".into(),
                need: "6".into(),
                nodes: 2,
                free: vec!["4".into(), "2".into()],
            }],
            ..Fit::default()
        };
        let queue = Standing {
            queue: "data-team".parse().unwrap(),
            position: 3,
            or_later: false,
        };
        assert_eq!(
            Wait::Room {
                queue: queue.clone(),
                nodes: fit.clone(),
                borrows: false,
            }
            .to_string(),
            "2 of 3 nodes lack CPU: need 6, free 4 and 2; 1 is lost; position 3 in queue data-team"
        );
        let waits = Wait::Room {
            queue,
            nodes: fit,
            borrows: true,
        };
        assert_eq!(
            waits.to_string(),
            "2 of 3 nodes lack CPU: need 6, free 4 and 2; 1 is lost; beyond the quota of \
             namespace data-team, so that others go first; position 3 in queue data-team"
        );
    }

    #[test]
    fn many_figures_are_cut_short() {
        let lack = Lack {
            resource: "memory".into(),
            need: "4Gi".into(),
            nodes: 9,
            free: ["3Gi", "2Gi", "1Gi"].map(str::to_owned).into(),
        };
        assert_eq!(
            lack.to_string(),
            "memory: need 4Gi, free 3Gi, 2Gi, 1Gi and less"
        );
    }
}
