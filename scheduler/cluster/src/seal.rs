//! Turns a draft into effects: ends what is over, places what waits, and
//! writes each touched record once, in an order of which any prefix is sound: a
//! job before its first chunk, a page before the chunk that counts it, a chunk
//! before the job that sums it up, but a decree before what it does to chunks.

use stint_api::link::Orders;
use stint_api::view::Event;

use crate::cluster::Cluster;
use crate::draft::{Draft, Forgotten};
use crate::effects::{Change, Effects};
use crate::key::RecordKey;
use crate::record::{MetaRecord, to_bytes};

impl Cluster {
    /// Every verb ends here.
    pub(crate) fn seal(&mut self, mut draft: Draft) -> Effects {
        self.settle(&mut draft);
        if draft.place {
            self.place(&mut draft);
            self.settle(&mut draft);
        }
        let mut changes = Vec::new();
        self.write_shared(&draft, &mut changes);
        self.write_jobs(&mut draft, &mut changes);
        delete_forgotten(&draft, &mut changes);
        let orders = draft.orders.into_iter().filter_map(|(node, orders)| {
            let generation = self.nodes.get(&node)?.record.generation;
            Some((node, Orders { generation, orders }))
        });
        let orders = orders.collect();
        let mut events = Vec::with_capacity(draft.events.len());
        for (job, what) in draft.events {
            events.push(Event {
                seq: self.next_event,
                at: draft.now,
                job,
                what,
            });
            self.next_event += 1;
        }
        Effects {
            changes,
            orders,
            events,
        }
    }

    /// Records that jobs stand on come before them.
    fn write_shared(&self, draft: &Draft, changes: &mut Vec<Change>) {
        if draft.meta {
            changes.push(Change::Put {
                key: RecordKey::Meta,
                bytes: to_bytes(&MetaRecord { cluster: self.id }),
            });
        }
        for id in &draft.nodes {
            let key = RecordKey::Node(id.clone());
            changes.push(match self.nodes.get(id) {
                Some(node) => Change::Put {
                    key,
                    bytes: to_bytes(&node.record),
                },
                None => Change::Delete { key },
            });
        }
        for (namespace, digest) in &draft.modules {
            let key = RecordKey::Module(namespace.clone(), *digest);
            changes.push(match self.modules.get(&(namespace.clone(), *digest)) {
                Some(module) => Change::Put {
                    key,
                    bytes: to_bytes(module),
                },
                None => Change::Delete { key },
            });
        }
        let mut put = |key, bytes| changes.push(Change::Put { key, bytes });
        for namespace in &draft.namespaces {
            if let Some(record) = self.namespaces.get(namespace) {
                put(RecordKey::Namespace(namespace.clone()), to_bytes(record));
            }
        }
        for id in draft.made.iter().chain(&draft.decreed) {
            if let Some(job) = self.jobs.get(id) {
                put(RecordKey::Job(id.clone()), to_bytes(&job.record));
            }
        }
    }

    fn write_jobs(&mut self, draft: &mut Draft, changes: &mut Vec<Change>) {
        let mut put = |key, bytes| changes.push(Change::Put { key, bytes });
        for ((id, index), pages) in std::mem::take(&mut draft.pages) {
            let job = self.jobs.get_mut(&id);
            let Some(chunk) = job.and_then(|job| job.chunk_mut(index)) else {
                continue;
            };
            for page in pages.into_pages() {
                let key = RecordKey::Page(id.clone(), index, chunk.pages);
                chunk.pages += 1;
                put(key, to_bytes(&page));
            }
        }
        for (id, index) in &draft.chunks {
            let job = self.jobs.get(id);
            if let Some(chunk) = job.and_then(|job| job.chunk(*index)) {
                put(RecordKey::Chunk(id.clone(), *index), to_bytes(chunk));
            }
        }
        for id in draft.jobs.difference(&draft.decreed) {
            if let Some(job) = self.jobs.get(id) {
                put(RecordKey::Job(id.clone()), to_bytes(&job.record));
            }
        }
    }
}

/// A job's record says that it is forgotten before the first of its records goes.
fn delete_forgotten(draft: &Draft, changes: &mut Vec<Change>) {
    for Forgotten { job, record, pages } in &draft.forgotten {
        let key = || RecordKey::Job(job.clone());
        changes.extend(record.as_ref().map(|record| Change::Put {
            key: key(),
            bytes: to_bytes(record),
        }));
        for (index, count) in pages {
            let pages = (0..*count).map(|seq| RecordKey::Page(job.clone(), *index, seq));
            changes.extend(pages.map(|key| Change::Delete { key }));
            let key = RecordKey::Chunk(job.clone(), *index);
            changes.push(Change::Delete { key });
        }
        changes.push(Change::Delete { key: key() });
    }
}
