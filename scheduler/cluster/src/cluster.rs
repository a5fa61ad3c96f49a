//! What the scheduler knows, and how time reaches it. The verbs are in the
//! files beside this one, each an `impl Cluster`.

use std::collections::{BTreeMap, BTreeSet};

use stint_api::id::{ClusterId, Digest, JobId, Namespace, NodeId};
use stint_api::time::{Span, Time};
use stint_api::view::ModuleView;

use crate::account::Accounts;
use crate::debts::Pledges;
use crate::draft::{Draft, Forgotten};
use crate::history::Keep;
use crate::job::Job;
use crate::library::Uses;
use crate::node::Node;
use crate::queue::Queue;
use crate::ranks::Ranks;
use crate::record::NamespaceRecord;
use crate::shelves::Shelves;

/// What an operator decides about a cluster.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How long a node may act without hearing from the scheduler, counted
    /// from when it *sent* what was answered.
    pub lease: Span,
    /// How much longer the scheduler waits before it gives the work away: the
    /// drift of two clocks over a lease, and the time that killing takes.
    pub grace: Span,
    /// How long jobs are kept that are over.
    pub keep: Keep,
}

impl Config {
    /// Most bytes of one record: below the MiB that a store takes at once.
    pub const RECORD_BYTES_MAX: usize = 1_000_000;
}

impl Default for Config {
    /// A lease of 2 s with 250 ms grace.
    fn default() -> Self {
        Self {
            lease: Span::from_secs(2),
            grace: Span::from_millis(250),
            keep: Keep::default(),
        }
    }
}

/// The heart of the scheduler.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) config: Config,
    pub(crate) id: ClusterId,
    pub(crate) namespaces: BTreeMap<Namespace, NamespaceRecord>,
    pub(crate) jobs: BTreeMap<JobId, Job>,
    pub(crate) nodes: BTreeMap<NodeId, Node>,
    pub(crate) modules: BTreeMap<(Namespace, Digest), ModuleView>,
    /// Which module has the name of a kit; derived from `modules`.
    pub(crate) kits: BTreeMap<(Namespace, String), Digest>,
    /// When modules were last of use.
    pub(crate) uses: Uses,
    /// Jobs by submission, for listing; derived from `jobs`.
    pub(crate) by_time: BTreeSet<(Time, JobId)>,
    /// Which job a key made; derived from `jobs`.
    pub(crate) by_key: BTreeMap<(Namespace, String), JobId>,
    /// Jobs that wait for room; derived from `jobs` when one is touched.
    pub(crate) queue: Queue,
    /// Which nodes have room; derived from `nodes` when one changes.
    pub(crate) shelves: Shelves,
    /// What each namespace has; derived from `jobs`.
    pub(crate) accounts: Accounts,
    /// Who holds slots where, and of which priority; derived from `nodes` when one changes.
    pub(crate) ranks: Ranks,
    /// Nodes with room that is reserved, or that victims are about to leave.
    pub(crate) reserving: BTreeSet<NodeId>,
    /// What those nodes are about to give and to get back, as of the last placing.
    pub(crate) pledges: Pledges,
    /// Jobs that wait for the end of another, by that one; derived from `jobs`.
    pub(crate) followers: BTreeMap<JobId, BTreeSet<JobId>>,
    /// Open jobs that run after another, by that one; derived from `jobs`.
    pub(crate) children: BTreeMap<JobId, BTreeSet<JobId>>,
    /// Jobs that are over, by when; derived from `jobs`.
    pub(crate) over: BTreeSet<(Time, JobId)>,
    /// Before this, no more of them are forgotten.
    pub(crate) prune_at: Time,
    /// Whether it is the turn of modules to be forgotten.
    pub(crate) modules_next: bool,
    /// Jobs whose forgetting was cut off, until it is finished on restoring.
    pub(crate) fading: BTreeMap<JobId, Forgotten>,
    /// When the time of a job is over; derived from `jobs` when one is touched.
    pub(crate) deadlines: BTreeSet<(Time, JobId)>,
    /// When there is something to look at on a node; an entry may be out of date.
    pub(crate) alarms: BTreeSet<(Time, NodeId)>,
    /// No ready node was last heard before; none when none is ready.
    pub(crate) heard_since: Option<Time>,
    /// Number of the next event.
    pub(crate) next_event: u64,
    /// When the last verb was called.
    pub(crate) called_at: Time,
}

impl Cluster {
    /// A cluster that knows nothing yet.
    pub(crate) fn empty(config: Config, id: ClusterId, now: Time) -> Self {
        Self {
            config,
            id,
            namespaces: BTreeMap::new(),
            jobs: BTreeMap::new(),
            nodes: BTreeMap::new(),
            modules: BTreeMap::new(),
            kits: BTreeMap::new(),
            uses: Uses::default(),
            by_time: BTreeSet::new(),
            by_key: BTreeMap::new(),
            queue: Queue::default(),
            shelves: Shelves::default(),
            accounts: Accounts::default(),
            ranks: Ranks::default(),
            reserving: BTreeSet::new(),
            pledges: Pledges::default(),
            followers: BTreeMap::new(),
            children: BTreeMap::new(),
            over: BTreeSet::new(),
            prune_at: now,
            modules_next: false,
            fading: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            alarms: BTreeSet::new(),
            heard_since: None,
            // Microseconds outrun events, so numbers grow over restarts too,
            // and stay exact in the doubles of a browser.
            next_event: now.as_nanos() / 1_000,
            called_at: now,
        }
    }

    /// Which cluster this is.
    pub fn id(&self) -> ClusterId {
        self.id
    }

    /// What it was made with.
    pub fn config(&self) -> Config {
        self.config
    }

    /// Every verb begins here. When nobody called for half a lease it was the
    /// scheduler that was away (paused, or stuck on its disk), with the nodes'
    /// reports unread: silence of that time is held against no node.
    pub(crate) fn begin(&mut self, now: Time) -> Draft {
        if now.since(self.called_at) > self.config.lease.div(2) {
            for node in self.nodes.values_mut() {
                node.heard_at = node.heard_at.max(now);
            }
        }
        self.called_at = self.called_at.max(now);
        Draft::new(now)
    }
}
