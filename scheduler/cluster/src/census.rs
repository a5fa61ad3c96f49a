//! How many there are of each: figures for whoever watches a cluster.

use stint_api::view::{JobState, NodeState};

use crate::cluster::Cluster;

/// How many there are of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Census {
    /// Jobs in each state.
    pub jobs: [(JobState, u64); 5],
    /// Tasks that no node holds and that are not done.
    pub tasks_pending: u64,
    /// Tasks that a node holds.
    pub tasks_granted: u64,
    /// Tasks that are done, and well.
    pub tasks_succeeded: u64,
    /// Tasks that are done, and not well.
    pub tasks_failed: u64,
    /// Jobs with tasks that wait for room on a node.
    pub jobs_waiting: u64,
    /// Nodes in each state.
    pub nodes: [(NodeState, u64); 2],
    /// Modules of all namespaces.
    pub modules: u64,
}

impl Cluster {
    /// Counts everything there is.
    pub fn census(&self) -> Census {
        let jobs = [
            JobState::Queued,
            JobState::Running,
            JobState::Succeeded,
            JobState::Failed,
            JobState::Cancelled,
        ];
        let nodes = [NodeState::Ready, NodeState::Lost];
        let mut census = Census {
            jobs: jobs.map(|state| (state, 0)),
            tasks_pending: 0,
            tasks_granted: 0,
            tasks_succeeded: 0,
            tasks_failed: 0,
            jobs_waiting: self.queue.jobs(),
            nodes: nodes.map(|state| (state, 0)),
            modules: self.modules.len() as u64,
        };
        for job in self.jobs.values() {
            let state = job.state();
            for (_, count) in census.jobs.iter_mut().filter(|(known, _)| *known == state) {
                *count += 1;
            }
            let counts = job.counts();
            census.tasks_pending += u64::from(counts.pending);
            census.tasks_granted += u64::from(counts.granted);
            census.tasks_succeeded += u64::from(counts.succeeded);
            census.tasks_failed += u64::from(counts.failed);
        }
        for node in self.nodes.values().filter(|node| !node.record.left) {
            let state = node.record.state;
            for (_, count) in census.nodes.iter_mut().filter(|(known, _)| *known == state) {
                *count += 1;
            }
        }
        census
    }
}
