//! The heart as the store remembers it. Any prefix of the changes that were
//! ever returned is a state to start from; what a cut-off verb left half done
//! is finished here.

use stint_api::id::{ClusterId, GrantId, NodeId};
use stint_api::time::Time;
use stint_api::view::{ModuleView, NodeState};

use crate::bitmap::CHUNK_TASKS_MAX;
use crate::chunk::Chunk;
use crate::cluster::{Cluster, Config};
use crate::draft::{Draft, Forgotten};
use crate::effects::Effects;
use crate::job::{Job, JobRecord};
use crate::key::{ParseKeyError, RecordKey};
use crate::node::{Node, NodeRecord};
use crate::record::{MetaRecord, NamespaceRecord, RecordError, from_bytes};

/// The records do not make a cluster: none of them is used.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A record has a name that this version does not know.
    #[error("cannot restore the cluster")]
    Key(#[from] ParseKeyError),
    /// A record cannot be read.
    #[error("cannot restore the cluster")]
    Record(#[from] RecordError),
    /// There are records, but none that says of which cluster.
    #[error(
        "the store has records, but none that names its cluster; it is not a scheduler's, or part of it is missing"
    )]
    Nameless,
    /// A record contradicts the others.
    #[error("record `{key}` {why}; restore the data directory from a copy")]
    Contradiction {
        /// The record.
        key: RecordKey,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// Records by kind, in the order in which they stand on one another.
#[derive(Default)]
struct Sorted<'a> {
    meta: Option<&'a [u8]>,
    shared: Vec<(RecordKey, &'a [u8])>,
    jobs: Vec<(RecordKey, &'a [u8])>,
    chunks: Vec<(RecordKey, &'a [u8])>,
}

impl Cluster {
    /// Prefixes of the keys to load and give to [`Self::restore`]: all but the
    /// pages, which are read when somebody asks for them.
    pub const PREFIXES: [&str; 6] = ["meta", "ns/", "node/", "module/", "job/", "chunk/"];

    /// The cluster that `records` are, in any order; a new one, called `new`
    /// (random), when there are none. Nodes that were ready are given a whole
    /// lease from now on: it was the scheduler that was away.
    ///
    /// # Errors
    /// The records are damaged, or of a newer version.
    pub fn restore<'a>(
        config: Config,
        now: Time,
        new: ClusterId,
        records: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<(Self, Effects), RestoreError> {
        let sorted = Sorted::sort(records)?;
        let (id, is_new) = match sorted.meta {
            Some(bytes) => {
                let meta: MetaRecord = from_bytes(&RecordKey::Meta, bytes)?;
                (meta.cluster, false)
            }
            None if sorted.is_empty() => (new, true),
            None => return Err(RestoreError::Nameless),
        };
        let mut cluster = Self::empty(config, id, now);
        for (key, bytes) in sorted.shared {
            cluster.restore_shared(now, key, bytes)?;
        }
        for (key, bytes) in sorted.jobs {
            cluster.restore_job(key, bytes)?;
        }
        for (key, bytes) in sorted.chunks {
            cluster.restore_chunk(key, bytes)?;
        }
        let mut draft = cluster.begin(now);
        draft.meta = is_new;
        cluster.finish_what_was_cut(&mut draft);
        let effects = cluster.seal(draft);
        Ok((cluster, effects))
    }

    fn restore_shared(
        &mut self,
        now: Time,
        key: RecordKey,
        bytes: &[u8],
    ) -> Result<(), RestoreError> {
        match &key {
            RecordKey::Namespace(namespace) => {
                let record: NamespaceRecord = from_bytes(&key, bytes)?;
                self.accounts.decided(namespace, &record.spec);
                self.namespaces.insert(namespace.clone(), record);
            }
            RecordKey::Node(id) => {
                let record: NodeRecord = from_bytes(&key, bytes)?;
                let heard_at = match record.state {
                    NodeState::Ready => now,
                    NodeState::Lost => record.heard_at,
                };
                self.nodes.insert(id.clone(), Node::new(record, heard_at));
            }
            RecordKey::Module(namespace, digest) => {
                let module: ModuleView = from_bytes(&key, bytes)?;
                self.find_kit(&module);
                let key = (namespace.clone(), *digest);
                self.uses.saw(key.clone(), now);
                self.modules.insert(key, module);
            }
            RecordKey::Meta | RecordKey::Job(..) | RecordKey::Chunk(..) | RecordKey::Page(..) => {}
        }
        Ok(())
    }

    fn restore_job(&mut self, key: RecordKey, bytes: &[u8]) -> Result<(), RestoreError> {
        let RecordKey::Job(id) = &key else {
            return Ok(());
        };
        let record: JobRecord = from_bytes(&key, bytes)?;
        // A number that would be given out again is worse than a refusal to start.
        let namespace = self.namespaces.get(&id.namespace);
        if namespace.is_none_or(|namespace| namespace.next_job <= id.number) {
            let why = "has a number that its namespace has not given out";
            return Err(RestoreError::Contradiction { key, why });
        }
        if !(1..=CHUNK_TASKS_MAX).contains(&record.chunk_tasks) {
            let why = "has chunks of a size that there is not";
            return Err(RestoreError::Contradiction { key, why });
        }
        if record.is_forgotten {
            let forgotten = Forgotten {
                job: id.clone(),
                record: None,
                pages: Vec::new(),
            };
            self.fading.insert(id.clone(), forgotten);
            return Ok(());
        }
        self.admit(id.clone(), Job::new(record));
        Ok(())
    }

    fn restore_chunk(&mut self, key: RecordKey, bytes: &[u8]) -> Result<(), RestoreError> {
        let RecordKey::Chunk(id, index) = &key else {
            return Ok(());
        };
        let (id, index) = (id.clone(), *index);
        let chunk: Chunk = from_bytes(&key, bytes)?;
        let wrong = |why| Err(RestoreError::Contradiction { key, why });
        if let Some(forgotten) = self.fading.get_mut(&id) {
            forgotten.pages.push((index, chunk.pages));
            return Ok(());
        }
        let Some(job) = self.jobs.get_mut(&id) else {
            return wrong("belongs to no job");
        };
        if job.next_untouched() != Some(index) {
            return wrong("comes after one that is missing");
        }
        if !job.is_open() && job.record.decree.is_none() && !chunk.grants.is_empty() {
            return wrong("has grants, though its job is over");
        }
        if chunk
            .grants
            .values()
            .any(|grant| !self.nodes.contains_key(&grant.node))
        {
            return wrong("is granted to a node that is not known");
        }
        if !job.adopt(index, chunk) {
            return wrong("has a task in two places, or beyond the job's last");
        }
        Ok(())
    }

    /// What is derived from the records, and what a verb that was cut off left to do.
    fn finish_what_was_cut(&mut self, draft: &mut Draft) {
        let fading = std::mem::take(&mut self.fading);
        draft.forgotten.extend(fading.into_values());
        for (id, job) in &mut self.jobs {
            if let Some(at) = job.ended_at() {
                self.over.insert((at, id.clone()));
            }
            if job.is_open() {
                draft.touched.insert(id.clone());
            }
            for (number, _, grant) in job.grants() {
                let grant_id = GrantId {
                    job: id.clone(),
                    grant: number,
                };
                if let Some(node) = self.nodes.get_mut(&grant.node) {
                    node.take(grant_id, grant.share(&job.record.spec));
                    let share = grant.share(&job.record.spec);
                    let priority = job.record.spec.priority;
                    self.ranks.add(&id.namespace, priority, &grant.node);
                    self.accounts.take(&id.namespace, share, priority);
                }
            }
            // The chunk is written before the job that it belongs to.
            if job.has_attempts() && job.start(draft.now) {
                draft.jobs.insert(id.clone());
            }
        }
        // A decree is written before it is carried out.
        let decreed = self.jobs.iter().filter(|(_, job)| !job.is_open());
        let decreed = decreed.filter_map(|(id, job)| Some((id, job.record.decree.as_ref()?)));
        let decreed: Vec<_> = decreed
            .map(|(id, decree)| (id.clone(), decree.outcome.clone()))
            .collect();
        for (id, why) in decreed {
            self.let_go(draft, &id, &why);
        }
        for (id, node) in &self.nodes {
            self.shelves.altered(id, node);
        }
        let nodes: Vec<NodeId> = self.nodes.keys().cloned().collect();
        for id in nodes {
            self.watch_drain(&id);
        }
        let ready = self.nodes.values().filter(|node| node.is_ready());
        self.heard_since = ready.map(|node| node.heard_at).min();
        let lost = self.nodes.iter().filter(|(_, node)| !node.is_ready());
        let lost: Vec<NodeId> = lost.map(|(id, _)| id.clone()).collect();
        for id in lost {
            self.lose_all(draft, &id);
        }
        draft.place = true;
    }
}

impl<'a> Sorted<'a> {
    fn sort(records: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Self, RestoreError> {
        let mut sorted = Self::default();
        for (text, bytes) in records {
            let key: RecordKey = text.parse()?;
            match &key {
                RecordKey::Meta => sorted.meta = Some(bytes),
                RecordKey::Namespace(_) | RecordKey::Node(_) | RecordKey::Module(..) => {
                    sorted.shared.push((key, bytes));
                }
                RecordKey::Job(_) => sorted.jobs.push((key, bytes)),
                RecordKey::Chunk(..) => sorted.chunks.push((key, bytes)),
                RecordKey::Page(..) => {}
            }
        }
        // A chunk is taken in after the one before it.
        sorted.chunks.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(sorted)
    }

    fn is_empty(&self) -> bool {
        self.shared.is_empty() && self.jobs.is_empty() && self.chunks.is_empty()
    }
}
