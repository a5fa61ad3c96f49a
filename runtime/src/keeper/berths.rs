//! The workers of one engine profile that wait, and the zygote that bears them.
//!
//! ```text
//! wanted ── Birth, to the zygote ──▶ coming ── Berthed frame ──▶ berthed ── taken ──▶ a slot's
//!                                      │ too long, closed           │ too many, died, spoke
//!                                      ▼                            ▼
//!                                     gone                         gone
//! ```

use std::collections::BTreeMap;

use stint_cgroup::Limits;
use stint_sandbox::Profile;

use super::berthed::{Came, Coming, Ordered};
use super::clock::BootTime;
use super::demand::Demand;
use super::limits::Holding;
use super::process::Process;
use super::slot::Ready;
use super::watch::{Serial, Watch};
use super::zygote::Zygote;

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
    /// Nobody yet.
    pub(crate) fn new(profile: Profile) -> Self {
        Self {
            profile,
            zygote: Zygote::new(profile),
            demand: Demand::default(),
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
        self.zygote.want(watch, now);
        let Some(zygote) = self.zygote.ready() else {
            return Leaving::default();
        };
        let ordered = Ordered::new(name, limits, holding, now)
            .and_then(|ordered| ordered.order(zygote, watch));
        match ordered {
            Ok(coming) => {
                self.coming.insert(coming.watched.serial, coming);
                Leaving::default()
            }
            Err(error) => {
                tracing::warn!(error, "a worker could not be ordered");
                Leaving::alive(self.zygote.part(true, now))
            }
        }
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
            tracing::debug!(pid = process.pid(), ?ready, "a worker leaves its berth");
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
        let wanted = self.demand.wanted() > 0;
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
        if self.demand.wanted() == 0 {
            leaving.alive.extend(self.zygote.part(false, now));
        }
        if self.zygote.is_late(now) {
            leaving.alive.extend(self.zygote.part(true, now));
        }
        let late = self.coming.extract_if(.., |_, coming| now >= coming.until);
        for (_, coming) in late {
            coming.give_up();
            leaving.stray = true;
        }
        leaving
    }

    /// Lets everybody go.
    pub(crate) fn stop(&mut self, now: BootTime) -> Leaving {
        self.demand = Demand::default();
        let coming = std::mem::take(&mut self.coming);
        let stray = !coming.is_empty();
        coming.into_values().for_each(Coming::give_up);
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
