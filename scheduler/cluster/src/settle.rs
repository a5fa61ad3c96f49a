//! What follows for a job from what a verb did to it: it is over, or given up,
//! or waits for others, or for room.

use stint_api::id::JobId;
use stint_api::outcome::{DeadlineScope, Outcome};
use stint_api::time::Time;
use stint_api::view::{EventKind, JobState};

use crate::cluster::Cluster;
use crate::draft::Draft;
use crate::job::{Job, Life};
use crate::queue::Place;

/// Whether the jobs that one runs after have ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parents {
    /// All of them succeeded; the last at this time, if there is any.
    Done(Option<Time>),
    /// Not all are over.
    Open,
    /// This one did not succeed.
    Failed(JobId),
}

impl Cluster {
    /// Draws the conclusions for every job that was touched, and for those that they touch.
    pub(crate) fn settle(&mut self, draft: &mut Draft) {
        while let Some(id) = draft.touched.pop_first() {
            self.finish(draft, &id);
            self.give_up(draft, &id);
            self.stand(&id);
            draft.place |= !self.reserving.is_empty();
            let is_open = self.jobs.get(&id).is_some_and(Job::is_open);
            if !is_open {
                self.accounts.closed(&id);
                self.note_over(&id);
            }
            if !is_open && let Some(followers) = self.followers.remove(&id) {
                draft.touched.extend(followers);
            }
        }
    }

    /// Ends a job whose tasks are all done.
    fn finish(&mut self, draft: &mut Draft, id: &JobId) {
        let Some(job) = self.jobs.get_mut(id) else {
            return;
        };
        let counts = job.counts();
        if counts.pending > 0 || counts.granted > 0 {
            return;
        }
        let state = match counts.failed {
            0 => JobState::Succeeded,
            _ => JobState::Failed,
        };
        if job.end(state, draft.now) {
            draft.jobs.insert(id.clone());
            draft.event(id, EventKind::Done { state });
        }
    }

    /// Ends a job that cannot succeed any more, or may not go on.
    fn give_up(&mut self, draft: &mut Draft, id: &JobId) {
        let Some(job) = self.jobs.get(id).filter(|job| job.is_open()) else {
            return;
        };
        let most = job.record.spec.max_failed;
        if most.is_some_and(|most| job.counts().failed > most) {
            return self.end_by_decree(draft, id, JobState::Failed, &Outcome::Cancelled);
        }
        let parents = self.parents(job);
        if let Parents::Failed(parent) = parents {
            let why = Outcome::DependencyFailed { job: parent };
            return self.end_unstarted(draft, id, why);
        }
        match job.deadline(eligible_at(job, &parents)) {
            Some((at, scope)) if at <= draft.now => {
                let why = Outcome::Deadline { scope };
                match scope {
                    DeadlineScope::Queue => self.end_unstarted(draft, id, why),
                    _ => self.end_by_decree(draft, id, JobState::Failed, &why),
                }
            }
            _ => {}
        }
    }

    /// Notes where a job stands in the queue, whom it follows, and when its time is over.
    fn stand(&mut self, id: &JobId) {
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        let parents = self.parents(job);
        let due = job.deadline(eligible_at(job, &parents));
        let due = due.map(|(at, _)| at);
        let shapes = match parents {
            Parents::Done(_) => job.wanted(),
            Parents::Open | Parents::Failed(_) => Vec::new(),
        };
        if parents == Parents::Open && job.is_open() {
            for parent in &job.record.spec.after {
                let is_open = self.jobs.get(parent).is_some_and(Job::is_open);
                if is_open {
                    let followers = self.followers.entry(parent.clone()).or_default();
                    followers.insert(id.clone());
                }
            }
        }
        let Some(job) = self.jobs.get_mut(id) else {
            return;
        };
        if job.queued != shapes {
            let place = Place::of(id, &job.record);
            self.queue.stand(&place, &job.queued, &shapes);
            job.queued = shapes;
        }
        if job.due != due {
            if let Some(before) = job.due {
                self.deadlines.remove(&(before, id.clone()));
            }
            self.deadlines.extend(due.map(|due| (due, id.clone())));
            job.due = due;
        }
    }

    /// How the jobs are that one runs after. They are looked at until it has begun.
    pub(crate) fn parents(&self, job: &Job) -> Parents {
        let after = &job.record.spec.after;
        if after.is_empty() || !matches!(job.record.life, Life::Queued) {
            return Parents::Done(None);
        }
        let mut last = None;
        let mut is_open = false;
        for parent in after {
            match self.jobs.get(parent).map(|job| job.record.life) {
                Some(Life::Over {
                    state: JobState::Succeeded,
                    at,
                    ..
                }) => last = last.max(Some(at)),
                Some(Life::Over { .. }) | None => return Parents::Failed(parent.clone()),
                Some(Life::Queued | Life::Running { .. }) => is_open = true,
            }
        }
        match is_open {
            true => Parents::Open,
            false => Parents::Done(last),
        }
    }
}

/// Since when a job may have a place; none while it waits for others.
fn eligible_at(job: &Job, parents: &Parents) -> Option<Time> {
    match parents {
        Parents::Done(last) => Some(job.record.submitted_at.max(last.unwrap_or_default())),
        Parents::Open | Parents::Failed(_) => None,
    }
}
