//! Where a grant goes: filter by what is free, then the least score.

use std::collections::BTreeMap;

use stint_api::constraint::Constraint;
use stint_api::id::{Digest, NodeId};
use stint_api::quantity::Resources;
use stint_api::time::Span;

use crate::job::{CHUNK_TASKS, CHUNK_TASKS_LONG, Job};
use crate::node::Node;
use crate::queue::Shape;

/// Most tasks of one grant while nobody knows how long they take: few enough that a
/// lost node gives back little.
const GRANT_TASKS: u64 = 64;
/// Most tasks of one grant at all, when they are short: enough that handing them out
/// costs little beside running the shortest.
pub(crate) const GRANT_TASKS_MAX: u64 = 256;
/// Tasks that take longer together are not short.
const GRANT_TIME_MAX: Span = Span::from_millis(500);
/// A grant of less costs more to hand out than to run: a few rounds to the disk and the node.
const GRANT_TIME: Span = Span::from_millis(8);
/// Attempts whose mean says how long the next will take.
const PACE_ATTEMPTS: u64 = 16;
/// Grants that each slot should get over a job's life, so that slow and fast
/// slots end together.
const GRANTS_PER_SLOT: u64 = 4;

/// The labels of a node.
pub(crate) type Labels = BTreeMap<String, String>;

/// How well a node suits; the least is best. The order of the fields is the policy.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Score<'a> {
    /// The cluster failed the task there last.
    failed_there: bool,
    /// Slots that the job has already where the label it is spread over is the same.
    crowd: u32,
    /// What it would like of the node's labels, and is not so.
    disliked: usize,
    /// The module would have to be compiled first.
    must_compile: bool,
    /// Share of the node that is taken once the slot is, in thousandths: spread.
    load: u64,
    /// Decides between equals.
    node: &'a NodeId,
}

/// What a slot needs, and what it would like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    pub(crate) spread: Option<&'a Spread<'a>>,
    pub(crate) prefer: &'a [Constraint],
    pub(crate) shape: &'a Shape,
    pub(crate) module: &'a Digest,
    pub(crate) avoid: Option<&'a NodeId>,
}

impl Wish<'_> {
    /// Whether the job has a wish of its own: nodes do not stand in its order.
    pub(crate) fn is_particular(&self) -> bool {
        self.spread.is_some() || !self.prefer.is_empty()
    }

    /// What the job thinks of a node with these labels, the least best: how many slots of
    /// it are where the label it is spread over is the same, and what it would like and is not so.
    pub(crate) fn regard(&self, labels: &Labels) -> (u32, usize) {
        let crowd = self.spread.map_or(0, |spread| spread.crowd(labels));
        let disliked = self.prefer.iter().filter(|like| !like.allows(labels));
        (crowd, disliked.count())
    }
}

/// Where a job that is spread has slots.
#[derive(Debug)]
pub(crate) struct Spread<'a> {
    key: &'a str,
    /// By the value of the label.
    slots: BTreeMap<&'a str, u32>,
}

impl<'a> Spread<'a> {
    /// Of a job that is spread.
    pub(crate) fn of(job: &'a Job, nodes: &'a BTreeMap<NodeId, Node>) -> Option<Self> {
        let key = job.record.spec.spread.as_deref()?;
        let mut slots = BTreeMap::new();
        for (_, _, grant) in job.grants() {
            let node = nodes.get(&grant.node);
            let value = node.and_then(|node| node.record.labels.get(key));
            if let Some(value) = value {
                *slots.entry(value.as_str()).or_default() += 1;
            }
        }
        Some(Self { key, slots })
    }

    #[cfg(test)]
    pub(crate) fn sample(key: &'a str, slots: [(&'a str, u32); 2]) -> Self {
        let slots = slots.into();
        Self { key, slots }
    }

    /// How many are where that node is; beyond all where it has no such label.
    fn crowd(&self, labels: &Labels) -> u32 {
        let value = labels.get(self.key);
        value.map_or(u32::MAX, |value| {
            self.slots.get(value.as_str()).copied().unwrap_or(0)
        })
    }
}

/// The node of these that suits best; none when the slot is free on none. This is
/// the policy; `shelves.rs` finds the same node without looking at every one.
pub(crate) fn scan<'a>(
    nodes: impl Iterator<Item = (&'a NodeId, &'a Node)>,
    wish: Wish<'a>,
) -> Option<&'a NodeId> {
    nodes
        .filter_map(|(id, node)| {
            let (crowd, disliked) = wish.regard(&node.record.labels);
            Some(Score {
                failed_there: wish.avoid == Some(id),
                crowd,
                disliked,
                must_compile: !node.has_compiled(wish.module),
                load: load(node, wish.shape)?,
                node: id,
            })
        })
        .min()
        .map(|score| score.node)
}

/// How full the node is once it has a slot of that shape: the most taken of the
/// three resources, in thousandths of the capacity. None when it takes no such slot.
pub(crate) fn load(node: &Node, shape: &Shape) -> Option<u64> {
    let (need, free) = (shape.need(), node.free());
    let takes = node.is_open() && need.fits_in(&free) && shape.allows(&node.record.labels);
    let taken = |left: u64, all: u64| 1000 - left.saturating_mul(1000) / all.max(1);
    takes.then(|| {
        let (capacity, left) = (node.record.capacity, free - need);
        taken(left.cpu.0.into(), capacity.cpu.0.into())
            .max(taken(left.memory.0, capacity.memory.0))
            .max(taken(left.scratch.0, capacity.scratch.0))
    })
}

/// What the nodes have together that are there.
pub(crate) fn whole(nodes: &BTreeMap<NodeId, Node>) -> Resources {
    let ready = nodes.values().filter(|node| node.is_ready());
    ready.fold(Resources::default(), |sum, node| sum + node.record.capacity)
}

/// How many slots of that shape the nodes have when they are empty.
pub(crate) fn slots(nodes: &BTreeMap<NodeId, Node>, shape: &Shape) -> u64 {
    let need: Resources = shape.need();
    let nodes = nodes.values().filter(|node| node.takes_work());
    let nodes = nodes.filter(|node| shape.allows(&node.record.labels));
    let slots = nodes.map(|node| need.times_in(&node.record.capacity));
    slots.fold(0, u64::saturating_add)
}

/// How many tasks the next grant of a job holds, when its attempts have taken `pace` so far.
///
/// An even part of what is pending, so that all slots end together; but no less than is worth
/// handing out, and near the end, when not every slot would get that, not much less.
pub(crate) fn grant_size(pending: u32, slots: u64, pace: Option<Span>) -> usize {
    let (pending, slots) = (u64::from(pending), slots.max(1));
    let within = |time: Span, most: u64| {
        let pace = pace.map(|pace| time.as_nanos() / pace.as_nanos().max(1));
        pace.map_or(most, |tasks| tasks.clamp(1, most))
    };
    let most = match pace {
        Some(_) => within(GRANT_TIME_MAX, GRANT_TASKS_MAX).max(GRANT_TASKS),
        None => GRANT_TASKS,
    };
    let worth = within(GRANT_TIME, if pace.is_some() { GRANT_TASKS } else { 1 });
    let even = pending / slots.saturating_mul(GRANTS_PER_SLOT);
    let size = even.max(worth.min(pending.div_ceil(slots)).max(worth / 4));
    usize::try_from(size.clamp(1, most)).unwrap_or(1)
}

/// How long an attempt of the job takes, once enough of them have ended to tell.
pub(crate) fn pace(job: &Job) -> Option<Span> {
    let (attempts, usage) = job.spent();
    let pace = (attempts >= PACE_ATTEMPTS).then(|| usage.wall.div(attempts));
    // Nothing takes no time: it was not measured.
    pace.filter(|pace| *pace > Span::ZERO)
}

/// Tasks of each chunk of a job of so many, on nodes with so many slots for it. Each end of
/// an attempt writes its chunk's record with all grants in it: where tasks are granted one by one a chunk is
/// of a KiB or two, where they are granted in runs it is as long as a run.
pub(crate) fn chunk_size(tasks: u32, slots: u64) -> u32 {
    let even = u64::from(tasks) / slots.max(1).saturating_mul(GRANTS_PER_SLOT);
    match even >= GRANT_TASKS {
        true => CHUNK_TASKS_LONG,
        false => CHUNK_TASKS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_tasks_are_granted_one_by_one_and_many_in_runs() {
        assert_eq!(grant_size(12, 4, None), 1);
        assert_eq!(grant_size(16, 4, None), 1);
        assert_eq!(grant_size(160, 4, None), 10);
        assert_eq!(grant_size(1_000_000, 4, None), 64);
        assert_eq!(grant_size(3, 0, None), 1);
    }

    #[test]
    fn short_tasks_are_granted_in_longer_runs_to_the_last_and_long_ones_are_not() {
        let (short, long) = (Some(Span::from_nanos(100_000)), Some(Span::from_secs(10)));
        assert_eq!(grant_size(1_000_000, 4, short), 256);
        assert_eq!(grant_size(1_000, 4, short), 64);
        assert_eq!(grant_size(160, 4, short), 40);
        assert_eq!(grant_size(3, 4, short), 16);
        assert_eq!(grant_size(1_000_000, 4, long), 64);
        assert_eq!(grant_size(160, 4, long), 10);
        assert_eq!(grant_size(12, 4, long), 1);
    }

    #[test]
    fn chunks_are_long_where_runs_are() {
        assert_eq!(chunk_size(1_000, 2), CHUNK_TASKS_LONG);
        assert_eq!(chunk_size(1_000, 0), CHUNK_TASKS_LONG);
        assert_eq!(chunk_size(10_000, 1_000), CHUNK_TASKS);
        assert_eq!(chunk_size(1_000_000, 1_000), CHUNK_TASKS_LONG);
        assert_eq!(chunk_size(1, 2), CHUNK_TASKS);
    }
}
