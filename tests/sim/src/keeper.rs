//! The keeper, played: it holds the workers and the lease, and outlives the node process.

use stint_api::id::AttemptId;
use stint_api::link::{Grant, OutputFile};
use stint_api::outcome::{Outcome, Usage};
use stint_api::time::{Span, Time};
use stint_supervisor::{AttemptEnd, Kept, KeptState};

use crate::happening::{Happening, KeeperEvent, Place, ProcessEvent};
use crate::node::{Keeper, Slot, Spooled};
use crate::policy::Policy;
use crate::world::World;

/// Longest time from a kill until the worker is gone; with the timer's
/// lateness below the grace that the scheduler adds to a lease.
const KILL_MILLIS_MAX: u64 = 60;
/// How late a timer may be.
const TIMER_MILLIS_MAX: u64 = 10;

impl World {
    pub(crate) fn keeper_up(&mut self, place: Place) {
        let node = &mut self.nodes[place];
        if node.keeper.is_some() {
            return;
        }
        let life = node.next_life();
        node.keeper = Some(Keeper {
            life,
            lease: Time::default(),
            slots: Default::default(),
        });
        self.tell(place, || "keeper up".to_owned());
        let soon = self.chance.millis(0, 20);
        self.process_event(place, soon, ProcessEvent::NewKeeper);
    }

    /// The keeper dies, and its workers with it.
    pub(crate) fn keeper_dies(&mut self, place: Place) {
        if self.nodes[place].keeper.take().is_some() {
            self.ledger.all_gone(place);
            self.tell(place, || "keeper dies".to_owned());
        }
    }

    pub(crate) fn keeper_event(&mut self, place: Place, what: KeeperEvent) {
        match what {
            KeeperEvent::Up(attempt) => self.worker_up(place, attempt),
            KeeperEvent::Exits(attempt) => {
                let slot = self.slot(place, &attempt);
                if let Some(slot) = slot.filter(|slot| slot.dying.is_none()) {
                    let fate = slot.fate.clone();
                    self.worker_gone(place, attempt, fate);
                }
            }
            KeeperEvent::Gone(attempt) => {
                let at = self.local(place);
                let why = self
                    .slot(place, &attempt)
                    .and_then(|slot| slot.dying.clone());
                if let Some(why) = why {
                    let end = AttemptEnd::without_run(why, at);
                    self.worker_gone(place, attempt, end);
                }
            }
            KeeperEvent::Lease => self.keeper_lease(place),
        }
    }

    /// The lease runs until then; never shortened.
    pub(crate) fn order_lease(&mut self, place: Place, until: Time) {
        let late = self.chance.millis(0, TIMER_MILLIS_MAX);
        let node = &mut self.nodes[place];
        let Some(keeper) = node.keeper.as_mut().filter(|keeper| keeper.lease < until) else {
            return;
        };
        keeper.lease = until;
        let life = keeper.life;
        let at = node.clock.when(until) + late;
        let what = KeeperEvent::Lease;
        self.at(
            at,
            Happening::Keeper {
                node: place,
                life,
                what,
            },
        );
    }

    /// Starts an attempt, or says again what is known of it.
    pub(crate) fn order_start(&mut self, place: Place, attempt: &AttemptId, grant: Grant) {
        let now = self.local(place);
        let node = &self.nodes[place];
        let Some(keeper) = &node.keeper else {
            return;
        };
        if let Some(slot) = keeper.slots.get(attempt) {
            if let Some(at) = slot.up_at {
                self.say(place, ProcessEvent::Started(attempt.clone(), at));
            }
            return;
        }
        if let Some(spooled) = node.disk.spool.get(attempt) {
            let end = Box::new(spooled.end.clone());
            self.say(place, ProcessEvent::Ended(attempt.clone(), end));
            return;
        }
        if keeper.lease <= now && self.policy != Policy::KeeperIgnoresLease {
            let end = Box::new(AttemptEnd::without_run(Outcome::NodeLost, now));
            self.say(place, ProcessEvent::Ended(attempt.clone(), end));
            return;
        }
        let life = keeper.life;
        let fate = self.fate(place, attempt, &grant);
        self.tell(place, || format!("starts {attempt}"));
        let capacity = self.nodes[place].capacity;
        let limits = grant.plan.limits;
        self.ledger.begins(place, attempt, limits, capacity);
        let slot = Slot {
            grant,
            fate,
            up_at: None,
            dying: None,
        };
        if let Some(keeper) = &mut self.nodes[place].keeper {
            keeper.slots.insert(attempt.clone(), slot);
        }
        let after = self.chance.micros(100, 20_000);
        self.keeper_later(place, life, after, KeeperEvent::Up(attempt.clone()));
    }

    pub(crate) fn order_kill(&mut self, place: Place, attempt: &AttemptId, why: &Outcome) {
        let after = self.chance.millis(0, KILL_MILLIS_MAX);
        let Some(keeper) = &mut self.nodes[place].keeper else {
            return;
        };
        let life = keeper.life;
        if let Some(slot) = keeper.slots.get_mut(attempt)
            && slot.dying.is_none()
        {
            slot.dying = Some(why.clone());
            self.keeper_later(place, life, after, KeeperEvent::Gone(attempt.clone()));
        }
    }

    pub(crate) fn order_discard(&mut self, place: Place, attempt: &AttemptId) {
        let node = &mut self.nodes[place];
        let runs = node
            .keeper
            .as_ref()
            .is_some_and(|keeper| keeper.slots.contains_key(attempt));
        if runs {
            self.ledger
                .object(format!("{attempt} is discarded while it runs"));
        }
        if node.keeper.is_some() {
            node.disk.spool.remove(attempt);
        } else if let Some(process) = &mut node.process {
            process.to_discard.push(attempt.clone());
        }
        node.disk.files.remove(attempt);
    }

    /// Everything that the keeper has, running or ended.
    pub(crate) fn kept(&self, place: Place) -> Vec<Kept> {
        let node = &self.nodes[place];
        let slots = node.keeper.iter().flat_map(|keeper| &keeper.slots);
        let running = slots.map(|(attempt, slot)| Kept {
            attempt: attempt.clone(),
            grant: slot.grant.clone(),
            state: KeptState::Running {
                started_at: slot.up_at,
            },
        });
        let spool = node.disk.spool.iter();
        let ended = spool.map(|(attempt, spooled)| Kept {
            attempt: attempt.clone(),
            grant: spooled.grant.clone(),
            state: KeptState::Ended(spooled.end.clone()),
        });
        running.chain(ended).collect()
    }

    fn worker_up(&mut self, place: Place, attempt: AttemptId) {
        let at = self.local(place);
        // Most are short, some outlive a lease.
        let most = if self.chance.happens(self.weather.long) {
            8_000
        } else {
            400
        };
        let runs_for = self.chance.millis(1, most);
        let Some(slot) = self
            .slot(place, &attempt)
            .filter(|slot| slot.dying.is_none())
        else {
            return;
        };
        slot.up_at = Some(at);
        let life = self.nodes[place]
            .keeper
            .as_ref()
            .map_or(0, |keeper| keeper.life);
        self.keeper_later(place, life, runs_for, KeeperEvent::Exits(attempt.clone()));
        self.say(place, ProcessEvent::Started(attempt, at));
    }

    /// A worker is gone: into the spool first, then told.
    fn worker_gone(&mut self, place: Place, attempt: AttemptId, mut end: AttemptEnd) {
        end.at = self.local(place);
        let node = &mut self.nodes[place];
        let slot = node
            .keeper
            .as_mut()
            .and_then(|keeper| keeper.slots.remove(&attempt));
        let Some(Slot { grant, .. }) = slot else {
            return;
        };
        if !end.files.is_empty() {
            node.disk.files.insert(attempt.clone());
        }
        let spooled = Spooled {
            grant,
            end: end.clone(),
        };
        node.disk.spool.insert(attempt.clone(), spooled);
        self.ledger.ends(place, &attempt, &end.outcome);
        self.tell(place, || format!("{attempt} {}", end.outcome));
        self.say(place, ProcessEvent::Ended(attempt, Box::new(end)));
    }

    fn keeper_lease(&mut self, place: Place) {
        let now = self.local(place);
        let Some(keeper) = &self.nodes[place].keeper else {
            return;
        };
        if keeper.lease > now || self.policy == Policy::KeeperIgnoresLease {
            return;
        }
        let attempts: Vec<AttemptId> = keeper.slots.keys().cloned().collect();
        for attempt in attempts {
            self.order_kill(place, &attempt, &Outcome::NodeLost);
        }
    }

    /// How the guest of an attempt will end.
    fn fate(&mut self, place: Place, attempt: &AttemptId, grant: &Grant) -> AttemptEnd {
        let weather = self.weather;
        let outcome = if self.chance.happens(weather.worker_loss) {
            Outcome::WorkerLost { signal: 11 }
        } else if self.chance.happens(weather.failure) {
            Outcome::Exited { code: 1 }
        } else {
            Outcome::Succeeded
        };
        let mut fate = AttemptEnd::without_run(outcome, self.local(place));
        fate.usage = Usage {
            wall: Span::from_millis(1),
            ..Usage::default()
        };
        if fate.outcome == Outcome::Succeeded {
            let text = format!("\"{attempt}\"");
            fate.result = serde_json::value::RawValue::from_string(text).ok();
            if grant.plan.output.is_some() {
                let path = "table.csv".to_owned();
                fate.files = vec![OutputFile { path, bytes: 1 }];
            }
        }
        fate
    }

    fn slot(&mut self, place: Place, attempt: &AttemptId) -> Option<&mut Slot> {
        self.nodes[place].keeper.as_mut()?.slots.get_mut(attempt)
    }

    fn keeper_later(&mut self, place: Place, life: u64, after: Span, what: KeeperEvent) {
        self.after(
            after,
            Happening::Keeper {
                node: place,
                life,
                what,
            },
        );
    }

    /// Tells the node process, if there is one that listens by then.
    fn say(&mut self, place: Place, what: ProcessEvent) {
        let soon = self.chance.micros(10, 2_000);
        self.process_event(place, soon, what);
    }
}
