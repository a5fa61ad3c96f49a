//! What a verb has decided so far: sealed into [`crate::Effects`] when it is through.
//! Records are noted here and written once, however often a verb touched them.

use std::collections::{BTreeMap, BTreeSet};

use stint_api::id::{Digest, JobId, Namespace, NodeId};
use stint_api::link::Order;
use stint_api::time::Time;
use stint_api::view::EventKind;

use crate::job::JobRecord;
use crate::page::PageDraft;

/// A job that is forgotten, and what goes with it.
#[derive(Debug)]
pub(crate) struct Forgotten {
    pub(crate) job: JobId,
    /// Its record, that says so; none when the store has that already.
    pub(crate) record: Option<JobRecord>,
    /// How many pages each of its chunks has.
    pub(crate) pages: Vec<(u32, u32)>,
}

/// The effects of one verb, being gathered.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) now: Time,
    /// The cluster was made.
    pub(crate) meta: bool,
    /// The jobs that were made: their records come before those of their chunks.
    pub(crate) made: Vec<JobId>,
    /// Jobs that ended by decree: their records come before those of their chunks, too.
    pub(crate) decreed: BTreeSet<JobId>,
    /// Job records that changed.
    pub(crate) jobs: BTreeSet<JobId>,
    /// Chunk records that changed.
    pub(crate) chunks: BTreeSet<(JobId, u32)>,
    /// What happened to attempts.
    pub(crate) pages: BTreeMap<(JobId, u32), PageDraft>,
    pub(crate) namespaces: BTreeSet<Namespace>,
    pub(crate) nodes: BTreeSet<NodeId>,
    pub(crate) modules: BTreeSet<(Namespace, Digest)>,
    pub(crate) orders: BTreeMap<NodeId, Vec<Order>>,
    pub(crate) events: Vec<(JobId, EventKind)>,
    /// Jobs whose tasks changed: they may be over, or wait.
    pub(crate) touched: BTreeSet<JobId>,
    /// Jobs that are forgotten.
    pub(crate) forgotten: Vec<Forgotten>,
    /// Something may fit now that did not before.
    pub(crate) place: bool,
}

impl Draft {
    pub(crate) fn new(now: Time) -> Self {
        Self {
            now,
            meta: false,
            made: Vec::new(),
            decreed: BTreeSet::new(),
            jobs: BTreeSet::new(),
            chunks: BTreeSet::new(),
            pages: BTreeMap::new(),
            namespaces: BTreeSet::new(),
            nodes: BTreeSet::new(),
            modules: BTreeSet::new(),
            orders: BTreeMap::new(),
            events: Vec::new(),
            touched: BTreeSet::new(),
            forgotten: Vec::new(),
            place: false,
        }
    }

    /// The chunk's record changed.
    pub(crate) fn chunk(&mut self, job: &JobId, chunk: u32) {
        self.chunks.insert((job.clone(), chunk));
        self.touched.insert(job.clone());
    }

    /// The page that takes what happens to the chunk now.
    pub(crate) fn page(&mut self, job: &JobId, chunk: u32) -> &mut PageDraft {
        self.pages.entry((job.clone(), chunk)).or_default()
    }

    pub(crate) fn order(&mut self, node: &NodeId, order: Order) {
        self.orders.entry(node.clone()).or_default().push(order);
    }

    pub(crate) fn event(&mut self, job: &JobId, what: EventKind) {
        self.events.push((job.clone(), what));
    }
}
