//! What the scheduler wants: orders are taken as intent, late ones are refused.

use std::collections::BTreeMap;

use stint_api::id::{AttemptId, Generation, GrantId};
use stint_api::link::{Grant, Order, Orders};
use stint_api::outcome::Outcome;
use stint_api::quantity::Resources;
use stint_api::time::Time;

use crate::action::Action;
use crate::holding::{Holding, TaskState};
use crate::supervisor::{Mode, Supervisor};

/// The orders bear another generation than the last welcome: they change nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("orders of generation {theirs:?} were refused; the last welcome was {ours:?}")]
pub struct WrongGeneration {
    /// Generation of the last welcome.
    pub ours: Option<Generation>,
    /// Generation of the orders.
    pub theirs: Generation,
}

impl Supervisor {
    /// Takes a line of orders. Each may come twice.
    ///
    /// # Errors
    ///
    /// When the orders bear another generation than the last welcome.
    pub fn orders(&mut self, now: Time, orders: Orders) -> Result<Vec<Action>, WrongGeneration> {
        if self.generation != Some(orders.generation) {
            return Err(WrongGeneration {
                ours: self.generation,
                theirs: orders.generation,
            });
        }
        let mut actions = Vec::new();
        for order in orders.orders {
            match order {
                Order::Full { grants } => self.hold_exactly(now, grants, &mut actions),
                Order::Run(grant) => {
                    if !self.grants.contains_key(&grant.id) {
                        self.admit(now, grant);
                    }
                }
                Order::Stop { id, why } => {
                    self.stop(&id, &why, &mut actions);
                    // The order to run it may still be on its way.
                    self.gone.insert(id);
                }
                Order::Publish { attempt } => self.publish(now, attempt, &mut actions),
                Order::GiveBack { id, kill } => self.yield_grant(now, &id, kill, &mut actions),
            }
        }
        self.proceed(now, &mut actions);
        Ok(actions)
    }

    /// Stops what is not in `grants`, narrows what is, adds what is missing.
    ///
    /// A task that this node was told of, and whose end the scheduler has, never
    /// comes back: the list may be older than that.
    fn hold_exactly(&mut self, now: Time, grants: Vec<Grant>, actions: &mut Vec<Action>) {
        let mut wanted: BTreeMap<GrantId, Grant> = grants
            .into_iter()
            .map(|grant| (grant.id.clone(), grant))
            .collect();
        for id in self.grants.keys().cloned().collect::<Vec<_>>() {
            match wanted.remove(&id) {
                None => self.stop(&id, &Outcome::NodeLost, actions),
                Some(grant) => self.narrow(grant, actions),
            }
        }
        for grant in wanted.into_values() {
            self.admit(now, grant);
        }
        self.is_told = true;
    }

    fn narrow(&mut self, grant: Grant, actions: &mut Vec<Action>) {
        let Some(mut holding) = self.grants.remove(&grant.id) else {
            return;
        };
        // One that was taken over from a keeper came with the time of a single attempt.
        holding.plan.timeout = grant.plan.timeout;
        for dropped in holding.narrow(&grant.tasks) {
            self.abandon(&holding, dropped, &Outcome::NodeLost, actions);
        }
        holding.widen(&grant.tasks);
        if holding.is_done() {
            self.release(&grant.id, actions);
        } else {
            self.grants.insert(grant.id, holding);
        }
    }

    /// Holds a new grant, or gives it back when there is no room.
    fn admit(&mut self, now: Time, grant: Grant) {
        if self.gone.contains(&grant.id) {
            return;
        }
        let id = grant.id.clone();
        let held = self.grants.values().filter(|held| held.takes_room());
        let taken = held
            .map(|held| held.plan.limits)
            .fold(grant.plan.limits, |sum, part| sum + part);
        let refusal = self.refusal(&taken);
        let mut holding = Holding::new(grant.clone());
        holding.widen(&grant.tasks);
        self.grants.insert(id.clone(), holding);
        if let Some(why) = refusal {
            self.give_back(now, &id, &why);
        }
    }

    /// Why a grant that makes the grants take `taken` is not held.
    fn refusal(&self, taken: &Resources) -> Option<Outcome> {
        if self.mode == Mode::Draining {
            return Some(Outcome::Drained);
        }
        (!taken.fits_in(&self.capacity)).then(|| Outcome::StartFailed {
            step: format!(
                "the node is full: with this grant it would run cpu {}, memory {}, scratch {} of cpu {}, memory {}, scratch {}",
                taken.cpu,
                taken.memory,
                taken.scratch,
                self.capacity.cpu,
                self.capacity.memory,
                self.capacity.scratch,
            ),
        })
    }

    /// The commit is granted; anything but an attempt that waits for it is left alone.
    /// Without a lease it is asked for again: by then another node may have been granted it.
    fn publish(&mut self, now: Time, attempt: AttemptId, actions: &mut Vec<Action>) {
        if !self.may_act(now) {
            return self.ask_for_commit(&attempt);
        }
        let Some(holding) = self.grants.get_mut(&attempt.grant_id()) else {
            return;
        };
        let Some(output) = holding.plan.output.clone() else {
            return;
        };
        let tried = holding.tried.get_mut(&attempt.task);
        if let Some(tried) = tried.filter(|tried| tried.try_number == attempt.try_number)
            && let TaskState::Finished(end) = &tried.state
        {
            tried.state = TaskState::Publishing(end.clone());
            actions.push(Action::Publish { attempt, output });
        }
    }
}
