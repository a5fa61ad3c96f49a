//! The truth, as nobody in the world knows it: what really ran where, what was
//! really published, what was really acknowledged. Whatever contradicts a
//! promise is objected to at the moment it happens.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use stint_api::id::{AttemptId, GrantId, JobId, Namespace, TaskIndex};
use stint_api::job::JobSpec;
use stint_api::namespace::NamespaceView;
use stint_api::outcome::Outcome;
use stint_api::quantity::Resources;
use stint_api::view::{Event, EventKind, JobState, JobView};

use crate::happening::Place;

/// A promise was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a worker ends whose keeper dies.
const TAKEN_ALONG: Outcome = Outcome::WorkerLost { signal: 9 };

type Task = (JobId, TaskIndex);

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Workers that exist, by attempt: where, and what they take.
    running: BTreeMap<AttemptId, (Place, Resources)>,
    /// How attempts really ended.
    ends: BTreeMap<AttemptId, Outcome>,
    /// Attempts whose end was lost with a machine.
    forgotten: BTreeSet<AttemptId>,
    /// Attempts whose files are on their way into place.
    publishing: BTreeMap<Task, (Place, AttemptId)>,
    /// Attempts that a scheduler granted commit, durably.
    granted: BTreeSet<AttemptId>,
    /// Whose files are in place.
    pub(crate) published: BTreeMap<Task, AttemptId>,
    /// Jobs whose submit was answered.
    acknowledged: BTreeMap<JobId, JobSpec>,
    /// What was last shown of each job: durable, so it may only grow.
    shown: BTreeMap<JobId, (JobState, u32, u32)>,
    /// Attempts that were told to have succeeded, by task.
    told: BTreeMap<Task, AttemptId>,
    /// Namespaces, as a scheduler committed them last.
    pub(crate) namespaces: BTreeMap<Namespace, NamespaceView>,
    /// Who was ever told to give way, and for whom.
    pub(crate) giving_way: BTreeSet<(GrantId, JobId)>,
    /// Whether jobs that are over may be forgotten in this world.
    pub(crate) forgets: bool,
    /// Jobs that are over, as was committed.
    pub(crate) over: BTreeSet<JobId>,
    /// Jobs that were.
    pub(crate) forgotten_jobs: BTreeSet<JobId>,
    violation: Option<Violation>,
}

impl Ledger {
    pub(crate) fn new(forgets: bool) -> Self {
        Self {
            forgets,
            ..Self::default()
        }
    }

    /// The first objection.
    pub(crate) fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    pub(crate) fn object(&mut self, what: String) {
        self.violation.get_or_insert(Violation(what));
    }

    /// A worker begins to exist.
    pub(crate) fn begins(
        &mut self,
        place: Place,
        attempt: &AttemptId,
        limits: Resources,
        capacity: Resources,
    ) {
        let same = |other: &AttemptId| other.job == attempt.job && other.task == attempt.task;
        let other = self.running.iter().find(|(other, _)| same(other));
        if let Some((other, (elsewhere, _))) = other {
            let what =
                format!("{attempt} starts on node {place} while {other} runs on node {elsewhere}");
            self.object(what);
        }
        // A try that its keeper or machine took along before anybody heard of it may be begun again.
        let end = self.ends.get(attempt);
        if end.is_some_and(|end| *end != TAKEN_ALONG) && !self.forgotten.remove(attempt) {
            self.object(format!("{attempt} starts for a second time"));
        }
        let taken = self.running.values().filter(|(there, _)| *there == place);
        let taken = taken.fold(limits, |sum, (_, limits)| sum + *limits);
        if !taken.fits_in(&capacity) {
            self.object(format!("node {place} runs {taken:?} of {capacity:?}"));
        }
        self.running.insert(attempt.clone(), (place, limits));
    }

    /// A worker is gone, and its outcome is in the spool.
    pub(crate) fn ends(&mut self, place: Place, attempt: &AttemptId, outcome: &Outcome) {
        if self.running.remove(attempt).is_none() {
            self.object(format!("{attempt} ends on node {place} and did not run"));
        }
        self.ends.insert(attempt.clone(), outcome.clone());
    }

    /// A keeper died with all its workers.
    pub(crate) fn all_gone(&mut self, place: Place) {
        let lost = self.running.extract_if(.., |_, (there, _)| *there == place);
        let lost = lost.map(|(attempt, _)| (attempt, TAKEN_ALONG));
        self.ends.extend(lost);
    }

    /// A machine died before the outcome was on its disk: as if it had never ended. Nor does
    /// it know any more of earlier tries, which it let go when this one's end was there.
    pub(crate) fn forgotten(&mut self, attempt: &AttemptId) {
        let tries = 1..=attempt.try_number;
        self.forgotten.extend(tries.map(|try_number| AttemptId {
            try_number,
            ..attempt.clone()
        }));
    }

    /// A commit was granted and is about to be told.
    pub(crate) fn grants_commit(&mut self, attempt: &AttemptId) {
        self.granted.insert(attempt.clone());
    }

    /// A node begins to publish.
    pub(crate) fn publishes(&mut self, place: Place, attempt: &AttemptId, has_files: bool) {
        if !has_files {
            self.object(format!(
                "{attempt} is to be published, but its files were discarded"
            ));
        }
        let task = (attempt.job.clone(), attempt.task);
        self.publishing.insert(task, (place, attempt.clone()));
    }

    /// A node does not publish an attempt after all.
    pub(crate) fn gives_up(&mut self, attempt: &AttemptId) {
        self.publishing.retain(|_, (_, other)| other != attempt);
    }

    /// Whether anything is on its way into place.
    pub(crate) fn is_publishing(&self) -> bool {
        !self.publishing.is_empty()
    }

    pub(crate) fn what_is_published(&self) -> String {
        format!("publications under way: {:?}", self.publishing)
    }

    /// Nothing is published by this node any more: its process is gone.
    pub(crate) fn publishes_no_more(&mut self, place: Place) {
        self.publishing.retain(|_, (there, _)| *there != place);
    }

    /// The files of an attempt appear in their place.
    pub(crate) fn renamed(&mut self, place: Place, attempt: &AttemptId) {
        let task = (attempt.job.clone(), attempt.task);
        if !self.granted.contains(attempt) {
            self.object(format!(
                "{attempt} is published, and nobody granted it commit"
            ));
        }
        if let Some(done) = self.told.get(&task)
            && done != attempt
        {
            let what = format!(
                "{attempt} is published by node {place}, though {done} was told to have succeeded"
            );
            self.object(what);
        }
        if let Some((elsewhere, other)) = self.publishing.get(&task)
            && *elsewhere != place
        {
            let what = format!(
                "{attempt} is published by node {place} while node {elsewhere} publishes {other}"
            );
            self.object(what);
        }
        self.publishing.remove(&task);
        self.published.insert(task, attempt.clone());
    }

    /// A submit was answered.
    pub(crate) fn acknowledges(&mut self, id: &JobId, spec: &JobSpec) {
        self.acknowledged.insert(id.clone(), spec.clone());
    }

    pub(crate) fn jobs(&self) -> impl Iterator<Item = (&JobId, &JobSpec)> {
        self.acknowledged.iter()
    }

    /// A committed event was told.
    pub(crate) fn told(&mut self, event: &Event) {
        let EventKind::Ended {
            attempt,
            tasks,
            outcome: Outcome::Succeeded,
            ..
        } = &event.what
        else {
            return;
        };
        for task in attempt.task..attempt.task + tasks {
            let attempt = AttemptId {
                task,
                ..attempt.clone()
            };
            if self.ends.get(&attempt) != Some(&Outcome::Succeeded) {
                self.object(format!("{attempt} is told to have succeeded, but did not"));
            }
            let task = (attempt.job.clone(), task);
            if let Some(before) = self.told.insert(task, attempt.clone()) {
                self.object(format!(
                    "{attempt} is told to have succeeded after {before} was"
                ));
            }
        }
    }

    /// What a committed scheduler shows of a job. A restored one must show as much.
    pub(crate) fn shows(&mut self, id: &JobId, view: Option<&JobView>) {
        let Some(view) = view else {
            if self.may_be_forgotten(id) {
                self.forgotten_jobs.insert(id.clone());
                return;
            }
            if self.acknowledged.contains_key(id) || self.shown.contains_key(id) {
                self.object(format!("{id} was acknowledged, and is lost"));
            }
            return;
        };
        if self
            .acknowledged
            .get(id)
            .is_some_and(|spec| *spec != view.spec)
        {
            self.object(format!("{id} is not what was submitted"));
        }
        if self.forgotten_jobs.contains(id) {
            self.object(format!("{id} was forgotten, and is known again"));
        }
        let most = view.spec.max_failed.unwrap_or(u32::MAX);
        if view.tasks.failed > most && !view.state.is_final() {
            self.object(format!("{id} goes on with {:?}", view.tasks));
        }
        let now = (view.state, view.tasks.succeeded, view.tasks.failed);
        if let Some(before) = self.shown.insert(id.clone(), now) {
            let (state, succeeded, failed) = before;
            let changed = state.is_final() && now != before;
            if changed || now.1 < succeeded || now.2 < failed {
                self.object(format!("{id} was {before:?} and is {now:?}"));
            }
        }
    }

    /// What a client is answered, perhaps late: never more than was committed.
    pub(crate) fn answers(&mut self, id: &JobId, view: Option<&JobView>) {
        if view.is_none() && self.may_be_forgotten(id) {
            return;
        }
        let tasks = view.map(|view| view.tasks);
        let Some((tasks, (_, succeeded, failed))) = tasks.zip(self.shown.get(id)) else {
            return self.object(format!("a client asks for {id} in vain"));
        };
        if tasks.succeeded > *succeeded || tasks.failed > *failed {
            self.object(format!(
                "a client was shown more of {id} than was committed"
            ));
        }
    }

    /// Whether a job was over when it was last shown, where such jobs are forgotten.
    pub(crate) fn may_be_forgotten(&self, id: &JobId) -> bool {
        let over = self
            .shown
            .get(id)
            .is_some_and(|(state, ..)| state.is_final());
        self.forgets && (over || self.over.contains(id))
    }

    pub(crate) fn shown_jobs(&self) -> Vec<JobId> {
        let known = self.shown.keys().chain(self.acknowledged.keys());
        known.cloned().collect()
    }

    /// How an attempt really ended.
    pub(crate) fn end_of(&self, attempt: &AttemptId) -> Option<&Outcome> {
        self.ends.get(attempt)
    }

    /// Attempts that still run.
    pub(crate) fn still_running(&self) -> impl Iterator<Item = &AttemptId> {
        self.running.keys()
    }
}
