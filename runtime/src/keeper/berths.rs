//! The workers of one engine profile that wait, and the zygote that bears them.
//!
//! ```text
//! wanted ── Birth, to the zygote ──▶ coming ── Berthed frame ──▶ berthed ── taken ──▶ a slot's
//!                                      │ too long, closed           │ too many, died, spoke
//!                                      ▼                            ▼
//!                                     gone                         gone
//! ```
//!
//! When nobody is berthed the zygote bears one for the attempt, which is the slot's
//! from its order on.

use std::collections::BTreeMap;

use stint_cgroup::Limits;
use stint_sandbox::Profile;

use super::berthed::{Came, Coming, OrderError, Ordered};
use super::clock::BootTime;
use super::demand::Demand;
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
    berthed: BTreeMap<Serial, Process>,
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
        }
    }

    /// Starts are to be expected.
    pub(crate) fn expect(&mut self, now: BootTime) {
        self.demand.expect(now);
    }

    /// Tells of a start, by whatever worker.
    pub(crate) fn started(&mut self, now: BootTime) {
        self.demand.started(self.berthed.len(), now);
    }

    /// A worker that waits: the youngest, whose pages are the warmest.
    pub(crate) fn take(&mut self) -> Option<Process> {
        self.berthed.pop_last().map(|(_, process)| process)
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
                Came::Berthed(process) => drop(self.berthed.insert(serial, process)),
                Came::Not => return Leaving::stray(),
            }
            return Leaving::default();
        }
        if let Some(process) = self.berthed.get(&serial) {
            // It has nothing to say: a word, or the end of its socket, is the end of it.
            let stays = ready.memory && !process.ran_out_of_memory();
            if stays {
                return Leaving::default();
            }
            let pid = process.pid();
            tracing::debug!(pid, ?ready, "a worker leaves its berth");
            let process = self.berthed.remove(&serial);
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
        let due = [self.demand.wake(), self.zygote.wake(wanted)];
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
            leaving.alive.extend(oldest.map(|(_, process)| process));
        }
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
        Leaving {
            alive: berthed.into_values().chain(zygote).collect(),
            dead: None,
            stray,
        }
    }

    /// Everybody who is here.
    pub(crate) fn processes(&self) -> impl Iterator<Item = &Process> {
        self.berthed.values().chain(self.zygote.process())
    }

    /// Whether nobody is here, nor on the way.
    pub(crate) fn is_empty(&self) -> bool {
        self.coming.is_empty() && self.processes().next().is_none()
    }
}
