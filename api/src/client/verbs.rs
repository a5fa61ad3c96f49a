//! The verbs that ask once and are answered once.

use std::time::Duration;

use reqwest::{Method, Response};

use super::{Client, Error, Patience};
use crate::explain::Explanation;
use crate::id::{Digest, JobId, Namespace, TaskIndex};
use crate::job::{JobBatch, JobSpec};
use crate::kit::{Kit, KitList, KitSpec};
use crate::view::{BatchSubmitted, JobList, JobView, ModuleList, ModuleView, Submitted, TasksView};

/// A submit whose answer was lost is repeated this often, under the same key.
const SUBMIT_TRIES_MAX: u32 = 8;
/// Longest wait until a kit is added: the scan of the largest module on a busy machine.
const ADD_KIT_TIMEOUT: Duration = Duration::from_secs(300);

impl Client {
    /// Whether somebody answers there who calls itself healthy.
    ///
    /// # Errors
    /// When nobody answers, or not well.
    pub async fn health(&self) -> Result<(), Error> {
        let request = self.request(Method::GET, "/healthz", &[]);
        self.send(request).await.map(drop)
    }

    /// Submits a job. `key` makes it safe to repeat: the same key and job give
    /// the same answer, and one job. When the connection breaks, the call is
    /// repeated a few times.
    ///
    /// # Errors
    /// When the job is refused, or no answer could be had.
    pub async fn submit(&self, spec: &JobSpec, key: &str) -> Result<Submitted, Error> {
        let mut patience = Patience::default();
        let mut tries = 1;
        loop {
            let request = self
                .request(Method::POST, "/v1/jobs", &[])
                .header("idempotency-key", key)
                .json(spec);
            let error = match self.fetch(request).await {
                Ok(submitted) => return Ok(submitted),
                Err(error) => error,
            };
            // A first call that finds nobody is told so at once; after a break
            // the scheduler may have the job already, and is worth waiting for.
            let nobody = tries == 1 && matches!(error, Error::Unreachable { .. });
            if nobody || tries == SUBMIT_TRIES_MAX {
                return Err(error);
            }
            patience.after(error).await?;
            tries += 1;
        }
    }

    /// Submits many jobs, all or none. `key` makes it safe to repeat.
    ///
    /// # Errors
    /// When one of them is refused, or no answer could be had.
    pub async fn submit_batch(&self, batch: &JobBatch, key: &str) -> Result<BatchSubmitted, Error> {
        let request = self.request(Method::POST, "/v1/jobs:batch", &[]);
        let request = request.header("idempotency-key", key).json(batch);
        self.fetch(request).await
    }

    /// A job.
    ///
    /// # Errors
    /// When there is none of that id, or no answer could be had.
    pub async fn job(&self, id: &JobId) -> Result<JobView, Error> {
        self.fetch(self.request(Method::GET, &format!("/v1/jobs/{id}"), &[]))
            .await
    }

    /// Why tasks of a job wait, or that none does.
    ///
    /// # Errors
    /// When there is none of that id, or no answer could be had.
    pub async fn explain(&self, id: &JobId) -> Result<Explanation, Error> {
        self.fetch(self.request(Method::GET, &format!("/v1/jobs/{id}/explain"), &[]))
            .await
    }

    /// A page of jobs, newest first; `cursor` is `next` of the page before.
    ///
    /// # Errors
    /// When no answer could be had.
    pub async fn jobs(
        &self,
        namespace: &Namespace,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<JobList, Error> {
        let limit = limit.to_string();
        let mut query = vec![("namespace", namespace.as_str()), ("limit", limit.as_str())];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        self.fetch(self.request(Method::GET, "/v1/jobs", &query))
            .await
    }

    /// A page of a job's tasks from the task `from` on, which is `next` of the page
    /// before: at most `runs` runs of them, and at most `history` attempts, the latest.
    ///
    /// # Errors
    /// When there is none of that id, or no answer could be had.
    pub async fn tasks(
        &self,
        id: &JobId,
        from: TaskIndex,
        runs: u32,
        history: u32,
    ) -> Result<TasksView, Error> {
        let (from, runs, history) = (from.to_string(), runs.to_string(), history.to_string());
        let query = [("from", &*from), ("limit", &*runs), ("history", &*history)];
        self.fetch(self.request(Method::GET, &format!("/v1/jobs/{id}/tasks"), &query))
            .await
    }

    /// Cancels a job; one that is over stays as it is.
    ///
    /// # Errors
    /// When there is none of that id, or no answer could be had.
    pub async fn cancel(&self, id: &JobId) -> Result<(), Error> {
        self.steer(id, "cancel").await
    }

    /// Starts nothing more of a job; what runs may end.
    ///
    /// # Errors
    /// When there is none of that id, it is over, or no answer could be had.
    pub async fn suspend(&self, id: &JobId) -> Result<(), Error> {
        self.steer(id, "suspend").await
    }

    /// Lets a suspended job go on.
    ///
    /// # Errors
    /// When there is none of that id, it is over, or no answer could be had.
    pub async fn resume(&self, id: &JobId) -> Result<(), Error> {
        self.steer(id, "resume").await
    }

    async fn steer(&self, id: &JobId, verb: &str) -> Result<(), Error> {
        let request = self.request(Method::POST, &format!("/v1/jobs/{id}:{verb}"), &[]);
        self.send(request).await.map(drop)
    }

    /// Submits a job once more, or those of its tasks that failed. `key` makes it
    /// safe to repeat.
    ///
    /// # Errors
    /// When there is none of that id, nothing of it failed, or no answer could be had.
    pub async fn rerun(&self, id: &JobId, failed: bool, key: &str) -> Result<Submitted, Error> {
        let failed = failed.to_string();
        let query = [("failed", failed.as_str())];
        let request = self.request(Method::POST, &format!("/v1/jobs/{id}:rerun"), &query);
        self.fetch(request.header("idempotency-key", key)).await
    }

    /// Every module of a namespace.
    ///
    /// # Errors
    /// When no answer could be had.
    pub async fn modules(&self, namespace: &Namespace) -> Result<ModuleList, Error> {
        let query = [("namespace", namespace.as_str())];
        self.fetch(self.request(Method::GET, "/v1/modules", &query))
            .await
    }

    /// What is known about a module.
    ///
    /// # Errors
    /// When the namespace has none of that digest, or no answer could be had.
    pub async fn module(
        &self,
        namespace: &Namespace,
        digest: &Digest,
    ) -> Result<ModuleView, Error> {
        let query = [("namespace", namespace.as_str())];
        let path = format!("/v1/modules/{digest}");
        self.fetch(self.request(Method::GET, &path, &query)).await
    }

    /// Adds a kit whose module and files were put before.
    ///
    /// # Errors
    /// When the kit is refused, or no answer could be had.
    pub async fn add_kit(
        &self,
        namespace: &Namespace,
        name: &str,
        kit: &KitSpec,
    ) -> Result<Kit, Error> {
        let query = [("namespace", namespace.as_str())];
        let request = self.request(Method::PUT, &format!("/v1/kits/{name}"), &query);
        // The scheduler reads the whole module before it answers.
        self.fetch(request.json(kit).timeout(ADD_KIT_TIMEOUT)).await
    }

    /// Every kit of a namespace.
    ///
    /// # Errors
    /// When no answer could be had.
    pub async fn kits(&self, namespace: &Namespace) -> Result<KitList, Error> {
        let query = [("namespace", namespace.as_str())];
        self.fetch(self.request(Method::GET, "/v1/kits", &query))
            .await
    }

    /// Opens a stream of the API.
    pub(super) async fn open(
        &self,
        path: &str,
        query: &[(&str, &str)],
        last_event_id: Option<&str>,
    ) -> Result<Response, Error> {
        let mut request = self.request(Method::GET, path, query);
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        self.send(request).await
    }
}
