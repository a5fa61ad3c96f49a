//! A node says hello: it gets a new generation, and what both sides believe it
//! holds is made the same. What it does not hold any more waits for another
//! node; what it holds and should not, the full orders stop.

use stint_api::id::{Generation, GrantId, Incarnation, NodeId, TaskIndex};
use stint_api::link::{Held, Hello, Order, Orders, PROTOCOL, Welcome};
use stint_api::outcome::Outcome;
use stint_api::time::Time;
use stint_api::view::EventKind;

use crate::bitmap;
use crate::chunk::Settled;
use crate::cluster::Cluster;
use crate::draft::Draft;
use crate::effects::Effects;
use crate::ending::Cut;
use crate::node::Node;
use crate::place::on_wire;

/// Most nodes that a cluster knows, lost ones included: each is looked at in every placement.
const NODES_MAX: usize = 10_000;

/// A node is not welcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// It speaks another version of the link.
    #[error(
        "node `{node}` speaks version {theirs} of the node link, this scheduler speaks {PROTOCOL}; install the same version of stint on both"
    )]
    Protocol {
        /// The node.
        node: NodeId,
        /// What it speaks.
        theirs: u32,
    },
    /// A hello that was sent later was heard before.
    #[error("this hello of node `{node}` was held up: one that was sent later was heard before")]
    HeldUp {
        /// The node.
        node: NodeId,
    },
    /// There are as many nodes as a cluster can have.
    #[error("this cluster knows {NODES_MAX} nodes already, `{node}` would be one more")]
    TooMany {
        /// The node.
        node: NodeId,
    },
}

impl Cluster {
    /// Welcomes a node under a new generation. A grant that the node does not
    /// hold any more is taken back, as is every grant of another incarnation.
    ///
    /// # Errors
    /// The node speaks another protocol, there are too many nodes, or the hello
    /// is an old one.
    pub fn hello(&mut self, now: Time, hello: &Hello) -> Result<(Welcome, Effects), HelloError> {
        let node = hello.node.clone();
        if hello.protocol != PROTOCOL {
            let theirs = hello.protocol;
            return Err(HelloError::Protocol { node, theirs });
        }
        if self.nodes.len() >= NODES_MAX && !self.nodes.contains_key(&node) {
            return Err(HelloError::TooMany { node });
        }
        // Taking back what the node did not hold then would give to another what it runs now.
        // A lost node has nothing to take back, so a clock that was set back costs it a lease.
        let known = self.nodes.get(&node).filter(|known| known.is_ready());
        let is_stamped = hello.sent_at != Time::default();
        if known.is_some_and(|known| is_stamped && hello.sent_at <= known.record.hello_at) {
            return Err(HelloError::HeldUp { node });
        }
        let mut draft = self.begin(now);
        // Grants of another cluster mean nothing here, whatever their numbers.
        let held = match hello.cluster {
            Some(cluster) if cluster == self.id => hello.held.as_slice(),
            _ => &[],
        };
        let generation = self.reconcile(&mut draft, &node, hello.incarnation, held);
        let mut record = Node::record_of(hello, generation, now);
        if let Some(known) = self.nodes.get(&node) {
            record.duty = known.record.duty;
        }
        let known = self
            .nodes
            .entry(node.clone())
            .or_insert_with(|| Node::new(record.clone(), now));
        known.record = record;
        known.heard_at = now;
        known.leaving_until = None;
        self.shelves.altered(&node, known);
        self.heard_since = Some(self.heard_since.map_or(now, |since| since.min(now)));
        draft.nodes.insert(node);
        draft.place = true;
        let welcome = Welcome {
            generation,
            cluster: self.id,
            lease: self.config.lease,
        };
        Ok((welcome, self.seal(draft)))
    }

    /// Takes back what a known node does not hold any more; the generation that it gets.
    fn reconcile(
        &mut self,
        draft: &mut Draft,
        id: &NodeId,
        incarnation: Incarnation,
        held: &[Held],
    ) -> Generation {
        let Some(node) = self.nodes.get_mut(id) else {
            return Generation(1);
        };
        let next = Generation(node.record.generation.0 + 1);
        if node.record.incarnation != incarnation {
            node.forget_compiled();
            self.shelves.forget_compiled(id);
            self.lose_all(draft, id);
            return next;
        }
        let grants: Vec<GrantId> = node.grants().cloned().collect();
        for grant_id in grants {
            let job = self.jobs.get(&grant_id.job);
            let Some((_, grant)) = job.and_then(|job| job.grant(grant_id.grant)) else {
                continue;
            };
            let held = held.iter().find(|held| held.id == grant_id);
            let holds = |task: TaskIndex| {
                held.is_some_and(|held| held.tasks.iter().any(|run| run.contains(task)))
            };
            let missing = grant.tasks.iter().copied().filter(|task| !holds(*task));
            let missing: Vec<TaskIndex> = missing.collect();
            let ran = grant.running.map(|running| running.task);
            // A grant that never arrived was not lost with anything.
            let ran = ran.filter(|task| missing.contains(task));
            self.take_back(draft, &grant_id, &missing, ran);
            self.withdraw_commits(draft, &grant_id);
        }
        next
    }

    /// The node asks again for every commit that it still waits for, perhaps as
    /// another try: it may have lost its memory.
    fn withdraw_commits(&mut self, draft: &mut Draft, id: &GrantId) {
        let job = self.jobs.get_mut(&id.job);
        if let Some((index, grant)) = job.and_then(|job| job.grant_mut(id.grant))
            && !grant.publishing.is_empty()
        {
            grant.publishing.clear();
            draft.chunk(&id.job, index);
        }
    }

    /// A node is gone with all it held.
    pub(crate) fn lose_all(&mut self, draft: &mut Draft, id: &NodeId) {
        let Some(node) = self.nodes.get(id) else {
            return;
        };
        let grants: Vec<GrantId> = node.grants().cloned().collect();
        draft.place |= self.reserving.contains(id);
        for grant_id in grants {
            let job = self.jobs.get(&grant_id.job);
            let Some((_, grant)) = job.and_then(|job| job.grant(grant_id.grant)) else {
                continue;
            };
            let tasks: Vec<TaskIndex> = grant.tasks.iter().copied().collect();
            let first = tasks.first().copied();
            self.take_back(draft, &grant_id, &tasks, first);
        }
    }

    /// Makes tasks of a grant pending again. With `lost`, the node was lost
    /// with them: it is told, and the attempt that ran goes into the history.
    fn take_back(
        &mut self,
        draft: &mut Draft,
        id: &GrantId,
        tasks: &[TaskIndex],
        lost: Option<TaskIndex>,
    ) {
        let job = self.jobs.get(&id.job);
        let Some((_, grant)) = job.and_then(|job| job.grant(id.grant)) else {
            return;
        };
        if lost.is_some() {
            let tasks = bitmap::text(tasks.iter().copied());
            let node = grant.node.clone();
            draft.event(&id.job, EventKind::NodeLost { node, tasks });
            self.note_cut_off(draft, id, &Outcome::NodeLost, Cut::ForNow);
        }
        for task in tasks {
            self.release(draft, id, *task, Settled::Pending);
        }
    }

    /// Everything that a node shall hold: the first line of its orders stream.
    /// Like any order it may be sent only when all changes of earlier verbs
    /// are committed. None when the generation is not the node's newest, or
    /// the node is lost: it must say hello first.
    pub fn full(&self, node: &NodeId, generation: Generation) -> Option<Orders> {
        let known = self.nodes.get(node).filter(|known| known.is_ready())?;
        if known.record.generation != generation {
            return None;
        }
        let mut grants = Vec::new();
        let mut publish = Vec::new();
        for id in known.grants() {
            let Some(job) = self.jobs.get(&id.job) else {
                continue;
            };
            let Some((_, grant)) = job.grant(id.grant) else {
                continue;
            };
            grants.push(on_wire(id, &job.record, grant));
            let attempts = grant.publishing.iter();
            publish.extend(attempts.map(|(task, try_number)| Order::Publish {
                attempt: id.attempt(*task, *try_number),
            }));
        }
        let mut orders = vec![Order::Full { grants }];
        orders.append(&mut publish);
        orders.extend(self.given_back_by(node));
        Some(Orders { generation, orders })
    }
}
