//! How a job ends by decree: when it is cancelled, when its time is over, or
//! when one task shows that every other must fail alike.

use stint_api::id::{GrantId, JobId};
use stint_api::link::Order;
use stint_api::outcome::{Outcome, Usage};
use stint_api::view::{AttemptView, EventKind, JobState, TaskFailure};

use crate::chunk::Settled;
use crate::cluster::Cluster;
use crate::draft::Draft;

impl Cluster {
    /// Ends an open job now: its unfinished tasks have failed as `why`, what
    /// runs is stopped, and what is still reported of it changes nothing.
    pub(crate) fn end_by_decree(
        &mut self,
        draft: &mut Draft,
        id: &JobId,
        state: JobState,
        why: &Outcome,
    ) {
        let Some(job) = self.jobs.get_mut(id).filter(|job| job.is_open()) else {
            return;
        };
        // With every task done there is nothing to decree.
        let Some(task) = job.first_unfinished() else {
            return;
        };
        job.record.decree = Some(TaskFailure {
            task,
            outcome: why.clone(),
            stderr_tail: None,
        });
        job.end(state, draft.now);
        draft.decreed.insert(id.clone());
        draft.touched.insert(id.clone());
        self.let_go(draft, id, why);
        draft.event(id, EventKind::Done { state });
    }

    /// Ends a job of which nothing was ever granted.
    pub(crate) fn end_unstarted(&mut self, draft: &mut Draft, id: &JobId, why: Outcome) {
        let Some(job) = self.jobs.get_mut(id).filter(|job| job.is_open()) else {
            return;
        };
        job.record.decree = job.first_unfinished().map(|task| TaskFailure {
            task,
            outcome: why,
            stderr_tail: None,
        });
        let state = JobState::Failed;
        job.end(state, draft.now);
        draft.jobs.insert(id.clone());
        draft.touched.insert(id.clone());
        draft.event(id, EventKind::Done { state });
    }

    /// Takes back every grant of a job that is over by decree, and stops what runs.
    pub(crate) fn let_go(&mut self, draft: &mut Draft, id: &JobId, why: &Outcome) {
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        let grants: Vec<_> = job
            .grants()
            .map(|(number, _, grant)| (number, grant.clone()))
            .collect();
        for (number, grant) in grants {
            let grant_id = GrantId {
                job: id.clone(),
                grant: number,
            };
            self.note_cut_off(draft, &grant_id, why, Cut::ForGood);
            let stop = Order::Stop {
                id: grant_id.clone(),
                why: why.clone(),
            };
            draft.order(&grant.node, stop);
            for task in grant.tasks {
                self.release(draft, &grant_id, task, Settled::Pending);
            }
        }
    }

    /// Records the attempt that is known to run under a grant as ended from
    /// outside. What it used will never be known here.
    pub(crate) fn note_cut_off(
        &mut self,
        draft: &mut Draft,
        id: &GrantId,
        outcome: &Outcome,
        cut: Cut,
    ) {
        let Some((index, grant)) = self.jobs.get(&id.job).and_then(|job| job.grant(id.grant))
        else {
            return;
        };
        let Some(running) = grant.running else {
            return;
        };
        let attempt = AttemptView {
            attempt: id.attempt(running.task, running.try_number),
            tasks: 1,
            node: grant.node.clone(),
            outcome: outcome.clone(),
            usage: Usage::default(),
            ended_at: draft.now,
            is_final: cut == Cut::ForGood,
        };
        self.note(draft, index, attempt);
    }

    /// Records a run of attempts that ended: counted always, kept while the history has room.
    pub(crate) fn note(&mut self, draft: &mut Draft, index: u32, attempt: AttemptView) {
        let id = attempt.attempt.job.clone();
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        draft.chunk(&id, index);
        if job.count(index, &attempt) {
            let now = draft.now;
            draft.page(&id, index).attempt(now, attempt);
        }
    }
}

/// Whether an attempt that was cut off is the last of its task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The task is over with it.
    ForGood,
    /// The task runs again elsewhere.
    ForNow,
}
