//! Somebody wants a job once more: a new job of the same spec, or of those of
//! its tasks that failed.

use stint_api::id::JobId;
use stint_api::time::Time;

use crate::cluster::Cluster;
use crate::effects::Effects;
use crate::refusal::SubmitError;
use crate::submit::{IdempotencyKey, Submission};

/// Which tasks of a job to run once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rerun {
    /// All that it ran.
    All,
    /// Those that failed; of a job that is over, all that did not succeed.
    Failed,
}

/// A job cannot be run again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RerunError {
    /// There is none of that id.
    #[error("there is no job `{0}`")]
    Unknown(JobId),
    /// None of its tasks failed.
    #[error("no task of job `{0}` has failed")]
    NothingFailed(JobId),
    /// The new job is not accepted.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

impl Cluster {
    /// Submits a job once more, under a new id.
    ///
    /// # Errors
    /// There is no such job, nothing of it failed, or it is not accepted again.
    pub fn rerun(
        &mut self,
        now: Time,
        id: &JobId,
        which: Rerun,
        key: Option<IdempotencyKey>,
    ) -> Result<(Submission, Effects), RerunError> {
        let job = self.jobs.get(id);
        let job = job.ok_or_else(|| RerunError::Unknown(id.clone()))?;
        let mut spec = job.record.spec.clone();
        if which == Rerun::Failed {
            let failed = job.unsuccessful();
            if failed.is_empty() {
                return Err(RerunError::NothingFailed(id.clone()));
            }
            spec.only = (failed.count() < spec.tasks).then_some(failed);
        }
        Ok(self.accept(now, spec, key, Some(id.clone()))?)
    }
}
