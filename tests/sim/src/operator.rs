//! Who operates the cluster: cordons and drains nodes, suspends jobs, and in the
//! end lets everything work again. What it asks may be lost, late or repeated
//! like anything else, so it asks again until all is over.

use stint_api::id::{JobId, Namespace, NodeId};
use stint_api::namespace::{NamespaceSpec, Quota};
use stint_api::quantity::Millicores;
use stint_api::time::Span;

use crate::client::{NAMESPACES, SLOT};
use crate::happening::{Asker, Happening, Request, Ticket};
use crate::world::World;

/// How long an answer is waited for; nothing follows from it.
const PATIENCE: Span = Span::from_millis(900);
/// Between two acts of one who operates much.
const PAUSE_MILLIS_MAX: u64 = 4_000;
/// Between two rounds in which everything is let work again.
const ROUND: Span = Span::from_millis(700);
/// Longest time that a node is given to drain.
const WITHIN_MILLIS_MAX: u64 = 3_000;

/// What somebody decides.
#[derive(Clone, Debug)]
pub(crate) enum Decision {
    Cordon(NodeId),
    Uncordon(NodeId),
    Drain(NodeId, Span),
    Suspend(JobId),
    Resume(JobId),
    Set(Namespace, NamespaceSpec),
}

impl World {
    /// Decides something, and arranges for the next time.
    pub(crate) fn operator_acts(&mut self) {
        let next = if self.is_calm {
            self.let_all_work();
            ROUND
        } else {
            if let Some(decision) = self.decision() {
                self.decide(decision);
            }
            self.chance.millis(1, PAUSE_MILLIS_MAX)
        };
        self.after(next, Happening::Operator);
    }

    fn decision(&mut self) -> Option<Decision> {
        let place = self.chance.index(self.nodes.len());
        let client = self.chance.index(self.clients.len());
        let within = self.chance.millis(0, WITHIN_MILLIS_MAX);
        let (node, job) = (
            self.nodes[place].id.clone(),
            self.clients[client].job.clone(),
        );
        let namespace = NAMESPACES[self.chance.index(2)].parse().expect("a name");
        let spec = self.some_quota();
        Some(match self.chance.below(8) {
            0 => Decision::Cordon(node),
            1 => Decision::Uncordon(node),
            2 => Decision::Drain(node, within),
            3 => Decision::Suspend(job?),
            4 => Decision::Resume(job?),
            5 | 6 => Decision::Set(namespace, spec),
            _ => return None,
        })
    }

    /// A quota into which the largest slot fits: no job is refused for it.
    fn some_quota(&mut self) -> NamespaceSpec {
        let cpu = SLOT.cpu.0 * (2 + self.chance.below(4));
        let slots = 1 + self.chance.below(4);
        NamespaceSpec {
            // Drawn with the slots, so that worlds without it stay what they were.
            borrow: slots == 2,
            weight: 1 + self.chance.below(3),
            quota: Quota {
                cpu: self.chance.happens(500).then_some(Millicores(cpu)),
                slots: self.chance.happens(500).then_some(slots),
                ..Quota::default()
            },
        }
    }

    fn let_all_work(&mut self) {
        let nodes = self.nodes.iter().map(|node| node.id.clone());
        let mut all: Vec<Decision> = nodes.map(Decision::Uncordon).collect();
        let free =
            |name: &str| Decision::Set(name.parse().expect("a name"), NamespaceSpec::default());
        all.extend(NAMESPACES.map(free));
        let jobs = self.clients.iter().filter_map(|client| client.job.clone());
        all.extend(jobs.map(Decision::Resume));
        for decision in all {
            self.decide(decision);
        }
    }

    fn decide(&mut self, decision: Decision) {
        self.trace(|| format!("operator: {decision:?}"));
        let ticket = Ticket {
            asker: Asker::Operator,
            number: self.next_number(),
        };
        self.ask(ticket, Request::Decide(decision), PATIENCE);
    }
}
