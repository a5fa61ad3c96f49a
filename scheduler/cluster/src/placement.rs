//! Where a grant goes: filter by what is free, then the least score.

use stint_api::id::{Digest, NodeId};
use stint_api::quantity::Resources;

use crate::node::Node;

/// Most tasks of one grant: enough that handing them out costs little beside
/// running the shortest, few enough that a lost node gives back little.
const GRANT_TASKS_MAX: usize = 64;
/// Grants that each slot should get over a job's life, so that slow and fast
/// slots end together.
const GRANTS_PER_SLOT: u64 = 4;

/// How well a node suits; the least is best. The order of the fields is the policy.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Score<'a> {
    /// The cluster failed the task there last.
    failed_there: bool,
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
    pub(crate) need: Resources,
    pub(crate) module: &'a Digest,
    pub(crate) avoid: Option<&'a NodeId>,
}

/// The node that suits best; none when the slot is free nowhere.
pub(crate) fn pick<'a>(
    nodes: impl Iterator<Item = (&'a NodeId, &'a Node)>,
    wish: Wish<'a>,
) -> Option<&'a NodeId> {
    nodes
        .filter(|(_, node)| node.takes_work() && wish.need.fits_in(&node.free()))
        .map(|(id, node)| Score {
            failed_there: wish.avoid == Some(id),
            must_compile: !node.has_compiled(wish.module),
            load: load(node, wish.need),
            node: id,
        })
        .min()
        .map(|score| score.node)
}

/// The most taken of the three resources, in thousandths of the capacity.
fn load(node: &Node, need: Resources) -> u64 {
    let (capacity, left) = (node.record.capacity, node.free() - need);
    let taken = |left: u64, all: u64| 1000 - left.saturating_mul(1000) / all.max(1);
    taken(left.cpu.0.into(), capacity.cpu.0.into())
        .max(taken(left.memory.0, capacity.memory.0))
        .max(taken(left.scratch.0, capacity.scratch.0))
}

/// How many tasks the next grant of a job holds.
pub(crate) fn grant_size(pending: u32, slots: u64) -> usize {
    let even = u64::from(pending) / slots.saturating_mul(GRANTS_PER_SLOT).max(1);
    usize::try_from(even)
        .unwrap_or(GRANT_TASKS_MAX)
        .clamp(1, GRANT_TASKS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_tasks_are_granted_one_by_one_and_many_in_runs() {
        assert_eq!(grant_size(12, 4), 1);
        assert_eq!(grant_size(16, 4), 1);
        assert_eq!(grant_size(160, 4), 10);
        assert_eq!(grant_size(1_000_000, 4), 64);
        assert_eq!(grant_size(3, 0), 3);
    }
}
