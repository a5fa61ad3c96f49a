//! Workers that wait for work: of both engine profiles, for any; and those that have
//! run, for more of the same. Whatever fails here costs
//! the next start a millisecond or two, since a worker can always start by itself.

use std::collections::BTreeMap;
use std::fs;

use rustix::process::Signal;
use stint_cgroup::Limits;
use stint_sandbox::Profile;

use super::artifacts::Artifacts;
use super::berthed::Waiting;
use super::berths::{Berths, Leaving, Primed};
use super::clock::BootTime;
use super::hot::Module;
use super::kept::{Kept, Sharing};
use super::limits::{Holding, of_berth};
use super::process::Process;
use super::slot::Ready;
use super::strays::Strays;
use super::watch::{Serial, Watch};

/// With less memory than this left on the machine nobody waits: it is for jobs.
const MEMORY_MIN_KIB: u64 = 512 << 10;

/// What a worker needs of a core, at least, to be warm in a few milliseconds.
const CPU_MIN_MILLICORES: u32 = 200;

/// Everybody who waits, and who was let go.
#[derive(Debug)]
pub(crate) struct Pool {
    plain: Berths,
    exceptions: Berths,
    kept: Kept,
    /// Killed, and not yet reaped.
    dying: BTreeMap<Serial, Process>,
    /// What leaves are made with: those of the last start, because limits that the
    /// next slot has too need not be written.
    limits: Limits,
    /// Numbers the leaves.
    born: u64,
    strays: Strays,
    /// Whether somebody may be missing.
    due: bool,
}

impl Pool {
    /// Nobody yet, and of each engine profile never more than `berths` who wait.
    pub(crate) fn new(berths: u16) -> Self {
        let berths = usize::from(berths);
        Self {
            plain: Berths::new(Profile::Plain, berths),
            exceptions: Berths::new(Profile::Exceptions, berths),
            kept: Kept::default(),
            dying: BTreeMap::new(),
            limits: of_berth(),
            born: 0,
            strays: Strays::default(),
            due: false,
        }
    }

    /// Starts are to be expected; most modules are plain.
    pub(crate) fn expect(&mut self, now: BootTime) {
        self.plain.expect(now);
        self.due = true;
    }

    /// A worker that waits, if there is one. The next is born later, by [`Pool::refill`].
    pub(crate) fn take(&mut self, profile: Profile, module: &Module) -> Option<Waiting> {
        self.of(profile).take(module)
    }

    /// A worker that a zygote bears for an attempt whose leaf is to have this name and
    /// these limits; none if that cannot be, and one is to start by itself.
    pub(crate) fn bear(
        &mut self,
        profile: Profile,
        leaf: (&str, Limits),
        holding: &Holding,
        watch: &mut Watch,
        now: BootTime,
    ) -> Option<Process> {
        let berths = self.of(profile);
        let (born, leaving) = berths.bear_for_attempt(leaf, holding, watch, now);
        self.leave(leaving, watch, now);
        born
    }

    /// A worker that was to be born for an attempt never spoke, and may yet turn up.
    pub(crate) fn miss(&mut self, now: BootTime) {
        self.strays.look_for(now);
    }

    /// It did not for so long that something is wrong with its zygote.
    pub(crate) fn distrust(&mut self, profile: Profile, watch: &Watch, now: BootTime) {
        let leaving = self.of(profile).distrust(now);
        self.leave(leaving, watch, now);
    }

    /// A worker that has run another attempt of the same, if there is one.
    pub(crate) fn take_kept(&mut self, sharing: &Sharing) -> Option<Process> {
        self.kept.take(sharing)
    }

    /// Keeps a worker that has run for the next attempt that may share it.
    pub(crate) fn keep(
        &mut self,
        process: Process,
        sharing: Sharing,
        watch: &Watch,
        now: BootTime,
    ) {
        if let Some(oldest) = self.kept.keep(process, sharing, now) {
            self.discard(oldest, watch);
        }
    }

    /// Tells of a start of `module`, by whatever worker, that is held to `limits`.
    pub(crate) fn started(
        &mut self,
        profile: Profile,
        module: &Module,
        limits: Limits,
        now: BootTime,
    ) {
        // Warming up on less would take longer than the next start can wait.
        self.limits = match limits.cpu_millicores {
            ..CPU_MIN_MILLICORES => of_berth(),
            CPU_MIN_MILLICORES.. => limits,
        };
        self.of(profile).started(module, now);
        self.due = true;
    }

    /// Whether [`Pool::refill`] may have something to do.
    pub(crate) fn is_due(&self) -> bool {
        self.due
    }

    /// Lets one worker be born, if one is wanted; or lets one that waits load a module
    /// that is in demand. To be called when nothing else is
    /// to be done: nobody waits for it.
    pub(crate) fn refill(
        &mut self,
        holding: &Holding,
        artifacts: &Artifacts,
        watch: &mut Watch,
        now: BootTime,
    ) {
        self.due = false;
        for berths in [&mut self.plain, &mut self.exceptions] {
            berths.want_zygote(watch, now);
        }
        let short = [&mut self.plain, &mut self.exceptions]
            .into_iter()
            .find(|berths| berths.is_short());
        if let Some(berths) = short
            && !memory_is_short()
        {
            self.born += 1;
            let name = format!("worker-{}", self.born);
            let leaving = berths.bear(&name, self.limits, holding, watch, now);
            // Else it is due again when the zygote is ready.
            self.due = berths.is_fertile();
            self.leave(leaving, watch, now);
        }
        if !self.due {
            self.prime(artifacts, watch);
        }
    }

    fn prime(&mut self, artifacts: &Artifacts, watch: &Watch) {
        for profile in [Profile::Plain, Profile::Exceptions] {
            match self.of(profile).prime(artifacts, watch) {
                Primed::NotNeeded => {}
                Primed::Told => self.due = true,
                Primed::Failed(process) => self.discard(*process, watch),
            }
        }
    }

    /// Something of a child that is here is ready; false if it is not one of these.
    pub(crate) fn turn(
        &mut self,
        serial: Serial,
        ready: Ready,
        watch: &Watch,
        now: BootTime,
    ) -> bool {
        if let Some(process) = self.dying.remove(&serial) {
            if ready.ended {
                process.bury();
            } else {
                // Taken, so that it is not reported for ever.
                process.ran_out_of_memory();
                self.dying.insert(serial, process);
            }
            return true;
        }
        if self.kept.has(serial) {
            // It died, or it spoke although it was not asked.
            if let Some(process) = self.kept.remove(serial) {
                match ready.ended {
                    true => process.bury(),
                    false => self.discard(process, watch),
                }
            }
            return true;
        }
        let berths = [&mut self.plain, &mut self.exceptions];
        let Some(berths) = berths.into_iter().find(|berths| berths.has(serial)) else {
            return false;
        };
        let leaving = berths.turn(serial, ready, watch, now);
        self.leave(leaving, watch, now);
        self.due = true;
        true
    }

    /// A worker that was taken, or has run, and is of no more use.
    pub(crate) fn discard(&mut self, mut process: Process, watch: &Watch) {
        process.wire.close();
        if let Err(error) = watch.listen_to(&mut process) {
            tracing::debug!(%error, "a child that is let go was not heard any more");
        }
        process.signal(Signal::KILL);
        self.dying.insert(process.watched.serial, process);
    }

    fn leave(&mut self, leaving: Leaving, watch: &Watch, now: BootTime) {
        if leaving.stray {
            self.strays.look_for(now);
        }
        if let Some(process) = leaving.dead {
            process.bury();
        }
        for process in leaving.alive {
            self.discard(process, watch);
        }
    }

    /// When it wants [`Pool::tick`].
    pub(crate) fn wake(&self) -> Option<BootTime> {
        let due = [
            self.plain.wake(),
            self.exceptions.wake(),
            self.strays.wake(),
            self.kept.wake(),
        ];
        due.into_iter().flatten().min()
    }

    /// Does what is due; `others` are the children of this keeper that are not here.
    pub(crate) fn tick(&mut self, others: impl Iterator<Item = u32>, watch: &Watch, now: BootTime) {
        if self.wake().is_none_or(|at| now < at) {
            return;
        }
        self.due = true;
        for leaving in [self.plain.tick(now), self.exceptions.tick(now)] {
            self.leave(leaving, watch, now);
        }
        for process in self.kept.expired(now) {
            self.discard(process, watch);
        }
        let waiting = self.plain.processes().chain(self.exceptions.processes());
        let rest = self.kept.processes().chain(self.dying.values());
        let own = waiting.chain(rest).filter_map(Process::pid);
        self.strays.tick(own.chain(others), now);
    }

    /// Lets everybody go; nobody is born any more.
    pub(crate) fn stop(&mut self, watch: &Watch, now: BootTime) {
        for leaving in [self.plain.stop(now), self.exceptions.stop(now)] {
            self.leave(leaving, watch, now);
        }
        for process in self.kept.drain() {
            self.discard(process, watch);
        }
        self.due = false;
    }

    /// Whether nobody is left, dead or alive.
    pub(crate) fn is_empty(&self) -> bool {
        let berths = self.plain.is_empty() && self.exceptions.is_empty();
        berths && self.dying.is_empty() && self.kept.processes().next().is_none()
    }

    fn of(&mut self, profile: Profile) -> &mut Berths {
        match profile {
            Profile::Plain => &mut self.plain,
            Profile::Exceptions => &mut self.exceptions,
        }
    }
}

/// Unknown counts as enough.
fn memory_is_short() -> bool {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = text.lines().find_map(|line| {
        let (kib, _) = line.strip_prefix("MemAvailable:")?.trim().split_once(' ')?;
        kib.parse::<u64>().ok()
    });
    available.is_some_and(|kib| kib < MEMORY_MIN_KIB)
}
