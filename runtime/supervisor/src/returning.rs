//! Tasks go back to the scheduler: because the node goes down, has no room, or
//! is told to let a grant go.

use stint_api::id::{AttemptId, GrantId};
use stint_api::link::{Report, Verdict};
use stint_api::outcome::Outcome;
use stint_api::tasks::runs;
use stint_api::time::Time;

use crate::action::{Action, AttemptEnd};
use crate::holding::TaskState;
use crate::outbox::Follow;
use crate::supervisor::Supervisor;

impl Supervisor {
    /// Every task of the grant that does not run and was not run well goes back to the scheduler.
    pub(crate) fn give_back(&mut self, now: Time, grant: &GrantId, why: &Outcome) {
        let Some(holding) = self.grants.get_mut(grant) else {
            return;
        };
        let unstarted = holding.unstarted();
        for task in &unstarted {
            holding.begin(*task);
        }
        let finished = holding
            .tried
            .iter()
            .filter(|(_, tried)| matches!(tried.state, TaskState::Finished(_)))
            .map(|(task, _)| *task)
            .collect::<Vec<_>>();
        for task in unstarted.into_iter().chain(finished) {
            let end = AttemptEnd::without_run(why.clone(), now);
            self.settle((grant, task), end, Verdict::Returned);
        }
    }

    /// Starts nothing more under the grant. What no attempt runs goes back now, and
    /// what runs when it ends, unless it is done: at once with `kill`, as that.
    pub(crate) fn yield_grant(
        &mut self,
        now: Time,
        grant: &GrantId,
        kill: Option<Outcome>,
        actions: &mut Vec<Action>,
    ) {
        let Some(holding) = self.grants.get_mut(grant) else {
            return;
        };
        holding.gives_back = true;
        let tasks = holding.unstarted();
        let mut discard = Vec::new();
        for task in &tasks {
            let lingering = holding.settle(*task).map(|tried| tried.lingering);
            let tries = lingering.unwrap_or_default().into_iter();
            let attempts = tries.map(|try_number| holding.attempt(*task, try_number));
            discard.extend(attempts.collect::<Vec<AttemptId>>());
        }
        if !tasks.is_empty() {
            let id = grant.clone();
            let report = Report::GaveBack {
                id,
                tasks: runs(tasks.iter().copied()),
            };
            let follow = Follow::GaveBack {
                grant: grant.clone(),
                tasks,
                discard,
            };
            self.outbox.push(report, follow);
        }
        let Some(why) = kill else {
            return;
        };
        if let Some((task, tried)) = self.grants.get(grant).and_then(|holding| holding.running()) {
            let attempt = grant.attempt(task, tried.try_number);
            let why = why.clone();
            actions.push(Action::Kill { attempt, why });
        }
        // What waits for its commit goes back too.
        self.give_back(now, grant, &why);
    }
}
