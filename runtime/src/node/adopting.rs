//! A keeper was found: at the node's start with what an earlier node process left
//! to it, later in the place of one that died.

use std::collections::{BTreeMap, BTreeSet};

use stint_api::id::AttemptId;
use stint_api::link::Grant;
use stint_supervisor::{Action, AttemptEnd, Kept, KeptState};

use super::attempt::{From, Known};
use super::driver::Driver;
use super::keeping::Current;
use crate::keeper::client::{self, Handle};
use crate::keeper::protocol::Spooled;

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
            let client_attempt = running.attempt.clone();
            let known = Known {
                started: running.started_at.is_some(),
                ..Known::default()
            };
            told.push(Kept {
                attempt: running.attempt,
                grant: running.grant.clone(),
                state: KeptState::Running {
                    started_at: running.started_at,
                },
            });
            self.spawn(client_attempt, running.grant, known, From::Kept { epoch });
        }
        for spooled in kept.spooled {
            if latest.contains(&spooled.attempt) {
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
        let (attempt, grant) = (spooled.attempt.clone(), spooled.grant.clone());
        let known = Known {
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
        let running: BTreeMap<AttemptId, bool> = kept
            .running
            .into_iter()
            .map(|running| (running.attempt, running.started_at.is_some()))
            .collect();
        for spooled in kept.spooled {
            match self.live.get(&spooled.attempt) {
                Some(live) => live.ended(Box::new(spooled)),
                None if self.ended.contains(&spooled.attempt) => {}
                None => actions.push(Action::Discard {
                    attempt: spooled.attempt,
                }),
            }
        }
        for (attempt, live) in &self.live {
            let is_started = running.get(attempt);
            if is_started == Some(&true) {
                live.started();
            }
            live.found(self.epoch, is_started.is_some());
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
