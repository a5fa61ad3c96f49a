//! A node as the scheduler knows it: what it is, what it holds, when it was heard.
//!
//! ```text
//!           hello                silent past its lease, another incarnation says hello, or goodbye
//!  (none) ---------> ready ------------------------------------------------------> lost
//!                    ^   \ reports, hello: heard again                             |
//!                    |   +--> ready                                                |
//!                    +--------------------- hello: a new generation ---------------+
//! ```
//!
//! A lost node holds nothing; what it says under its old generation is refused.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use stint_api::id::{Digest, Generation, GrantId, Incarnation, JobId, NodeId};
use stint_api::link::Hello;
use stint_api::quantity::Resources;
use stint_api::time::Time;
use stint_api::view::{NodeDuty, NodeState, NodeView};

use crate::duty::Duty;
use crate::reserve::Reservation;

/// Compiled modules remembered per node; a preference, so forgetting costs little.
const COMPILED_MAX: usize = 4096;

/// What is durable about a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NodeRecord {
    pub(crate) incarnation: Incarnation,
    /// Of its last welcome.
    pub(crate) generation: Generation,
    pub(crate) state: NodeState,
    /// It is lost because it said goodbye.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) left: bool,
    /// What somebody decided; stays over restarts of either side.
    #[serde(default)]
    pub(crate) duty: Duty,
    pub(crate) capacity: Resources,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) limits: String,
    pub(crate) version: String,
    /// When its last hello was sent, by its own clock.
    #[serde(default)]
    pub(crate) hello_at: Time,
    /// When it was welcomed or lost; between, hearing it is not recorded.
    pub(crate) heard_at: Time,
}

/// A node in memory.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) record: NodeRecord,
    /// Its lease counts from here.
    pub(crate) heard_at: Time,
    /// Slots that its grants take.
    slots: BTreeMap<GrantId, Resources>,
    taken: Resources,
    compiled: BTreeSet<Digest>,
    /// Grants that were told to give way, and for whom.
    pub(crate) preempted: BTreeMap<GrantId, JobId>,
    /// Room that they leave; while there is any, nobody else gets a place here.
    pub(crate) reserved: Vec<Reservation>,
    /// It gave tasks back because it goes down: until then nothing is placed there.
    pub(crate) leaving_until: Option<Time>,
    /// It was told to stop what it still runs: the time to drain is over.
    pub(crate) is_evicted: bool,
}

impl Node {
    pub(crate) fn new(record: NodeRecord, now: Time) -> Self {
        Self {
            record,
            heard_at: now,
            slots: BTreeMap::new(),
            taken: Resources::default(),
            compiled: BTreeSet::new(),
            preempted: BTreeMap::new(),
            reserved: Vec::new(),
            leaving_until: None,
            is_evicted: false,
        }
    }

    /// What is recorded of a node that says hello; its duty is for others to decide.
    pub(crate) fn record_of(hello: &Hello, generation: Generation, now: Time) -> NodeRecord {
        NodeRecord {
            incarnation: hello.incarnation,
            generation,
            state: NodeState::Ready,
            left: false,
            duty: Duty::Open,
            capacity: hello.capacity,
            labels: hello.labels.clone(),
            limits: hello.limits.clone(),
            version: hello.version.clone(),
            hello_at: hello.sent_at,
            heard_at: now,
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.record.state == NodeState::Ready
    }

    /// Whether anything may be placed there.
    pub(crate) fn takes_work(&self) -> bool {
        self.is_ready() && self.leaving_until.is_none() && self.record.duty == Duty::Open
    }

    /// Whether anybody may get a place there now.
    pub(crate) fn is_open(&self) -> bool {
        self.takes_work() && self.reserved.is_empty()
    }

    /// Its slots' share of the machine that no grant takes.
    pub(crate) fn free(&self) -> Resources {
        self.record.capacity - self.taken
    }

    /// The grants it holds.
    pub(crate) fn grants(&self) -> impl Iterator<Item = &GrantId> {
        self.slots.keys()
    }

    /// The same, and what their slots take.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (&GrantId, &Resources)> {
        self.slots.iter()
    }

    /// Those that were told to give way.
    pub(crate) fn leaving(&self) -> impl Iterator<Item = (&GrantId, &Resources)> {
        let leaving = self.preempted.keys();
        leaving.filter_map(|id| self.slots.get_key_value(id))
    }

    /// A grant takes a slot.
    pub(crate) fn take(&mut self, grant: GrantId, share: Resources) {
        if self.slots.insert(grant, share).is_none() {
            self.taken = self.taken + share;
        }
    }

    /// A grant gives its slot back.
    pub(crate) fn give_back(&mut self, grant: &GrantId) {
        if let Some(share) = self.slots.remove(grant) {
            self.taken = self.taken - share;
        }
        self.preempted.remove(grant);
    }

    pub(crate) fn has_compiled(&self, module: &Digest) -> bool {
        self.compiled.contains(module)
    }

    /// Whether it is remembered.
    pub(crate) fn learn_compiled(&mut self, module: Digest) -> bool {
        self.compiled.len() < COMPILED_MAX && self.compiled.insert(module)
    }

    /// Another machine bears the name now: what the old one kept is gone.
    pub(crate) fn forget_compiled(&mut self) {
        self.compiled.clear();
    }

    pub(crate) fn view(&self, id: &NodeId) -> NodeView {
        let (duty, drain_by) = match self.record.duty {
            Duty::Open => (NodeDuty::Open, None),
            Duty::Cordoned => (NodeDuty::Cordoned, None),
            Duty::Draining { .. } if self.slots.is_empty() => (NodeDuty::Drained, None),
            Duty::Draining { by } => (NodeDuty::Draining, Some(by)),
        };
        NodeView {
            id: id.clone(),
            state: self.record.state,
            duty,
            drain_by,
            capacity: self.record.capacity,
            free: self.free(),
            grants: u32::try_from(self.slots.len()).unwrap_or(u32::MAX),
            labels: self.record.labels.clone(),
            limits: self.record.limits.clone(),
            version: self.record.version.clone(),
            heard_at: self.heard_at,
        }
    }
}
