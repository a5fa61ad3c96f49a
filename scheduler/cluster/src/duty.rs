//! Somebody decides whether a node is to take work: cordon, uncordon, drain.
//!
//! ```text
//!            cordon               drain                last grant gone
//!   open ------------> cordoned ---------> draining --------------------> (drained)
//!     ^                   |                   |                              |
//!     +--- uncordon ------+-------------------+------------------------------+
//! ```
//!
//! A node that drains gives back at once what it has not begun, and what runs
//! has until the deadline to end by itself; then it is stopped, ends as
//! `drained`, and runs again elsewhere. The node alone knows what runs, so a
//! task is given to another only when the node has said that it let it go, or
//! is lost.

use serde::{Deserialize, Serialize};
use stint_api::id::{GrantId, NodeId};
use stint_api::link::Order;
use stint_api::outcome::Outcome;
use stint_api::time::{Span, Time};
use stint_api::view::NodeView;

use crate::cluster::Cluster;
use crate::draft::Draft;
use crate::effects::Effects;
use crate::node::Node;

/// What was decided about a node; part of its record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Duty {
    /// It takes work.
    #[default]
    Open,
    /// It takes none, and keeps what it has.
    Cordoned,
    /// It takes none, and gives back what it has.
    Draining {
        /// When what still runs is stopped.
        by: Time,
    },
}

/// There is no such node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no node `{0}`")]
pub struct UnknownNode(pub NodeId);

impl Cluster {
    /// Gives a node no new work; what it has goes on.
    ///
    /// # Errors
    /// There is no such node.
    pub fn cordon(&mut self, now: Time, id: &NodeId) -> Result<(NodeView, Effects), UnknownNode> {
        self.decide(now, id, Duty::Cordoned)
    }

    /// Lets a node take work again.
    ///
    /// # Errors
    /// There is no such node.
    pub fn uncordon(&mut self, now: Time, id: &NodeId) -> Result<(NodeView, Effects), UnknownNode> {
        self.decide(now, id, Duty::Open)
    }

    /// Moves a node's work elsewhere: at once what is not begun, and what runs
    /// when it has not ended `within` this time. Said again, the new time counts.
    ///
    /// # Errors
    /// There is no such node.
    pub fn drain(
        &mut self,
        now: Time,
        id: &NodeId,
        within: Span,
    ) -> Result<(NodeView, Effects), UnknownNode> {
        self.decide(now, id, Duty::Draining { by: now + within })
    }

    fn decide(
        &mut self,
        now: Time,
        id: &NodeId,
        duty: Duty,
    ) -> Result<(NodeView, Effects), UnknownNode> {
        let mut draft = self.begin(now);
        let node = self.nodes.get_mut(id);
        let node = node.ok_or_else(|| UnknownNode(id.clone()))?;
        if node.record.duty != duty {
            node.record.duty = duty;
            node.is_evicted = false;
            self.shelves.altered(id, node);
            self.watch_drain(id);
            draft.nodes.insert(id.clone());
            draft.place = true;
            self.tell_to_drain(&mut draft, id);
        }
        let effects = self.seal(draft);
        let node = self.nodes.get(id);
        let view = node.map(|node| node.view(id));
        Ok((view.ok_or_else(|| UnknownNode(id.clone()))?, effects))
    }

    /// Has a node looked at when its time to drain is over.
    pub(crate) fn watch_drain(&mut self, id: &NodeId) {
        let node = self.nodes.get(id);
        if let Some(Duty::Draining { by }) = node.map(|node| node.record.duty) {
            self.alarms.insert((by, id.clone()));
        }
    }

    /// Tells a node that drains what it gives back now.
    fn tell_to_drain(&mut self, draft: &mut Draft, id: &NodeId) {
        let Some(node) = self.nodes.get_mut(id) else {
            return;
        };
        node.is_evicted = is_due(node, draft.now);
        for order in self.given_back_by(id) {
            draft.order(id, order);
        }
    }

    /// Stops what still runs on a node, when its time to drain is over.
    pub(crate) fn evict(&mut self, draft: &mut Draft, id: &NodeId) {
        let node = self.nodes.get(id);
        if node.is_some_and(|node| !node.is_evicted && is_due(node, draft.now)) {
            self.tell_to_drain(draft, id);
        }
    }

    /// What a node was told to give back, as far as it holds it: all when it
    /// drains, or what belongs to suspended jobs.
    pub(crate) fn given_back_by(&self, id: &NodeId) -> Vec<Order> {
        let Some(node) = self.nodes.get(id) else {
            return Vec::new();
        };
        let drains = matches!(node.record.duty, Duty::Draining { .. });
        let is_suspended = |grant: &&GrantId| {
            let job = self.jobs.get(&grant.job);
            job.is_some_and(|job| job.record.suspended_at.is_some())
        };
        let kill = |id: &GrantId| {
            let by = node.preempted.get(id).cloned();
            let preempted = by.map(|by| Outcome::Preempted { by });
            preempted.or_else(|| node.is_evicted.then_some(Outcome::Drained))
        };
        let gives_way = |id: &GrantId| node.preempted.contains_key(id);
        let grants = node.grants();
        let grants = grants.filter(|id| drains || is_suspended(id) || gives_way(id));
        grants
            .map(|id| Order::GiveBack {
                id: id.clone(),
                kill: kill(id),
            })
            .collect()
    }
}

fn is_due(node: &Node, now: Time) -> bool {
    matches!(node.record.duty, Duty::Draining { by } if by <= now)
}
