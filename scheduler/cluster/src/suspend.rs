//! Somebody suspends a job, and lets it go on. While it is suspended nothing
//! more of it is started: what runs may end, what nodes have not begun comes
//! back, and whatever time the job was given goes on.

use stint_api::id::{GrantId, JobId};
use stint_api::link::Order;
use stint_api::time::Time;
use stint_api::view::{EventKind, JobState};

use crate::cluster::Cluster;
use crate::effects::Effects;
use crate::job::Job;

/// A job cannot be suspended or resumed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SuspendError {
    /// There is none of that id.
    #[error("there is no job `{0}`")]
    Unknown(JobId),
    /// It is over.
    #[error("job `{job}` is over: it {}", match state {
        JobState::Succeeded => "succeeded",
        JobState::Cancelled => "was cancelled",
        _ => "failed",
    })]
    Over {
        /// The job.
        job: JobId,
        /// How it ended.
        state: JobState,
    },
}

impl Cluster {
    /// Starts nothing more of a job; one that is suspended stays so.
    ///
    /// # Errors
    /// There is no such job, or it is over.
    pub fn suspend(&mut self, now: Time, id: &JobId) -> Result<Effects, SuspendError> {
        let mut draft = self.begin(now);
        let job = self.steered(id)?;
        if job.record.suspended_at.is_some() {
            return Ok(Effects::default());
        }
        job.record.suspended_at = Some(now);
        let held: Vec<_> = held_by(id, job).collect();
        for (node, order) in held {
            draft.order(&node, order);
        }
        draft.jobs.insert(id.clone());
        draft.touched.insert(id.clone());
        draft.event(id, EventKind::Suspended);
        Ok(self.seal(draft))
    }

    /// Lets a suspended job go on.
    ///
    /// # Errors
    /// There is no such job, or it is over.
    pub fn resume(&mut self, now: Time, id: &JobId) -> Result<Effects, SuspendError> {
        let mut draft = self.begin(now);
        let job = self.steered(id)?;
        if job.record.suspended_at.take().is_none() {
            return Ok(Effects::default());
        }
        draft.jobs.insert(id.clone());
        draft.touched.insert(id.clone());
        draft.event(id, EventKind::Resumed);
        draft.place = true;
        Ok(self.seal(draft))
    }

    fn steered(&mut self, id: &JobId) -> Result<&mut Job, SuspendError> {
        let job = self.jobs.get_mut(id);
        let job = job.ok_or_else(|| SuspendError::Unknown(id.clone()))?;
        match job.state() {
            state if state.is_final() => Err(SuspendError::Over {
                job: id.clone(),
                state,
            }),
            _ => Ok(job),
        }
    }
}

/// What each node that holds a grant of a suspended job is told.
fn held_by(id: &JobId, job: &Job) -> impl Iterator<Item = (stint_api::id::NodeId, Order)> {
    job.grants().map(|(grant, _, held)| {
        let job = id.clone();
        let id = GrantId { job, grant };
        (held.node.clone(), Order::GiveBack { id, kill: None })
    })
}
