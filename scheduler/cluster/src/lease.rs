//! Time passes: who was silent past the lease is lost, and its work goes
//! elsewhere; and whatever else was to happen at a time happens.

use std::collections::BTreeSet;

use stint_api::id::NodeId;
use stint_api::time::{Span, Time};
use stint_api::view::NodeState;

use crate::cluster::Cluster;
use crate::draft::Draft;
use crate::effects::Effects;

/// The first entry whose time has come.
fn pop_due<T: Ord>(entries: &mut BTreeSet<(Time, T)>, now: Time) -> Option<(Time, T)> {
    let (at, _) = entries.first()?;
    (*at <= now).then(|| entries.pop_first()).flatten()
}

impl Cluster {
    /// Tells the time. Call it at [`Self::next_wake`] or sooner.
    pub fn tick(&mut self, now: Time) -> Effects {
        let mut draft = self.begin(now);
        self.lose_silent(&mut draft);
        while let Some((_, id)) = pop_due(&mut self.alarms, now) {
            self.look_at(&mut draft, &id);
        }
        while let Some((_, id)) = pop_due(&mut self.deadlines, now) {
            if let Some(job) = self.jobs.get_mut(&id) {
                job.due = None;
            }
            draft.touched.insert(id);
        }
        self.prune(&mut draft);
        self.seal(draft)
    }

    fn lose_silent(&mut self, draft: &mut Draft) {
        let silence = self.silence();
        if self
            .heard_since
            .is_none_or(|since| draft.now <= since + silence)
        {
            return;
        }
        let ready = self.nodes.iter().filter(|(_, node)| node.is_ready());
        let silent = ready.filter(|(_, node)| draft.now > node.heard_at + silence);
        let silent: Vec<NodeId> = silent.map(|(id, _)| id.clone()).collect();
        for id in silent {
            self.lose_all(draft, &id);
            if let Some(node) = self.nodes.get_mut(&id) {
                node.record.state = NodeState::Lost;
                node.record.heard_at = node.heard_at;
                self.shelves.altered(&id, node);
                draft.nodes.insert(id);
            }
        }
        let ready = self.nodes.values().filter(|node| node.is_ready());
        self.heard_since = ready.map(|node| node.heard_at).min();
    }

    /// A node stayed after all, or its time to drain is over.
    fn look_at(&mut self, draft: &mut Draft, id: &NodeId) {
        let Some(node) = self.nodes.get_mut(id) else {
            return;
        };
        if node.leaving_until.is_some_and(|until| until <= draft.now) {
            node.leaving_until = None;
            self.shelves.altered(id, node);
            draft.place = true;
        }
        if self.reserving.contains(id) {
            draft.place = true;
        }
        self.evict(draft, id);
    }

    fn silence(&self) -> Span {
        self.config.lease + self.config.grace
    }

    /// When to call [`Self::tick`] next, if nothing happens before; none when
    /// time alone changes nothing. Never further than a quarter of a lease
    /// while a node is ready: that is how the heart notices that it was the
    /// scheduler, and not a node, that was away.
    pub fn next_wake(&self) -> Option<Time> {
        let lost = self.heard_since.map(|since| {
            // Just past the end: at the end the lease still runs.
            let over = Time::from_nanos((since + self.silence()).as_nanos() + 1);
            over.min(self.called_at + self.config.lease.div(4))
        });
        let alarm = self.alarms.first().map(|(at, _)| *at);
        let deadline = self.deadlines.first().map(|(at, _)| *at);
        [lost, alarm, deadline, self.next_prune()]
            .into_iter()
            .flatten()
            .min()
    }
}
