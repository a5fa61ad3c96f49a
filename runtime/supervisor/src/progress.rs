//! What follows from an end, an arrival or free room: the steps that the verbs share.

use std::collections::BTreeMap;

use fastrand::Rng;
use stint_api::id::{AttemptId, GrantId, TaskIndex};
use stint_api::link::{Ended, Report, Verdict};
use stint_api::outcome::Outcome;
use stint_api::quantity::Resources;
use stint_api::tasks::TaskRange;
use stint_api::time::{Span, Time};

use crate::action::{Action, AttemptEnd};
use crate::holding::{Holding, Next, Preparation, TaskState, Tried};
use crate::outbox::Follow;
use crate::restart::{decide, whose_deadline};
use crate::supervisor::{Lease, Mode, Supervisor};

impl Supervisor {
    /// An attempt of this task is over: decides what comes next, and reports it.
    pub(crate) fn conclude(
        &mut self,
        now: Time,
        (grant, task): (&GrantId, TaskIndex),
        mut end: AttemptEnd,
        rng: &mut Rng,
    ) {
        let Some(holding) = self.grants.get_mut(grant) else {
            return;
        };
        let Some(tried) = holding.tried.get_mut(&task) else {
            return;
        };
        end.outcome = whose_deadline(end.outcome, &holding.plan, &tried.left);
        let judged = (&end.outcome, end.usage.wall);
        let (plan, try_number) = (&holding.plan, tried.try_number);
        let verdict = match decide(judged, plan, try_number, &mut tried.left, rng) {
            Verdict::Retry { .. } if self.mode == Mode::Draining || holding.gives_back => {
                Verdict::Returned
            }
            verdict => verdict,
        };
        if let Verdict::Retry { after } = verdict {
            tried.state = match after {
                Span::ZERO => TaskState::Waiting,
                after => TaskState::BackingOff { until: now + after },
            };
            let attempt = holding.attempt_of(task);
            let report = ended(&attempt, end, verdict);
            self.outbox.push(report, Follow::Retrying(attempt));
        } else {
            self.settle((grant, task), end, verdict);
        }
    }

    /// The task is no longer this node's: reports its last attempt.
    pub(crate) fn settle(
        &mut self,
        (grant, task): (&GrantId, TaskIndex),
        end: AttemptEnd,
        verdict: Verdict,
    ) {
        let Some(holding) = self.grants.get_mut(grant) else {
            return;
        };
        let attempt = holding.attempt_of(task);
        let lingering = holding.settle(task).map(|tried| tried.lingering);
        let mut discard: Vec<AttemptId> = lingering
            .unwrap_or_default()
            .into_iter()
            .map(|try_number| holding.attempt(task, try_number))
            .collect();
        discard.push(attempt.clone());
        let follow = Follow::Settled {
            grant: grant.clone(),
            task,
            discard,
        };
        self.outbox.push(ended(&attempt, end, verdict), follow);
    }

    /// Stops what runs under the grant and forgets it.
    pub(crate) fn stop(&mut self, grant: &GrantId, why: &Outcome, actions: &mut Vec<Action>) {
        let Some(mut holding) = self.grants.remove(grant) else {
            return;
        };
        for (task, tried) in std::mem::take(&mut holding.tried) {
            self.abandon(&holding, (task, tried), why, actions);
        }
        self.release(grant, actions);
    }

    /// Lets go of a task that was tried: what runs is killed, what ended is not published.
    pub(crate) fn abandon(
        &mut self,
        holding: &Holding,
        (task, tried): (TaskIndex, Tried),
        why: &Outcome,
        actions: &mut Vec<Action>,
    ) {
        let attempt = holding.attempt(task, tried.try_number);
        actions.extend(tried.lingering.iter().map(|try_number| Action::Discard {
            attempt: holding.attempt(task, *try_number),
        }));
        match tried.state {
            TaskState::Running { .. } => {
                self.stopping.insert(attempt.clone(), holding.plan.limits);
                let why = why.clone();
                actions.push(Action::Kill { attempt, why });
            }
            TaskState::Finished(mut end) => {
                end.outcome = why.clone();
                end.result = None;
                let report = ended(&attempt, end, Verdict::Final);
                self.outbox.push(report, Follow::Stopped(attempt));
            }
            // Its files are on their way out; `published` discards it.
            TaskState::Publishing(_) => {}
            TaskState::Waiting | TaskState::BackingOff { .. } => {}
        }
    }

    pub(crate) fn release(&mut self, grant: &GrantId, actions: &mut Vec<Action>) {
        self.gone.insert(grant.clone());
        actions.push(Action::Release {
            grant: grant.clone(),
        });
    }

    /// Kills every attempt of a held grant.
    pub(crate) fn kill_running(&self, why: &Outcome, actions: &mut Vec<Action>) {
        for holding in self.grants.values() {
            if let Some((task, tried)) = holding.running() {
                actions.push(Action::Kill {
                    attempt: holding.attempt(task, tried.try_number),
                    why: why.clone(),
                });
            }
        }
    }

    /// Asks whether the files of an attempt that succeeded may be published.
    pub(crate) fn ask_for_commit(&mut self, attempt: &AttemptId) {
        let Some(tried) = self.latest_mut(attempt) else {
            return;
        };
        if let TaskState::Finished(end) = &tried.state {
            let manifest = end.files.clone();
            let attempt = attempt.clone();
            let report = Report::Finished { attempt, manifest };
            self.outbox.push(report, Follow::Nothing);
        }
    }

    /// Commits that were granted mean nothing any more: they are asked for again.
    pub(crate) fn withdraw_commits(&mut self) {
        let is_granted = |state: &TaskState| matches!(state, TaskState::Publishing(_));
        for attempt in self.attempts_where(is_granted) {
            if let Some(tried) = self.latest_mut(&attempt)
                && let TaskState::Publishing(end) = &tried.state
            {
                tried.state = TaskState::Finished(end.clone());
            }
            self.ask_for_commit(&attempt);
        }
    }

    /// Attempts whose commit is not granted yet.
    pub(crate) fn finished(&self) -> Vec<AttemptId> {
        self.attempts_where(|state| matches!(state, TaskState::Finished(_)))
    }

    /// The latest attempts of tasks in such a state.
    fn attempts_where(&self, is_such: impl Fn(&TaskState) -> bool) -> Vec<AttemptId> {
        let mut attempts = Vec::new();
        for holding in self.grants.values() {
            let such = holding
                .tried
                .iter()
                .filter(|(_, tried)| is_such(&tried.state));
            attempts.extend(such.map(|(task, tried)| holding.attempt(*task, tried.try_number)));
        }
        attempts
    }

    /// Whether the lease runs.
    pub(crate) fn may_act(&self, now: Time) -> bool {
        matches!(self.lease, Lease::Until(until) if now < until)
    }

    /// Prepares and starts whatever may be, in the order of the grants.
    pub(crate) fn proceed(&mut self, now: Time, actions: &mut Vec<Action>) {
        self.restock(now, actions);
        let is_clear = self.is_told && self.foreign.is_empty();
        if !self.may_act(now) || !is_clear || self.mode == Mode::Draining {
            return;
        }
        let mut used = self.used();
        let dying: Vec<AttemptId> = self.stopping.keys().cloned().collect();
        for (id, holding) in &mut self.grants {
            holding.wake(now);
            match holding.next() {
                Next::Nothing => {}
                Next::Start(task) if dying.iter().any(|one| may_meet(one, id, task, holding)) => {}
                Next::Prepare => {
                    holding.preparation = Preparation::Underway;
                    let grant = holding.grant_to_prepare();
                    actions.push(Action::Prepare { grant });
                }
                Next::Start(task) => {
                    // A grant that was just stopped may still take room while it dies. An
                    // idle node runs anything it holds: the capacity may have shrunk since.
                    let with = used + holding.plan.limits;
                    if with.fits_in(&self.capacity) || used == Resources::default() {
                        used = with;
                        let tried = holding.begin(task);
                        let (try_number, left) = (tried.try_number, tried.left);
                        let run = match try_number {
                            1 => holding.queue(task),
                            _ => TaskRange::one(task),
                        };
                        actions.push(Action::Start {
                            attempt: holding.attempt(task, try_number),
                            grant: holding.grant(vec![run], left),
                        });
                    }
                }
            }
        }
    }

    /// What attempts take now.
    fn used(&self) -> Resources {
        let running = self.grants.values().filter(|held| held.running().is_some());
        running
            .map(|held| held.plan.limits)
            .chain(self.stopping.values().copied())
            .fold(Resources::default(), |sum, part| sum + part)
    }

    /// The scheduler has a report: forgets what it made unnecessary.
    pub(crate) fn arrived(&mut self, follow: Follow, actions: &mut Vec<Action>) {
        match follow {
            Follow::Nothing => {}
            Follow::Stopped(attempt) => actions.push(Action::Discard { attempt }),
            Follow::Retrying(attempt) => match self.tried_mut(&attempt) {
                Some(tried) if !tried.has_started_after(attempt.try_number) => {
                    tried.lingering.push(attempt.try_number);
                }
                _ => actions.push(Action::Discard { attempt }),
            },
            Follow::Passed {
                grant,
                tasks,
                attempt,
            } => {
                actions.push(Action::Forget { attempt });
                self.let_go(&grant, tasks, actions);
            }
            Follow::GaveBack {
                grant,
                tasks,
                discard,
            } => {
                let discard = discard.into_iter();
                actions.extend(discard.map(|attempt| Action::Discard { attempt }));
                self.let_go(&grant, tasks, actions);
            }
            Follow::Settled {
                grant,
                task,
                discard,
            } => {
                let discard = discard.into_iter();
                actions.extend(discard.map(|attempt| Action::Discard { attempt }));
                self.let_go(&grant, [task], actions);
            }
        }
    }

    /// The scheduler knows that these tasks are settled; the grant goes with its last.
    fn let_go(
        &mut self,
        grant: &GrantId,
        tasks: impl IntoIterator<Item = TaskIndex>,
        actions: &mut Vec<Action>,
    ) {
        let Some(holding) = self.grants.get_mut(grant) else {
            return;
        };
        for task in tasks {
            holding.close(task);
        }
        if holding.is_done() {
            self.grants.remove(grant);
            self.release(grant, actions);
        }
    }

    /// The task of this attempt, if it was tried and is not settled; whichever try is its latest.
    pub(crate) fn tried_mut(&mut self, attempt: &AttemptId) -> Option<&mut Tried> {
        let holding = self.grants.get_mut(&attempt.grant_id())?;
        holding.tried.get_mut(&attempt.task)
    }

    /// The task of this attempt, if exactly this try of it is the latest.
    pub(crate) fn latest_mut(&mut self, attempt: &AttemptId) -> Option<&mut Tried> {
        self.tried_mut(attempt)
            .filter(|tried| tried.try_number == attempt.try_number)
    }

    /// The task of this attempt, if this attempt runs.
    pub(crate) fn running_mut(&mut self, attempt: &AttemptId) -> Option<&mut Tried> {
        self.latest_mut(attempt)
            .filter(|tried| matches!(tried.state, TaskState::Running { .. }))
    }

    /// Whether the end of this attempt is known, and its discarding arranged.
    pub(crate) fn is_ended_here(&self, attempt: &AttemptId) -> bool {
        let Some(holding) = self.grants.get(&attempt.grant_id()) else {
            return false;
        };
        holding.is_settled(attempt.task)
            || holding
                .tried
                .get(&attempt.task)
                .is_some_and(|tried| tried.try_number >= attempt.try_number)
    }
}

/// Whether an attempt that is being stopped is of a task that is to be started under
/// another grant, or may get to one of a run before it is dead.
fn may_meet(dying: &AttemptId, id: &GrantId, task: TaskIndex, holding: &Holding) -> bool {
    let is_other = dying.job == id.job && dying.grant != id.grant;
    let from = |task: &TaskIndex| *task >= dying.task;
    is_other && (from(&task) || holding.unstarted().iter().any(from))
}

/// The report of one attempt's end.
pub(crate) fn ended(attempt: &AttemptId, end: AttemptEnd, verdict: Verdict) -> Report {
    let results = end.result.map(|result| (attempt.task, result));
    Report::Ended(Ended {
        id: attempt.grant_id(),
        tasks: TaskRange::one(attempt.task),
        try_number: attempt.try_number,
        outcome: end.outcome,
        usage: end.usage,
        stderr_tail: end.stderr_tail,
        at: end.at,
        verdict,
        results: results.into_iter().collect::<BTreeMap<_, _>>(),
    })
}
