//! Jobs that are over are forgotten, the longest over first: when they are too
//! many, or have been over for long enough. With a job go its chunks, and its pages
//! of attempts and results.
//!
//! First the job's record says that it is forgotten, then everything goes that stands
//! on it, and the record last: what was cut off between is finished on restoring,
//! and nobody sees a job by half. One that an open job runs after stays. Modules that
//! nobody needs go likewise (`library.rs`).

use serde::{Deserialize, Serialize};
use stint_api::id::JobId;
use stint_api::time::{Span, Time};

use crate::cluster::Cluster;
use crate::draft::{Draft, Forgotten};
use crate::job::Job;

/// Jobs forgotten in one verb: milliseconds of the heart.
const JOBS_MAX: usize = 256;
/// Records that go in one verb, about: a job of many tasks has thousands, and goes whole.
const RECORDS_MAX: usize = 4_096;
/// Jobs looked at in one verb: those that others run after are passed over.
const LOOKED_AT_MAX: usize = 4_096;
/// Between two verbs that forget.
const PAUSE: Span = Span::from_millis(100);

/// How long jobs are kept that are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keep {
    /// Most of them; 0 keeps none longer than a moment.
    pub jobs: usize,
    /// The longest time since their end.
    pub age: Span,
}

impl Default for Keep {
    /// 100,000 jobs, a few hundred MiB of memory at most, for 30 days.
    fn default() -> Self {
        Self {
            jobs: 100_000,
            age: Span::from_secs(30 * 24 * 3_600),
        }
    }
}

impl Cluster {
    /// Whether there is such a job, or it is not forgotten yet.
    pub fn knows(&self, job: &JobId) -> bool {
        self.jobs.contains_key(job)
    }

    /// Forgets jobs whose time has come.
    pub(crate) fn prune(&mut self, draft: &mut Draft) {
        if draft.now < self.prune_at {
            return;
        }
        let keep = self.config.keep;
        let mut ids: Vec<JobId> = Vec::new();
        let mut records = 0;
        for (at, id) in self.over.iter().take(LOOKED_AT_MAX) {
            let too_many = self.over.len() - ids.len() > keep.jobs;
            let is_due = too_many || *at + keep.age <= draft.now;
            if !is_due || ids.len() == JOBS_MAX || records >= RECORDS_MAX {
                break;
            }
            // Whoever follows it looks at how it ended.
            if self.children.contains_key(id) {
                continue;
            }
            let chunks = self.jobs.get(id).map(Job::chunks);
            let chunks = chunks.into_iter().flat_map(|chunks| chunks.values());
            records += chunks.map(|chunk| 1 + chunk.pages as usize).sum::<usize>();
            ids.push(id.clone());
        }
        // A module goes in a verb after that of its last job, in turns with jobs: these may
        // be over faster than they are forgotten.
        if ids.is_empty() || self.modules_next {
            self.prune_modules(draft);
            ids.clear();
        }
        self.modules_next = !ids.is_empty();
        for id in ids {
            self.forget(draft, id);
        }
        self.prune_at = draft.now + PAUSE;
    }

    fn forget(&mut self, draft: &mut Draft, id: JobId) {
        let Some(job) = self.jobs.remove(&id) else {
            return;
        };
        self.uses.job_went(&job);
        let record = &job.record;
        self.by_time.remove(&(record.submitted_at, id.clone()));
        if let Some(at) = job.ended_at() {
            self.over.remove(&(at, id.clone()));
        }
        if let Some(idempotency) = &record.idempotency {
            let key = (id.namespace.clone(), idempotency.key.clone());
            if self.by_key.get(&key) == Some(&id) {
                self.by_key.remove(&key);
            }
        }
        let chunks = job.chunks().iter();
        let pages = chunks.map(|(index, chunk)| (*index, chunk.pages)).collect();
        let mut record = job.record;
        record.is_forgotten = true;
        draft.forgotten.push(Forgotten {
            job: id,
            record: Some(record),
            pages,
        });
    }

    /// When the next job or module is to be forgotten.
    pub(crate) fn next_prune(&self) -> Option<Time> {
        let keep = self.config.keep;
        let job = self.over.first().map(|(at, _)| {
            let due = match self.over.len() > keep.jobs {
                true => self.prune_at,
                false => *at + keep.age,
            };
            due.max(self.prune_at)
        });
        job.into_iter().chain(self.next_module_prune()).min()
    }

    /// Notes that a job is over: since when, and that it follows no other any more.
    pub(crate) fn note_over(&mut self, id: &JobId) {
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        if let Some(at) = job.ended_at() {
            self.over.insert((at, id.clone()));
        }
        for parent in &job.record.spec.after {
            if let Some(children) = self.children.get_mut(parent) {
                children.remove(id);
                if children.is_empty() {
                    self.children.remove(parent);
                }
            }
        }
    }
}
