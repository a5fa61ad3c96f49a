//! The workers of one engine profile that wait, and the zygote that bears them.
//!
//! ```text
//! wanted ── Birth, to the zygote ──▶ coming ── Berthed frame ──▶ berthed ── taken ──▶ a slot's
//!                                      │ too long, closed           │ too many, died, spoke
//!                                      ▼                            ▼
//!                                     gone                         gone
//! ```
//!
//! Who is berthed may be told to load a module that is in demand, and is then for attempts
//! at that alone.
//!
//! When nobody is berthed the zygote bears one for the attempt, which is the slot's
//! from its order on.

use std::collections::BTreeMap;

use stint_cgroup::Limits;
use stint_sandbox::Profile;

use super::artifacts::Artifacts;
use super::berthed::{Came, Coming, OrderError, Ordered, Waiting};
use super::clock::BootTime;
use super::demand::Demand;
use super::hot::{Hot, Module};
use super::limits::Holding;
use super::process::Process;
use super::slot::Ready;
use super::watch::{Serial, Watch};
use super::zygote::Zygote;
use crate::zygote::protocol::Purpose;

/// Those of one engine profile.
#[derive(Debug)]
pub(crate) struct Berths {
    profile: Profile,
    zygote: Zygote,
    demand: Demand,
    coming: BTreeMap<Serial, Coming>,
    berthed: BTreeMap<Serial, Waiting>,
    hot: Hot,
}

/// Who has to leave.
#[derive(Debug, Default)]
pub(crate) struct Leaving {
    /// To be killed.
    pub(crate) alive: Vec<Process>,
    /// To be reaped.
    pub(crate) dead: Option<Process>,
    /// Whether a birth failed, and may have left a child of which nobody heard.
    pub(crate) stray: bool,
}

/// What came of telling a worker to load a module.
#[derive(Debug)]
pub(crate) enum Primed {
    /// Nobody is to.
    NotNeeded,
    /// It loads it.
    Told,
    /// It could not be told, and is to go.
    Failed(Box<Process>),
}

impl Leaving {
    fn alive(process: Option<Process>) -> Self {
        Self {
            alive: process.into_iter().collect(),
            ..Self::default()
        }
    }

    fn dead(process: Option<Process>) -> Self {
        Self {
            dead: process,
            ..Self::default()
        }
    }

    fn stray() -> Self {
        Self {
            stray: true,
            ..Self::default()
        }
    }
}

impl Berths {
    /// Nobody yet, and never more than `most` who wait.
    pub(crate) fn new(profile: Profile, most: usize) -> Self {
        Self {
            profile,
            zygote: Zygote::new(profile),
            demand: Demand::up_to(most),
            coming: BTreeMap::new(),
            berthed: BTreeMap::new(),
            hot: Hot::default(),
        }
    }

    /// Starts are to be expected.
    pub(crate) fn expect(&mut self, now: BootTime) {
        self.demand.expect(now);
    }

    /// Tells of a start of `module`, by whatever worker.
    pub(crate) fn started(&mut self, module: &Module, now: BootTime) {
        let left = self.berthed.values().filter(|it| it.serves(module));
        self.demand.started(left.count(), now);
        self.hot.started(module, now);
    }

    /// A worker that waits: one that has loaded `module`, else one that has loaded
    /// nothing; of these the youngest, whose pages are the warmest.
    pub(crate) fn take(&mut self, module: &Module) -> Option<Waiting> {
        let serving = self.berthed.iter().rev();
        let serving = serving.filter(|(_, it)| it.serves(module));
        let best = serving.min_by_key(|(_, it)| it.loaded.is_none());
        let serial = *best?.0;
        self.berthed.remove(&serial)
    }

    /// Tells one worker that has nothing loaded to load a module that is in demand, if
    /// there is one that lacks it. One stays as it is, for what nobody expects.
    pub(crate) fn prime(&mut self, artifacts: &Artifacts, watch: &Watch) -> Primed {
        let Some(module) = self.lacking().cloned() else {
            return Primed::NotNeeded;
        };
        let Some(artifact) = artifacts.known(&module.artifact) else {
            self.hot.forget(&module);
            return Primed::NotNeeded;
        };
        // The oldest: whoever comes for what nobody expects has the youngest.
        let mut free = self.berthed.iter_mut();
        let Some((serial, waiting)) = free.find(|(_, it)| it.loaded.is_none()) else {
            return Primed::NotNeeded;
        };
        let told = waiting.load(&module, self.profile, artifact);
        let listened = watch.listen_to(&mut waiting.process);
        if told.is_ok() && listened.is_ok() {
            return Primed::Told;
        }
        let serial = *serial;
        match self.berthed.remove(&serial) {
            Some(waiting) => Primed::Failed(Box::new(waiting.process)),
            None => Primed::NotNeeded,
        }
    }

    /// The module that is in demand and that too few have loaded.
    fn lacking(&self) -> Option<&Module> {
        let all = || self.berthed.values();
        if all().filter(|it| it.loaded.is_none()).count() < 2 {
            return None;
        }
        let with = |module: &Module| {
            all()
                .filter(|it| it.loaded.as_ref() == Some(module))
                .count()
        };
        self.hot.next(self.demand.wanted().saturating_sub(1), with)
    }

    /// Sees to it that there is a zygote as long as there is demand.
    pub(crate) fn want_zygote(&mut self, watch: &mut Watch, now: BootTime) {
        if self.demand.is_any() {
            self.zygote.want(watch, now);
        }
    }

    /// Whether one more is to be born.
    pub(crate) fn is_short(&self) -> bool {
        self.demand.wanted() > self.berthed.len() + self.coming.len()
    }

    /// Lets one be born, or a zygote for it be started.
    pub(crate) fn bear(
        &mut self,
        name: &str,
        limits: Limits,
        holding: &Holding,
        watch: &mut Watch,
        now: BootTime,
    ) -> Leaving {
        let (coming, leaving) = self.order(Purpose::Berth, (name, limits), holding, watch, now);
        if let Some(process) = coming {
            let coming = Coming::new(process, now);
            self.coming.insert(coming.process.watched.serial, coming);
        }
        leaving
    }

    /// A worker for an attempt, which is born while it is told; none if that cannot be.
    pub(crate) fn bear_for_attempt(
        &mut self,
        (name, limits): (&str, Limits),
        holding: &Holding,
        watch: &mut Watch,
        now: BootTime,
    ) -> (Option<Process>, Leaving) {
        self.order(Purpose::Attempt, (name, limits), holding, watch, now)
    }

    fn order(
        &mut self,
        purpose: Purpose,
        (name, limits): (&str, Limits),
        holding: &Holding,
        watch: &mut Watch,
        now: BootTime,
    ) -> (Option<Process>, Leaving) {
        self.zygote.want(watch, now);
        let Some(zygote) = self.zygote.ready() else {
            return (None, Leaving::default());
        };
        let ordered = Ordered::new(name, limits, holding)
            .and_then(|ordered| ordered.order(purpose, zygote, watch));
        match ordered {
            Ok(process) => (Some(process), Leaving::default()),
            Err(error @ (OrderError::Busy | OrderError::Prepare(_))) => {
                tracing::debug!(%error, "nobody is born for it");
                (None, Leaving::default())
            }
            Err(error @ OrderError::Zygote(_)) => {
                tracing::warn!(%error, "a zygote that cannot be told is replaced");
                (None, Leaving::alive(self.zygote.part(true, now)))
            }
        }
    }

    /// One that was ordered for an attempt did not come in time.
    pub(crate) fn distrust(&mut self, now: BootTime) -> Leaving {
        tracing::warn!(profile = %self.profile, "a zygote that bears nobody is replaced");
        Leaving::alive(self.zygote.part(true, now))
    }

    /// Whether one could be born at once.
    pub(crate) fn is_fertile(&mut self) -> bool {
        self.zygote.ready().is_some()
    }

    /// Whether somebody here has that serial.
    pub(crate) fn has(&self, serial: Serial) -> bool {
        let worker = self.coming.contains_key(&serial) || self.berthed.contains_key(&serial);
        worker || self.zygote.is(serial)
    }

    /// Something of somebody here is ready.
    pub(crate) fn turn(
        &mut self,
        serial: Serial,
        ready: Ready,
        watch: &Watch,
        now: BootTime,
    ) -> Leaving {
        if let Some(coming) = self.coming.remove(&serial) {
            match coming.turn(watch) {
                Came::NotYet(coming) => drop(self.coming.insert(serial, coming)),
                Came::Berthed(process) => {
                    self.berthed.insert(serial, Waiting::new(process));
                }
                Came::Not => return Leaving::stray(),
            }
            return Leaving::default();
        }
        if let Some(waiting) = self.berthed.get(&serial) {
            // It has nothing to say: a word, or the end of its socket, is the end of it.
            let stays = ready.memory && !waiting.process.ran_out_of_memory();
            if stays {
                return Leaving::default();
            }
            let pid = waiting.process.pid();
            tracing::debug!(pid, ?ready, "a worker leaves its berth");
            let waiting = self.berthed.remove(&serial);
            if let Some(module) = waiting.as_ref().and_then(|it| it.loaded.as_ref()) {
                // Perhaps of that module: nobody is to load it again and again.
                self.hot.forget(module);
            }
            let process = waiting.map(|it| it.process);
            return if ready.ended {
                Leaving::dead(process)
            } else {
                Leaving::alive(process)
            };
        }
        if ready.ended {
            tracing::warn!(profile = %self.profile, "a zygote died; the next comes when it is time");
            return Leaving::dead(self.zygote.part(true, now));
        }
        if self.zygote.listen(watch, now) {
            return Leaving::alive(self.zygote.part(true, now));
        }
        Leaving::default()
    }

    /// When it wants [`Berths::tick`].
    pub(crate) fn wake(&self) -> Option<BootTime> {
        let wanted = self.demand.is_any();
        let due = [
            self.demand.wake(),
            self.zygote.wake(wanted),
            self.hot.wake(),
        ];
        let coming = self.coming.values().map(|coming| coming.until);
        due.into_iter().flatten().chain(coming).min()
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: BootTime) -> Leaving {
        let mut leaving = Leaving::default();
        self.demand.tick(now);
        while self.berthed.len() > self.demand.wanted() {
            // The oldest goes.
            let oldest = self.berthed.pop_first();
            leaving.alive.extend(oldest.map(|(_, it)| it.process));
        }
        self.hot.tick(now);
        let hot = &self.hot;
        let is_cold = |it: &Waiting| it.loaded.as_ref().is_some_and(|module| !hot.is_hot(module));
        let cold = self.berthed.extract_if(.., |_, it| is_cold(it));
        leaving.alive.extend(cold.map(|(_, it)| it.process));
        if !self.demand.is_any() {
            leaving.alive.extend(self.zygote.part(false, now));
        }
        if self.zygote.is_late(now) {
            leaving.alive.extend(self.zygote.part(true, now));
        }
        let late = self.coming.extract_if(.., |_, coming| now >= coming.until);
        for (_, coming) in late {
            coming.process.give_up();
            leaving.stray = true;
        }
        leaving
    }

    /// Lets everybody go.
    pub(crate) fn stop(&mut self, now: BootTime) -> Leaving {
        self.demand.end();
        let coming = std::mem::take(&mut self.coming);
        let stray = !coming.is_empty();
        coming
            .into_values()
            .for_each(|coming| coming.process.give_up());
        let berthed = std::mem::take(&mut self.berthed);
        let zygote = self.zygote.part(false, now);
        let berthed = berthed.into_values().map(|it| it.process);
        Leaving {
            alive: berthed.chain(zygote).collect(),
            dead: None,
            stray,
        }
    }

    /// Everybody who is here.
    pub(crate) fn processes(&self) -> impl Iterator<Item = &Process> {
        let berthed = self.berthed.values().map(|it| &it.process);
        berthed.chain(self.zygote.process())
    }

    /// Whether nobody is here, nor on the way.
    pub(crate) fn is_empty(&self) -> bool {
        self.coming.is_empty() && self.processes().next().is_none()
    }
}
