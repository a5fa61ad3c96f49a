//! Runs: a worker that goes from one task of its grant to the next by itself, as long
//! as each succeeds and leaves nothing. Of those that passed the supervisor is told
//! together; one that ends otherwise, or leaves something, is the last of its run and
//! ends as any attempt does.

use stint_api::id::AttemptId;
use stint_api::link::{Ended, Grant, Report, Verdict};
use stint_api::outcome::Outcome;
use stint_api::tasks::TaskRange;
use stint_api::time::Time;

use crate::action::{Action, Run};
use crate::holding::{Holding, TaskState};
use crate::outbox::Follow;
use crate::supervisor::{Mode, Supervisor};

impl Supervisor {
    /// Tasks of a run that `grant` was ordered for passed. May be said again.
    pub fn passed(&mut self, now: Time, run: Run, grant: &Grant) -> Vec<Action> {
        let mut actions = Vec::new();
        let next = run.next();
        if let Some(limits) = self.stopping.remove(&run.first) {
            let is_foreign = self.foreign.remove(&run.first);
            if let Some(next) = next {
                if is_foreign {
                    self.foreign.insert(next.clone());
                }
                self.stopping.insert(next, limits);
            }
            actions.push(Action::Forget { attempt: run.first });
        } else if self.settle_run(&run) {
            if let Some(next) = next {
                self.go_on(next, &run, grant, &mut actions);
            }
        } else if !self.is_ended_here(&run.first) {
            actions.push(Action::Forget { attempt: run.first });
        }
        self.proceed(now, &mut actions);
        actions
    }

    /// Reports those of the tasks that are not settled; false when all are, or are
    /// nobody's here.
    fn settle_run(&mut self, run: &Run) -> bool {
        let id = run.first.grant_id();
        let Some(holding) = self.grants.get_mut(&id) else {
            return false;
        };
        let range = run.range();
        // What an earlier node process was told of its grant, this one may not know.
        holding.queue_again(range.iter());
        let is_open = |task: &u32| holding.is_queued(*task) || holding.tried.contains_key(task);
        let tasks: Vec<_> = range.iter().filter(is_open).collect();
        if tasks.is_empty() {
            return false;
        }
        for task in &tasks {
            holding.settle(*task);
        }
        let report = Report::Ended(Ended {
            id: id.clone(),
            tasks: range,
            try_number: run.first.try_number,
            outcome: Outcome::Succeeded,
            usage: run.usage,
            stderr_tail: None,
            at: run.at,
            verdict: Verdict::Final,
            results: std::collections::BTreeMap::new(),
        });
        let attempt = run.first.clone();
        let follow = Follow::Passed {
            grant: id,
            tasks,
            attempt,
        };
        self.outbox.push(report, follow);
        true
    }

    /// The next attempt of the run runs already.
    fn go_on(&mut self, next: AttemptId, run: &Run, grant: &Grant, actions: &mut Vec<Action>) {
        let Some(holding) = self.grants.get_mut(&next.grant_id()) else {
            return;
        };
        if holding.is_queued(next.task) && holding.running().is_none() {
            holding.begin(next.task).state = TaskState::Running { confirmed: true };
            let at = run.at;
            let report = Report::Started { attempt: next, at };
            self.outbox.push(report, Follow::Nothing);
        } else if !holding.tried.contains_key(&next.task) {
            // It is not this grant's any more.
            self.stopping.insert(next.clone(), grant.plan.limits);
            let why = Outcome::NodeLost;
            actions.push(Action::Kill { attempt: next, why });
        }
    }

    /// An earlier node process was told of these, and may not have passed it on.
    pub(crate) fn adopt_run(&mut self, run: &Run, grant: Grant, actions: &mut Vec<Action>) {
        let id = run.first.grant_id();
        if !self.gone.contains(&id) {
            self.grants.entry(id).or_insert_with(|| Holding::new(grant));
        }
        if !self.settle_run(run) && !self.is_ended_here(&run.first) {
            let attempt = run.first.clone();
            actions.push(Action::Forget { attempt });
        }
    }

    /// What was queued behind attempts that run no more is fresh again, or goes back.
    pub(crate) fn restock(&mut self, now: Time, actions: &mut Vec<Action>) {
        let stocked = self.grants.iter_mut();
        let stocked = stocked.filter_map(|(id, holding)| holding.restock().then(|| id.clone()));
        for id in stocked.collect::<Vec<_>>() {
            if self.mode == Mode::Draining {
                self.give_back(now, &id, &Outcome::Drained);
            } else if self
                .grants
                .get(&id)
                .is_some_and(|holding| holding.gives_back)
            {
                self.yield_grant(now, &id, None, actions);
            }
        }
    }
}

impl Run {
    /// Its tasks.
    fn range(&self) -> TaskRange {
        TaskRange {
            first: self.first.task,
            count: self.count,
        }
    }

    /// The attempt that runs now.
    fn next(&self) -> Option<AttemptId> {
        let task = self.range().end();
        let next = AttemptId {
            task,
            ..self.first.clone()
        };
        (!self.over).then_some(next)
    }
}
