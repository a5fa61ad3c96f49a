//! What is shown of the cluster. Nothing here changes anything.

use stint_api::id::{Digest, JobId, Namespace, TaskIndex};
use stint_api::time::Time;
use stint_api::view::{JobList, JobView, ModuleList, ModuleView, NodeList};

use crate::cluster::Cluster;
use crate::job::Life;
use crate::page::PageIndex;
use crate::submit::text_bytes;
use crate::task_runs::{TaskPage, task_runs};
use crate::waiting::Explainer;

/// Jobs of a page when nobody says how many.
const PAGE_JOBS: u32 = 100;
/// Most jobs of a page: the heart is busy while it is made.
const PAGE_JOBS_MAX: u32 = 1_000;
/// A page with more bytes of specs than this ends early, so that it stays
/// far below what a client reads. One spec alone always fits.
const PAGE_BYTES: usize = 16 << 20;

/// Which jobs to list, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobsQuery {
    /// Only those of this namespace.
    pub namespace: Option<Namespace>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// Most jobs to show: 1 to 1000, 100 when absent.
    pub limit: Option<u32>,
}

/// Jobs cannot be listed so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobsError {
    /// No page ended there.
    #[error("`{0}` is not a cursor; give `next` of the page before as it came, or none to begin")]
    Cursor(String),
    /// A page cannot have that many.
    #[error("a page has 1 to {PAGE_JOBS_MAX} jobs, not {0}")]
    Limit(u32),
}

impl Cluster {
    /// The job of that id.
    pub fn job(&self, id: &JobId) -> Option<JobView> {
        self.view_of(id, &mut Explainer::new(self))
    }

    fn view_of(&self, id: &JobId, explainer: &mut Explainer<'_>) -> Option<JobView> {
        let job = self.jobs.get(id)?;
        let (attempts, usage) = job.spent();
        let ended_at = match job.record.life {
            Life::Over { at, .. } => Some(at),
            Life::Queued | Life::Running { .. } => None,
        };
        Some(JobView {
            id: id.clone(),
            spec: job.record.spec.clone(),
            state: job.state(),
            first_failure: job.first_failure().cloned(),
            tasks: job.counts(),
            attempts,
            usage,
            suspended_at: job.record.suspended_at.filter(|_| job.is_open()),
            rerun_of: job.record.rerun_of.clone(),
            submitted_at: job.record.submitted_at,
            started_at: job.started_at(),
            ended_at,
            waiting: explainer.line(id, job),
        })
    }

    /// A page of jobs, newest first.
    ///
    /// # Errors
    /// The cursor or the limit is none.
    pub fn jobs(&self, query: &JobsQuery) -> Result<JobList, JobsError> {
        let limit = query.limit.unwrap_or(PAGE_JOBS);
        if !(1..=PAGE_JOBS_MAX).contains(&limit) {
            return Err(JobsError::Limit(limit));
        }
        let cursor = query.cursor.as_deref();
        let before = cursor.map(|text| parse_cursor(text).ok_or_else(|| wrong(text)));
        let before = before.transpose()?;
        let mut older = self.older(query, before)?.peekable();
        let mut jobs: Vec<JobView> = Vec::new();
        let mut explainer = Explainer::new(self);
        let mut bytes = 0;
        let mut next = None;
        while let Some(id) = older.next() {
            let Some(job) = self.view_of(id, &mut explainer) else {
                continue;
            };
            bytes += text_bytes(&job.spec);
            jobs.push(job);
            let is_full = jobs.len() as u64 >= u64::from(limit) || bytes >= PAGE_BYTES;
            if is_full && older.peek().is_some() {
                next = jobs.last().map(|last| cursor_of(last.submitted_at, id));
                break;
            }
        }
        Ok(JobList { jobs, next })
    }

    /// The jobs before that one, newest first. In a namespace the order is that of
    /// the numbers, so that no other namespace's jobs are looked at.
    fn older(
        &self,
        query: &JobsQuery,
        before: Option<(Time, JobId)>,
    ) -> Result<Box<dyn Iterator<Item = &JobId> + '_>, JobsError> {
        let Some(namespace) = &query.namespace else {
            let older = match before {
                Some(before) => self.by_time.range(..before),
                None => self.by_time.range(..),
            };
            return Ok(Box::new(older.rev().map(|(_, id)| id)));
        };
        let id = |number| JobId {
            namespace: namespace.clone(),
            number,
        };
        let end = match before {
            None => id(u64::MAX),
            Some((_, before)) if before.namespace == *namespace => before,
            Some(_) => return Err(wrong(query.cursor.as_deref().unwrap_or_default())),
        };
        let older = self.jobs.range(id(0)..end);
        Ok(Box::new(older.rev().map(|(id, _)| id)))
    }

    /// At most `limit` runs of a job's tasks in the same state, ascending, the first
    /// at the task `from` or after; and where to find the attempts.
    pub fn tasks(
        &self,
        id: &JobId,
        from: TaskIndex,
        limit: usize,
    ) -> Option<(TaskPage, PageIndex)> {
        let page = task_runs(self.jobs.get(id)?, from, limit);
        Some((page, self.pages(id)?))
    }

    /// Where to find the attempts and results of a job.
    pub fn pages(&self, id: &JobId) -> Option<PageIndex> {
        let job = self.jobs.get(id)?;
        let index = PageIndex::new(id.clone(), job.chunks(), job.record.chunk_tasks);
        Some(index)
    }

    /// Every node that did not leave, by name.
    pub fn nodes(&self) -> NodeList {
        let here = self.nodes.iter().filter(|(_, node)| !node.record.left);
        let nodes = here.map(|(id, node)| node.view(id));
        NodeList {
            nodes: nodes.collect(),
        }
    }

    /// Every module of a namespace, by digest.
    pub fn modules(&self, namespace: &Namespace) -> ModuleList {
        let first = (namespace.clone(), Digest([0; 32]));
        let last = (namespace.clone(), Digest([0xff; 32]));
        let modules = self.modules.range(first..=last);
        ModuleList {
            modules: modules.map(|(_, module)| module.clone()).collect(),
        }
    }

    /// What is known about a module.
    pub fn module(&self, namespace: &Namespace, digest: &Digest) -> Option<&ModuleView> {
        self.modules.get(&(namespace.clone(), *digest))
    }

    /// Number of the newest event that was ever decided, told or not.
    pub fn newest_event(&self) -> u64 {
        self.next_event.saturating_sub(1)
    }
}

fn cursor_of(at: Time, id: &JobId) -> String {
    format!("{}-{id}", at.as_nanos())
}

fn parse_cursor(text: &str) -> Option<(Time, JobId)> {
    let (at, id) = text.split_once('-')?;
    Some((Time::from_nanos(at.parse().ok()?), id.parse().ok()?))
}

fn wrong(cursor: &str) -> JobsError {
    JobsError::Cursor(cursor.chars().take(80).collect())
}
