//! Room on a node that victims are about to leave, and who gets it.
//!
//! ```text
//!            no node has room                  the node says that they are gone
//!   waits ----------------------> reserved ------------------------------------> granted
//!     ^     victims are told to       |   it wants nothing more, the node is lost,
//!     +------ give back ---------------+   or the patience is over
//! ```
//!
//! While room is reserved on a node nothing else is placed there: a smaller job
//! would take what the first victim leaves, and the others would have died for
//! nothing. Nothing of this is durable: a victim's grant is an ordinary one until
//! its node gives it back, and a scheduler that starts again decides anew.

use stint_api::id::{GrantId, JobId, NodeId};
use stint_api::link::Order;
use stint_api::outcome::Outcome;
use stint_api::time::Time;

use crate::cluster::Cluster;
use crate::draft::Draft;
use crate::place::{Placed, To};
use crate::queue::Shape;

/// See the file.
#[derive(Clone, Debug)]
pub(crate) struct Reservation {
    pub(crate) job: JobId,
    pub(crate) shape: Shape,
    /// A node that has not made room by then is open to others again.
    pub(crate) until: Time,
}

impl Cluster {
    /// Gives reserved room to whom it is for, once it is there.
    pub(crate) fn seat(&mut self, draft: &mut Draft) {
        for id in self.reserving.clone() {
            let reserved = match self.nodes.get_mut(&id) {
                Some(node) => std::mem::take(&mut node.reserved),
                None => Vec::new(),
            };
            let mut kept = Vec::new();
            for one in reserved {
                let wants = self.slots_wanted(&one.job, &one.shape) > 0;
                let node = self.nodes.get(&id);
                let Some(node) =
                    node.filter(|node| wants && draft.now < one.until && node.takes_work())
                else {
                    continue;
                };
                // A quota is free a little later than the room, when victims are elsewhere.
                let is_free = one.shape.need().fits_in(&node.free());
                let to = To::Reserved(&id);
                if !is_free || self.grant_next(draft, &one.job, &one.shape, to) == Placed::OverQuota
                {
                    kept.push(one);
                }
            }
            // What leaves is counted as gone until it is, whether anybody still waits for it or not.
            let leaving = self.nodes.get(&id).map(|node| node.leaving().count());
            if kept.is_empty() && leaving.unwrap_or(0) == 0 {
                self.reserving.remove(&id);
            }
            if let Some(node) = self.nodes.get_mut(&id) {
                node.reserved = kept;
                self.shelves.changed(&id, node);
            }
        }
        self.pledges = self.pledged();
    }

    /// Tells the victims to give way, and keeps their room.
    pub(crate) fn reserve(
        &mut self,
        draft: &mut Draft,
        (id, victims): (&NodeId, &[GrantId]),
        job: &JobId,
        shape: &Shape,
    ) {
        let until = draft.now + self.config.lease;
        let Some(node) = self.nodes.get_mut(id) else {
            return;
        };
        self.reserving.insert(id.clone());
        for victim in victims {
            node.preempted.insert(victim.clone(), job.clone());
            let kill = Some(Outcome::Preempted { by: job.clone() });
            let victim = victim.clone();
            draft.order(id, Order::GiveBack { id: victim, kill });
        }
        let told = node.leaving().filter(|(id, _)| victims.contains(id));
        for (id, share) in told {
            self.pledges.leave(&id.job.namespace, share);
        }
        self.pledges.reserve(job, &shape.need());
        node.reserved.push(Reservation {
            job: job.clone(),
            shape: shape.clone(),
            until,
        });
        self.alarms.insert((until, id.clone()));
        self.shelves.changed(id, node);
    }
}
