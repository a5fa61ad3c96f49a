//! What the keeper still has, after the node process or the keeper came back.
//!
//! Said once when the node process starts, and again whenever a new keeper took
//! the place of one that died. Nothing is run again that runs or has ended.

use std::collections::{BTreeMap, BTreeSet};

use stint_api::id::AttemptId;
use stint_api::link::{Grant, Verdict};
use stint_api::outcome::Outcome;
use stint_api::time::{Span, Time};

use crate::action::{Action, AttemptEnd, Kept, KeptState};
use crate::holding::{Holding, TaskState};
use crate::outbox::Follow;
use crate::progress::ended;
use crate::supervisor::Supervisor;

/// The signal that takes workers along when their keeper dies.
const SIGKILL: i32 = 9;

impl Supervisor {
    /// The keeper has exactly these attempts, running or ended and not discarded.
    ///
    /// Unknown ones are adopted with their grants. Running ones that the keeper
    /// had confirmed and no longer has are lost with signal 9. Attempts that it
    /// never confirmed are not touched: the shell ends those itself.
    pub fn kept(&mut self, now: Time, mut kept: Vec<Kept>) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut present = BTreeSet::new();
        let mut latest = BTreeMap::new();
        // The tries of a task in the order in which they were begun.
        kept.sort_by(|one, other| one.attempt.cmp(&other.attempt));
        for one in &kept {
            let task = (one.attempt.grant_id(), one.attempt.task);
            let most = latest.entry(task).or_insert(0);
            *most = one.attempt.try_number.max(*most);
        }
        for one in kept {
            present.insert(one.attempt.clone());
            let task = (one.attempt.grant_id(), one.attempt.task);
            let is_latest = latest.get(&task) == Some(&one.attempt.try_number);
            self.adopt(now, one, is_latest, &mut actions);
        }
        for attempt in self.confirmed() {
            if !present.contains(&attempt) {
                let lost = Outcome::WorkerLost { signal: SIGKILL };
                actions.extend(self.ended(now, &attempt, AttemptEnd::without_run(lost, now)));
            }
        }
        self.proceed(now, &mut actions);
        actions
    }

    /// The keeper died and took its workers along; a new one has nothing yet to say.
    pub fn keeper_lost(&mut self, now: Time) -> Vec<Action> {
        self.kept(now, Vec::new())
    }

    fn adopt(&mut self, now: Time, kept: Kept, is_latest: bool, actions: &mut Vec<Action>) {
        let Kept {
            attempt,
            grant,
            state,
        } = kept;
        let known = self.running_mut(&attempt).is_some() || self.stopping.contains_key(&attempt);
        match state {
            KeptState::Passed(run) => self.adopt_run(&run, grant, actions),
            KeptState::Running { .. } if known => {
                if let Some(tried) = self.running_mut(&attempt) {
                    tried.state = TaskState::Running { confirmed: true };
                }
            }
            KeptState::Running { started_at } => {
                let limits = grant.plan.limits;
                if is_latest && self.take_over(&attempt, grant) {
                    if let Some(at) = started_at {
                        actions.extend(self.started(at, &attempt));
                    }
                } else {
                    self.stopping.insert(attempt.clone(), limits);
                    let why = Outcome::NodeLost;
                    actions.push(Action::Kill { attempt, why });
                }
            }
            KeptState::Ended(end) if known => actions.extend(self.ended(now, &attempt, end)),
            KeptState::Ended(_) if self.is_ended_here(&attempt) => {}
            KeptState::Ended(end) if !is_latest => {
                // A later try exists, so this one was to be tried again: only its history is wanted.
                if end.outcome == Outcome::Succeeded {
                    actions.push(Action::Discard { attempt });
                } else {
                    let verdict = Verdict::Retry { after: Span::ZERO };
                    let report = ended(&attempt, end, verdict);
                    self.outbox.push(report, Follow::Retrying(attempt));
                }
            }
            KeptState::Ended(end) => {
                if self.take_over(&attempt, grant) {
                    actions.extend(self.ended(now, &attempt, end));
                } else {
                    actions.push(Action::Discard { attempt });
                }
            }
        }
    }

    /// Takes the attempt as the running one of its task, with its grant.
    fn take_over(&mut self, attempt: &AttemptId, grant: Grant) -> bool {
        let id = attempt.grant_id();
        if self.gone.contains(&id) {
            return false;
        }
        let left = grant.budget;
        let run = grant.tasks.clone();
        let holding = self.grants.entry(id);
        let holding = holding.or_insert_with(|| Holding::new(grant));
        // What follows in its run goes on with it.
        let run = run.iter().flat_map(|run| run.iter());
        holding.queue_again(run.filter(|task| *task > attempt.task));
        holding.adopt(attempt.task, attempt.try_number, left)
    }

    /// Every attempt that the keeper has confirmed to run.
    fn confirmed(&self) -> Vec<AttemptId> {
        let held = self.grants.values().filter_map(|holding| {
            let (task, tried) = holding.running()?;
            let confirmed = matches!(tried.state, TaskState::Running { confirmed: true });
            confirmed.then(|| holding.attempt(task, tried.try_number))
        });
        held.chain(self.stopping.keys().cloned()).collect()
    }
}
