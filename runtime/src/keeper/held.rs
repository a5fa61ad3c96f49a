//! What a keeper holds: slots, workers that wait, compilations, the spool, and the
//! lease that lets slots run. Orders go in, words for the node come out; who the node is, and
//! whether there is one, is of no interest here.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use stint_api::id::AttemptId;
use stint_api::outcome::{Outcome, Usage};
use stint_api::quantity::Bytes;
use stint_api::time::Span;
use stint_cgroup::Leaf;

use super::artifacts::Artifacts;
use super::clock::{BootTime, Clock};
use super::compiles::{Compiled, Compiles};
use super::limits::{Holding, chain};
use super::pool::Pool;
use super::process::{self, Process};
use super::protocol::{CompileOrder, FromKeeper, PROTOCOL, Spooled, StartOrder};
use super::slot::{Finished, Ready, Slot};
use super::spool::Spool;
use super::start::{self, Choice, Means};
use super::watch::{Serial, Watch};

/// Slots at once. Each is a process and half a dozen descriptors; a node whose
/// capacity would allow more has tasks too small to be worth a process.
const SLOTS_MAX: usize = 1024;
/// Outcomes that are kept for a node which does not discard them.
const SPOOLED_MAX: usize = 65_536;
/// Longest lease; a node renews it every second or so, and a number that is
/// wrong must not let slots run for ever.
const LEASE_MAX: Span = Span::from_secs(3_600);

/// Everything that is this keeper's to keep.
#[derive(Debug)]
pub(crate) struct Held {
    clock: Clock,
    holding: Holding,
    spool: Spool,
    lease: Option<BootTime>,
    slots: BTreeMap<Serial, Slot>,
    /// The slots by name.
    serials: BTreeMap<AttemptId, Serial>,
    compiles: Compiles,
    artifacts: Artifacts,
    pool: Pool,
    /// Leaves of slots that ended, to be removed when nobody waits for anything.
    empty: Vec<Leaf>,
    /// Directories of slots that ended, to be closed then too.
    unused: Vec<OwnedFd>,
    /// Whether nothing may start any more.
    ending: bool,
    words: Vec<FromKeeper>,
}

/// One thing that a node which connects is told of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// An attempt that runs.
    Slot(Serial),
    /// An attempt that ended.
    Spooled(AttemptId),
    /// That was all.
    All,
}

impl Held {
    /// Nothing but what earlier keepers left in the spool; at most `berths` workers of
    /// one engine profile will wait.
    pub(crate) fn new(holding: Holding, spool: Spool, berths: u16) -> Self {
        Self {
            clock: Clock::start(),
            holding,
            spool,
            lease: None,
            slots: BTreeMap::new(),
            serials: BTreeMap::new(),
            compiles: Compiles::default(),
            artifacts: Artifacts::default(),
            pool: Pool::new(berths),
            empty: Vec::new(),
            unused: Vec::new(),
            ending: false,
            words: Vec::new(),
        }
    }

    /// Lets slots run until `until`.
    pub(crate) fn lease(&mut self, until: BootTime, now: BootTime) {
        if until > now {
            if self.lease.is_none() && !self.ending {
                // A node that takes a lease is about to start something.
                self.pool.expect(now);
            }
            let until = until.min(now.after(LEASE_MAX));
            self.lease = self.lease.max(Some(until));
        }
    }

    /// Whether slots may run.
    pub(crate) fn has_lease(&self, now: BootTime) -> bool {
        self.lease.is_some_and(|until| now < until)
    }

    /// Starts an attempt, or says again what is known of it.
    pub(crate) fn start(&mut self, order: StartOrder, watch: &mut Watch, now: BootTime) {
        if let Some(slot) = self
            .serials
            .get(&order.attempt)
            .and_then(|s| self.slots.get(s))
        {
            let running = Box::new(slot.running(&self.clock));
            return self.words.push(FromKeeper::Running(running));
        }
        if let Some(spooled) = self.spool.get(&order.attempt) {
            let word = said_of(spooled);
            return self.words.push(word);
        }
        self.begin(order, Choice::Any, watch, now);
    }

    /// Starts an attempt on a worker of `choice`, or says why it cannot be.
    fn begin(&mut self, order: StartOrder, choice: Choice, watch: &mut Watch, now: BootTime) {
        let (attempt, grant) = (order.attempt.clone(), order.grant.clone());
        let started = match self.refusal(now) {
            Some(outcome) => Err(outcome),
            None => {
                let means = Means {
                    holding: &self.holding,
                    artifacts: &mut self.artifacts,
                    pool: &mut self.pool,
                    watch,
                };
                start::start(order, choice, means, now)
            }
        };
        match started {
            Ok(slot) => {
                let serial = slot.process.watched.serial;
                self.serials.insert(attempt, serial);
                self.slots.insert(serial, slot);
            }
            Err(outcome) => {
                tracing::info!(%attempt, %outcome, "an attempt was not started");
                self.words.push(FromKeeper::Ended(Box::new(Spooled {
                    attempt,
                    grant,
                    outcome,
                    usage: Usage::default(),
                    logs_dropped: Bytes(0),
                    started_at: None,
                    ended_at: self.clock.time_at(now),
                    passed: None,
                })));
            }
        }
    }

    /// Why nothing may start now.
    fn refusal(&self, now: BootTime) -> Option<Outcome> {
        let step = |step: String| Some(Outcome::StartFailed { step });
        if self.ending {
            Some(Outcome::Drained)
        } else if !self.has_lease(now) {
            Some(Outcome::NodeLost)
        } else if self.slots.len() >= SLOTS_MAX {
            step(format!("keeper: {SLOTS_MAX} slots run already"))
        } else if self.spool.len() >= SPOOLED_MAX {
            step(format!(
                "keeper: {SPOOLED_MAX} outcomes wait to be discarded"
            ))
        } else {
            None
        }
    }

    /// Kills an attempt, if it runs.
    pub(crate) fn kill(&mut self, attempt: &AttemptId, why: Outcome) {
        let serial = self.serials.get(attempt);
        if let Some(slot) = serial.and_then(|serial| self.slots.get_mut(serial)) {
            slot.kill(why);
        }
    }

    /// Kills every attempt that runs.
    pub(crate) fn kill_all(&mut self, why: &Outcome) {
        for slot in self.slots.values_mut() {
            slot.kill(why.clone());
        }
    }

    /// Kills everything, and starts nothing any more.
    pub(crate) fn stop(&mut self, why: &Outcome, watch: &Watch, now: BootTime) {
        self.ending = true;
        self.kill_all(why);
        self.compiles.stop();
        self.pool.stop(watch, now);
    }

    /// Forgets an attempt that ended.
    pub(crate) fn discard(&mut self, attempt: &AttemptId) {
        if let Err(error) = self.spool.discard(attempt) {
            tracing::error!(%attempt, error = chain(&error), "an outcome stays in the spool");
        }
    }

    /// Compiles a module, now or when its turn comes.
    pub(crate) fn compile(&mut self, order: CompileOrder, watch: &mut Watch, now: BootTime) {
        if self.ending {
            return self.compiled((order.module, Err(Outcome::Drained)));
        }
        if let Some(refused) = self.compiles.push(order) {
            self.compiled(refused);
        }
        self.start_compiles(watch, now);
    }

    fn start_compiles(&mut self, watch: &mut Watch, now: BootTime) {
        for ended in self.compiles.start(&self.holding, watch, now) {
            self.compiled(ended);
        }
    }

    fn compiled(&mut self, (module, result): Compiled) {
        self.words.push(FromKeeper::Compiled { module, result });
    }

    /// Something of a child is ready. One that is gone already had its turn.
    pub(crate) fn turn(&mut self, serial: Serial, ready: Ready, watch: &mut Watch, now: BootTime) {
        if let Some(slot) = self.slots.get_mut(&serial) {
            if slot.is_unborn() {
                slot.meet(watch);
            }
            if slot.is_lost() {
                return self.lose(serial, watch, now);
            }
            if slot.is_unborn() {
                return slot.hear_on(watch);
            }
            if slot.turn(ready, now)
                && let Some(at) = slot.started_at(&self.clock)
            {
                let attempt = slot.attempt().clone();
                self.words.push(FromKeeper::Started { attempt, at });
                if let Some(sha256) = slot.compared() {
                    self.artifacts.compared(sha256);
                }
            }
            self.tell_passed(serial, now);
            let Some(slot) = self.slots.get_mut(&serial) else {
                return;
            };
            if ready.ended {
                self.reap(serial, watch, now);
            } else if slot.is_parting() {
                self.part(serial, watch, now);
            } else {
                slot.hear_on(watch);
            }
        } else if !self.pool.turn(serial, ready, watch, now)
            && let Some(ended) = self.compiles.turn(serial, ready, watch)
        {
            self.compiled(ended);
            self.start_compiles(watch, now);
        }
    }

    /// Tells of a run's tasks that passed, once they are in the spool; and whose words
    /// are in its logs.
    fn tell_passed(&mut self, serial: Serial, now: BootTime) {
        let Some(slot) = self.slots.get_mut(&serial) else {
            return;
        };
        let spooled = slot.take_passed(&self.clock, now);
        let speaking = slot.take_speaking();
        let name = slot.name().clone();
        if let Some(spooled) = spooled {
            self.end(spooled);
        }
        if let Some(attempt) = speaking {
            let slot = name;
            self.words.push(FromKeeper::Speaks { attempt, slot });
        }
    }

    /// The worker that was to be born for an attempt is none.
    fn lose(&mut self, serial: Serial, watch: &mut Watch, now: BootTime) {
        self.pool.miss(now);
        if let Some(slot) = self.slots.get(&serial)
            && let Some(profile) = slot.is_overdue(now)
        {
            self.pool.distrust(profile, watch, now);
        }
        self.reap(serial, watch, now);
    }

    fn reap(&mut self, serial: Serial, watch: &mut Watch, now: BootTime) {
        if let Some(mut slot) = self.slots.remove(&serial) {
            self.serials.remove(slot.name());
            self.unused.append(&mut slot.dirs);
            let (finished, leaf) = slot.finish(&self.clock, now);
            self.empty.extend(leaf);
            match finished {
                Finished::Ended(spooled) => self.end(*spooled),
                Finished::Again(order) => {
                    let attempt = &order.attempt;
                    tracing::warn!(%attempt, "a worker died before it began; another begins");
                    self.begin(*order, Choice::Own, watch, now);
                }
            }
        }
    }

    fn part(&mut self, serial: Serial, watch: &Watch, now: BootTime) {
        let Some(slot) = self.slots.remove(&serial) else {
            return;
        };
        self.serials.remove(slot.name());
        let (spooled, process, sharing) = slot.part(&self.clock, now);
        if let Some(spooled) = spooled {
            self.end(spooled);
        }
        match sharing {
            Some(sharing) => self.pool.keep(process, sharing, watch, now),
            None => self.pool.discard(process, watch),
        }
    }

    /// The spool has it before anybody hears of it.
    fn end(&mut self, mut spooled: Spooled) {
        if spooled.started_at.is_some() {
            spooled.usage.sandbox = self.holding.jails.sandbox();
        }
        let (attempt, outcome) = (&spooled.attempt, &spooled.outcome);
        tracing::debug!(%attempt, %outcome, "an attempt ended");
        let word = said_of(&spooled);
        if let Err(error) = self.spool.put(spooled) {
            tracing::error!(error = chain(&error), "an outcome is in memory only");
        }
        self.words.push(word);
    }

    /// When it wants [`Held::tick`].
    pub(crate) fn wake(&self) -> Option<BootTime> {
        let slots = self.slots.values().filter_map(Slot::wake);
        let rest = [
            self.lease,
            self.compiles.wake(),
            self.artifacts.wake(),
            self.pool.wake(),
        ];
        slots.chain(rest.into_iter().flatten()).min()
    }

    /// Whether [`Held::clear`] or [`Held::refill`] has something to do.
    pub(crate) fn is_untidy(&self) -> bool {
        self.left() > 0 || self.pool.is_due()
    }

    /// Whether no attempt is about to start or to end.
    pub(crate) fn is_calm(&self, now: BootTime) -> bool {
        self.slots.values().all(|slot| slot.is_calm(now))
    }

    /// How many things there are to be cleared away.
    pub(crate) fn left(&self) -> usize {
        self.empty.len() + self.unused.len()
    }

    /// Clears one thing away for which nobody waits; false if there is none.
    pub(crate) fn clear(&mut self) -> bool {
        if let Some(leaf) = self.empty.pop() {
            process::delete(&leaf);
            return true;
        }
        self.unused.pop().is_some()
    }

    /// Lets one more worker be born that is to wait, or load what is in demand.
    pub(crate) fn refill(&mut self, watch: &mut Watch, now: BootTime) {
        if !self.ending {
            let artifacts = &self.artifacts;
            self.pool.refill(&self.holding, artifacts, watch, now);
        }
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, watch: &mut Watch, now: BootTime) {
        if self.lease.is_some_and(|until| now >= until) {
            self.lease = None;
            if !self.slots.is_empty() {
                tracing::warn!(
                    slots = self.slots.len(),
                    "the lease is over: all are killed"
                );
            }
            self.kill_all(&Outcome::NodeLost);
            // Nothing can start before the next.
            self.pool.stop(watch, now);
        }
        let overdue = self.slots.iter();
        let overdue =
            overdue.filter(|(_, slot)| slot.is_unborn() && slot.is_overdue(now).is_some());
        let overdue: Vec<Serial> = overdue.map(|(serial, _)| *serial).collect();
        for serial in overdue {
            // It may have spoken in time, and this keeper be late.
            let ready = Ready {
                wire: true,
                ..Ready::default()
            };
            self.turn(serial, ready, watch, now);
        }
        for slot in self.slots.values_mut() {
            slot.tick(now);
        }
        for serial in self.slots.keys().copied().collect::<Vec<_>>() {
            self.tell_passed(serial, now);
            if self.slots.get(&serial).is_some_and(Slot::is_lost) {
                self.lose(serial, watch, now);
            }
        }
        self.compiles.tick(now);
        self.artifacts.tick(now);
        let slots = self.slots.values().map(|slot| &slot.process);
        let others = slots.chain(self.compiles.processes());
        let others = others.filter_map(Process::pid);
        self.pool.tick(others, watch, now);
    }

    /// Whether nothing runs that anybody asked for.
    pub(crate) fn is_idle(&self) -> bool {
        self.slots.is_empty() && self.compiles.is_empty()
    }

    /// Whether nothing is left at all, not even to be cleared away.
    pub(crate) fn is_empty(&self) -> bool {
        self.is_idle() && self.pool.is_empty() && self.empty.is_empty()
    }

    /// What has to be said to the node, if there is one.
    pub(crate) fn take_words(&mut self) -> Vec<FromKeeper> {
        std::mem::take(&mut self.words)
    }

    /// Everything that a node which connects is to be told, as names: what they
    /// stand for may be much, and is looked up when it can be sent.
    pub(crate) fn items(&self) -> impl Iterator<Item = Item> {
        let slots = self.slots.keys().copied().map(Item::Slot);
        let spooled = self
            .spool
            .iter()
            .map(|it| Item::Spooled(it.attempt.clone()));
        slots.chain(spooled).chain([Item::All])
    }

    /// What is to be said of an item now; nothing if that was said meanwhile.
    pub(crate) fn tell(&self, item: &Item) -> Option<FromKeeper> {
        match item {
            Item::Slot(serial) => {
                let running = self.slots.get(serial)?.running(&self.clock);
                Some(FromKeeper::Running(Box::new(running)))
            }
            Item::Spooled(attempt) => self.spool.get(attempt).map(said_of),
            Item::All => Some(self.greeting()),
        }
    }

    /// The last word of a greeting.
    pub(crate) fn greeting(&self) -> FromKeeper {
        FromKeeper::Kept {
            protocol: PROTOCOL,
            limits: self.holding.describe(),
            jail: self.holding.jails.layers().clone(),
        }
    }

    /// Lets go of the cgroup tree; nothing runs any more.
    pub(crate) fn close(self) {
        self.holding.close();
    }
}

/// What a node is told of an outcome.
fn said_of(spooled: &Spooled) -> FromKeeper {
    let said = Box::new(spooled.clone());
    match spooled.passed {
        Some(_) => FromKeeper::Passed(said),
        None => FromKeeper::Ended(said),
    }
}

#[cfg(test)]
#[path = "held_tests.rs"]
mod tests;
