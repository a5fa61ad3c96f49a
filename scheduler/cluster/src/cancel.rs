//! Somebody cancels a job: it is over at once, and what runs of it is stopped.

use stint_api::id::JobId;
use stint_api::outcome::Outcome;
use stint_api::time::Time;
use stint_api::view::JobState;

use crate::cluster::Cluster;
use crate::effects::Effects;

/// A job cannot be cancelled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CancelError {
    /// There is none of that id.
    #[error("there is no job `{0}`")]
    Unknown(JobId),
}

impl Cluster {
    /// Cancels a job; one that is over already stays as it is.
    ///
    /// # Errors
    /// There is no such job.
    pub fn cancel(&mut self, now: Time, id: &JobId) -> Result<Effects, CancelError> {
        let mut draft = self.begin(now);
        if !self.jobs.contains_key(id) {
            return Err(CancelError::Unknown(id.clone()));
        }
        self.end_by_decree(&mut draft, id, JobState::Cancelled, &Outcome::Cancelled);
        Ok(self.seal(draft))
    }
}
