//! Why a job waits, with numbers: the first thing that somebody could change.

use stint_api::id::{JobId, NodeId};
use stint_api::quantity::Resources;

use crate::cluster::Cluster;
use crate::job::{Job, Place};
use crate::node::Node;
use crate::submit::{amounts, nearness};

/// Jobs ahead are counted up to here: what is beyond tells nobody more.
const AHEAD_MAX: usize = 1_000;

impl Cluster {
    /// Why pending tasks of the job wait; nothing when none does.
    pub(crate) fn waiting(&self, id: &JobId, job: &Job) -> Option<String> {
        let counts = job.counts();
        if !job.is_open() || counts.pending == 0 {
            return None;
        }
        let tasks = match (counts.pending, counts.total) {
            (1, 1) => "the task waits".to_owned(),
            (pending, total) if pending == total => format!("all {total} tasks wait"),
            (pending, total) => format!("{pending} of {total} tasks wait"),
        };
        Some(format!("{tasks}: {}", self.what_is_missing(id, job)))
    }

    fn what_is_missing(&self, id: &JobId, job: &Job) -> String {
        let spec = &job.record.spec;
        let slots = job.slots();
        if let Some(most) = spec.parallelism
            && slots as u64 >= u64::from(most)
        {
            return format!("{slots} run, as many as its parallelism of {most} allows");
        }
        if self.nodes.is_empty() {
            return "no node has joined yet; start one: stint node --join URL".to_owned();
        }
        let ready = || self.nodes.iter().filter(|(_, node)| node.takes_work());
        if ready().next().is_none() {
            return match self.nodes.len() {
                1 => "the one node is not heard from, or leaves".to_owned(),
                all => format!("none of the {all} nodes is heard from and stays"),
            };
        }
        let need = spec.resources();
        let capacity = |node: &Node| node.record.capacity;
        if let Some((node, has)) = nearest(ready(), &need, capacity)
            && !need.fits_in(&has)
        {
            return format!(
                "a slot takes {}; the largest node that is heard from, `{node}`, has {}",
                amounts(&need),
                amounts(&has)
            );
        }
        let place = Place::of(id, &job.record);
        let ahead = self.queue.range(..place).take(AHEAD_MAX).count();
        let ahead = match ahead {
            0 => "no job waits before it".to_owned(),
            1 => "1 job waits before it".to_owned(),
            AHEAD_MAX.. => format!("{AHEAD_MAX} jobs or more wait before it"),
            more => format!("{more} jobs wait before it"),
        };
        match nearest(ready(), &need, Node::free) {
            Some((node, free)) if !need.fits_in(&free) => format!(
                "a slot takes {}; the most that is free is {}, on `{node}`; {ahead}",
                amounts(&need),
                amounts(&free)
            ),
            _ => format!("it is placed with the next change; {ahead}"),
        }
    }
}

/// The node whose `room` comes nearest to `need`.
fn nearest<'a>(
    nodes: impl Iterator<Item = (&'a NodeId, &'a Node)>,
    need: &Resources,
    room: impl Fn(&Node) -> Resources,
) -> Option<(&'a NodeId, Resources)> {
    nodes
        .map(|(id, node)| (id, room(node)))
        .max_by_key(|(_, room)| nearness(need, room))
}
