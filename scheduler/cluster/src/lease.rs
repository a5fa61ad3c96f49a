//! Time passes: who was silent past the lease is lost, and its work goes elsewhere.

use stint_api::id::NodeId;
use stint_api::time::Time;
use stint_api::view::NodeState;

use crate::cluster::Cluster;
use crate::effects::Effects;

impl Cluster {
    /// Tells the time. Call it at [`Self::next_wake`] or sooner.
    pub fn tick(&mut self, now: Time) -> Effects {
        let mut draft = self.begin(now);
        let silence = self.config.lease + self.config.grace;
        let silent: Vec<NodeId> = self
            .nodes
            .iter()
            .filter(|(_, node)| node.is_ready() && now > node.heard_at + silence)
            .map(|(id, _)| id.clone())
            .collect();
        for id in silent {
            self.lose_all(&mut draft, &id);
            if let Some(node) = self.nodes.get_mut(&id) {
                node.record.state = NodeState::Lost;
                node.record.heard_at = node.heard_at;
                draft.nodes.insert(id);
            }
        }
        for node in self.nodes.values_mut() {
            if node.leaving_until.is_some_and(|until| until <= now) {
                node.leaving_until = None;
                draft.place = true;
            }
        }
        self.evict(&mut draft);
        self.seal(draft)
    }

    /// When to call [`Self::tick`] next, if nothing happens before; none when
    /// time alone changes nothing. Never further than a quarter of a lease
    /// while a node is ready: that is how the heart notices that it was the
    /// scheduler, and not a node, that was away.
    pub fn next_wake(&self) -> Option<Time> {
        let silence = self.config.lease + self.config.grace;
        let ready = self.nodes.values().filter(|node| node.is_ready());
        let Some(over) = ready.map(|node| node.heard_at + silence).min() else {
            return self.next_eviction();
        };
        // Just past the end: at the end the lease still runs.
        let over = Time::from_nanos(over.as_nanos() + 1);
        let leaving = self.nodes.values().filter_map(|node| node.leaving_until);
        let soon = self.called_at + self.config.lease.div(4);
        let other = leaving.chain(self.next_eviction());
        Some(other.fold(over.min(soon), Time::min))
    }
}
