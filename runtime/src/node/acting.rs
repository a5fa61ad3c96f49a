//! Has the supervisor's actions done, each by a task of its own.

use std::sync::Arc;

use stint_api::id::AttemptId;
use stint_api::link::Grant;
use stint_supervisor::{Action, AttemptEnd};

use super::attempt::{Attempt, From};
use super::driver::Driver;
use super::happened::{Happened, Publication};
use super::harvest::on_its_way_to;
use super::known::{Known, Live};
use super::modules::blocking;
use super::slot::Slot;
use super::tools::Tools;

impl Driver {
    /// Does what the supervisor wants, and what follows from that.
    pub(crate) fn act(&mut self, actions: Vec<Action>) {
        let (mut discard, mut forgotten) = (Vec::new(), Vec::new());
        let mut rest = actions;
        while !rest.is_empty() {
            let mut follow = Vec::new();
            for action in rest {
                match action {
                    Action::Prepare { grant } => self.prepare(*grant),
                    Action::Start { attempt, grant } => {
                        self.spawn(attempt, *grant, Known::default(), From::Start);
                    }
                    Action::Kill { attempt, why } => match self.live_of(&attempt) {
                        Some(live) => live.kill(why),
                        None => {
                            // Whatever it was, it does not run, and nobody else will say so.
                            let end = AttemptEnd::without_run(why, self.now());
                            follow.extend(self.supervisor.ended(self.now(), &attempt, end));
                        }
                    },
                    Action::Publish { attempt, output } => self.publish(attempt, output),
                    Action::Discard { attempt } => {
                        self.ended.remove(&attempt);
                        discard.push(attempt);
                    }
                    Action::Forget { attempt } => {
                        self.ended.remove(&attempt);
                        forgotten.push(attempt);
                    }
                    // Modules and inputs are in caches with bounds of their own.
                    Action::Release { grant } => {
                        tracing::debug!(%grant, "let go");
                        let tools = Arc::clone(&self.tools);
                        self.jobs
                            .spawn_blocking(move || tools.checkpoints.forget(&grant));
                    }
                }
            }
            rest = follow;
        }
        if !forgotten.is_empty() {
            let tools = Arc::clone(&self.tools);
            self.jobs
                .spawn(async move { tools.keeper.discard(&forgotten).await });
        }
        if !discard.is_empty() {
            self.jobs.spawn(forget(Arc::clone(&self.tools), discard));
        }
    }

    /// Gives an attempt a task of its own.
    pub(crate) fn spawn(&mut self, id: AttemptId, grant: Grant, known: Known, from: From) {
        let (live, known) = Live::new(known);
        let attempt = Attempt::new(id.clone(), grant, known, Arc::clone(&self.tools));
        self.live.insert(id, live);
        self.attempts.spawn(attempt.run(from));
    }

    fn prepare(&mut self, grant: Grant) {
        let tools = Arc::clone(&self.tools);
        self.preparations.spawn(async move {
            let (id, plan, tasks) = (grant.id, grant.plan, grant.tasks);
            let prepared = async {
                // Inputs first: they are cheap, and what is refused need not be compiled.
                let first = tasks.first().map_or(0, |run| run.first);
                tools
                    .staging
                    .stage_all(&id.job, first, &plan.inputs)
                    .await?;
                if let Some(kit) = &plan.kit {
                    tools.kits.ready(kit).await?;
                }
                tools.modules.ready(&plan, &id.job).await
            };
            let result = prepared.await.map(|_| ());
            if let Err(outcome) = &result {
                tracing::info!(grant = %id, %outcome, "cannot be prepared");
            }
            tools
                .teller
                .tell(Happened::Prepared { grant: id, result })
                .await;
        });
    }

    fn publish(&mut self, attempt: AttemptId, output: String) {
        if let Some(again) = self.publications.get_mut(&attempt) {
            // One that was withdrawn is not over yet; two would be in each other's way.
            *again = Some(output);
            return;
        }
        self.publications.insert(attempt.clone(), None);
        let tools = Arc::clone(&self.tools);
        self.jobs.spawn(async move {
            let (site, id) = (Arc::clone(&tools), attempt.clone());
            let published = blocking(move || publish(&site, &id, &output));
            let how = published.await.unwrap_or_else(Publication::Refused);
            tools
                .teller
                .tell(Happened::Published { attempt, how })
                .await;
        });
    }

    /// A publication is over.
    pub(crate) fn published(&mut self, attempt: &AttemptId, how: Publication) -> Vec<Action> {
        if let Some(Some(output)) = self.publications.remove(attempt) {
            self.publish(attempt.clone(), output);
        }
        let result = match how {
            Publication::Done => Ok(()),
            Publication::Refused(outcome) => Err(outcome),
            Publication::Withdrawn(actions) => return actions,
        };
        self.supervisor.published(self.now(), attempt, result)
    }
}

/// Blocks on the disk, and on the driver before the last step.
fn publish(tools: &Tools, attempt: &AttemptId, output: &str) -> Publication {
    let runtime = tokio::runtime::Handle::current();
    let mut follow = Vec::new();
    let may = || {
        let ask = tools.teller.ask(|answer| Happened::MayPublish {
            attempt: attempt.clone(),
            answer,
        });
        match runtime.block_on(ask) {
            Some(Ok(())) => true,
            Some(Err(actions)) => {
                follow = actions;
                false
            }
            // The driver has gone: the next node process asks again.
            None => false,
        }
    };
    let slot = Slot::at(tools.dir.slot(attempt));
    match tools.publisher.publish(&slot, attempt, output, may) {
        Ok(true) => Publication::Done,
        Ok(false) => Publication::Withdrawn(follow),
        Err(outcome) => Publication::Refused(outcome),
    }
}

/// Lets go of attempts: first of their outcomes, so that none is found again
/// whose files are half gone.
async fn forget(tools: Arc<Tools>, attempts: Vec<AttemptId>) {
    tools.keeper.discard(&attempts).await;
    let removed = blocking(move || {
        for attempt in attempts {
            let slot = Slot::at(tools.dir.slot(&attempt));
            if let Some(output) = on_its_way_to(&slot) {
                tools.publisher.clear(&attempt, &output);
            }
            tools.publisher.give_up(&slot);
            if let Err(error) = slot.remove() {
                tracing::warn!(%attempt, %error, "its files stay until the next start");
            }
        }
    });
    if let Err(outcome) = removed.await {
        tracing::error!(%outcome, "files of attempts stay until the next start");
    }
}
