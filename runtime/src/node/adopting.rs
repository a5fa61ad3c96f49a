//! A keeper was found: at the node's start with what an earlier node process left
//! to it, later in the place of one that died.

use std::collections::{BTreeMap, BTreeSet};

use stint_api::id::AttemptId;
use stint_api::link::Grant;
use stint_supervisor::{Action, AttemptEnd, Kept, KeptState, Run};

use super::attempt::From;
use super::driver::Driver;
use super::keeping::Current;
use super::known::Known;
use crate::keeper::client::{self, Handle};
use crate::keeper::protocol::{Passed, Running, Spooled, name_of};

impl Driver {
    /// Takes what the keeper has, then lets everybody give it orders.
    pub(crate) fn keeper_found(&mut self, handle: Handle, kept: client::Kept) -> Vec<Action> {
        self.epoch += 1;
        let epoch = self.epoch;
        tracing::info!(
            limits = kept.limits,
            running = kept.running.len(),
            ended = kept.spooled.len(),
            "keeper found"
        );
        let actions = if epoch == 1 {
            self.adopt(kept)
        } else {
            self.compare(kept)
        };
        self.keeper
            .current
            .send_replace(Some(Current { epoch, handle }));
        actions
    }

    /// Goes on with what an earlier node process began.
    ///
    /// The latest attempt of a task gets a task of its own, also when it has
    /// ended: its logs are to be said, and what it left looked at, before the
    /// supervisor hears of its end.
    fn adopt(&mut self, kept: client::Kept) -> Vec<Action> {
        let latest = latest(&kept);
        let epoch = self.epoch;
        let mut told = Vec::new();
        for running in kept.running {
            let slot = name_of(&running.attempt, &running.grant);
            let known = Known {
                started: running.started_at.is_some(),
                turn: Some(running.attempt.task),
                speaks: running.speaks,
                ..Known::default()
            };
            told.push(Kept {
                attempt: running.attempt,
                grant: running.grant.clone(),
                state: KeptState::Running {
                    started_at: running.started_at,
                },
            });
            self.spawn(slot, running.grant, known, From::Kept { epoch });
        }
        for spooled in kept.spooled {
            if let Some(Passed { count, .. }) = spooled.passed {
                self.ended.insert(spooled.attempt.clone());
                told.push(passed(spooled, count));
            } else if latest.contains(&spooled.attempt) {
                told.push(Kept {
                    attempt: spooled.attempt.clone(),
                    grant: spooled.grant.clone(),
                    state: KeptState::Running {
                        started_at: spooled.started_at,
                    },
                });
                self.see_to_its_end(spooled);
            } else {
                self.ended.insert(spooled.attempt.clone());
                told.push(earlier(spooled));
            }
        }
        self.supervisor.kept(self.now(), told)
    }

    fn see_to_its_end(&mut self, spooled: Spooled) {
        let epoch = self.epoch;
        let attempt = name_of(&spooled.attempt, &spooled.grant);
        let grant = spooled.grant.clone();
        let known = Known {
            turn: Some(spooled.attempt.task),
            started: spooled.started_at.is_some(),
            ended: Some(Box::new(spooled)),
            ..Known::default()
        };
        self.spawn(attempt, grant, known, From::Kept { epoch });
    }

    /// Tells each attempt whether this keeper has it. What is in the spool and
    /// was discarded meanwhile is discarded again.
    fn compare(&mut self, kept: client::Kept) -> Vec<Action> {
        let mut actions = Vec::new();
        let named = |running: Running| {
            let slot = name_of(&running.attempt, &running.grant);
            (slot, running)
        };
        let running: BTreeMap<AttemptId, Running> = kept.running.into_iter().map(named).collect();
        for spooled in kept.spooled {
            if spooled.passed.is_some() {
                if !self.ended.contains(&spooled.attempt) {
                    actions.extend(self.passed(spooled));
                }
                continue;
            }
            let slot = name_of(&spooled.attempt, &spooled.grant);
            match self.live.get(&slot) {
                Some(live) => live.ended(Box::new(spooled)),
                None if self.ended.contains(&spooled.attempt) => {}
                None => actions.push(Action::Discard {
                    attempt: spooled.attempt,
                }),
            }
        }
        for (slot, live) in &self.live {
            let running = running.get(slot);
            if running.is_some_and(|running| running.started_at.is_some()) {
                live.started();
            }
            if running.is_some_and(|running| running.speaks) {
                live.speaks();
            }
            live.found(self.epoch, running.is_some());
        }
        actions
    }
}

/// The latest attempt of each task under each grant.
fn latest(kept: &client::Kept) -> BTreeSet<AttemptId> {
    let running = kept.running.iter().map(|running| &running.attempt);
    let spooled = kept.spooled.iter().map(|spooled| &spooled.attempt);
    let mut latest = BTreeMap::new();
    for attempt in running.chain(spooled) {
        let newest = latest
            .entry((attempt.grant_id(), attempt.task))
            .or_insert(attempt);
        if newest.try_number < attempt.try_number {
            *newest = attempt;
        }
    }
    latest.into_values().cloned().collect()
}

/// Attempts of a run that passed.
fn passed(spooled: Spooled, count: u32) -> Kept {
    let over = spooled.passed.is_none_or(|passed| passed.over);
    let run = Run {
        first: spooled.attempt.clone(),
        count,
        over,
        usage: spooled.usage,
        at: spooled.ended_at,
    };
    Kept {
        attempt: spooled.attempt,
        grant: spooled.grant,
        state: KeptState::Passed(run),
    }
}

/// An attempt after which its task was tried again: only its history is wanted.
fn earlier(spooled: Spooled) -> Kept {
    let end = AttemptEnd {
        outcome: spooled.outcome,
        at: spooled.ended_at,
        usage: spooled.usage,
        stderr_tail: None,
        result: None,
        files: Vec::new(),
    };
    let grant: Grant = spooled.grant;
    Kept {
        attempt: spooled.attempt,
        grant,
        state: KeptState::Ended(end),
    }
}
