//! One slot: a worker in its leaf cgroup, from the order to the outcome.
//!
//! ```text
//! start ─▶ Arming ── Running frame ──▶ Running ── timeout ──▶ Trapping
//!             │                           │                      │
//!             │ Unable frame, too long    │ Ended frame          │ Ended frame, or grace over
//!             ▼                           ▼                      ▼
//!           Dying ◀──────────────────────────────────────────────── kill, lease over, out of memory
//!                                         │ it ended by itself, and its worker may be shared
//!                                         ▼
//!                                      Parting ─▶ the outcome is drawn up, the worker is kept
//!
//! A run stays in Running when a task passes and another is next, and goes to Parting
//! when that was the last.
//!
//! The pidfd is readable, in whatever state: reaped, and the outcome is drawn up.
//! ```
//! How a worker comes to be there that is born for its attempt is in [`birth`].
//!
//! The worker is taken as hostile: the first reason that the keeper decides is
//! the outcome, and what the worker says counts only if it came before that.

mod birth;

use std::os::fd::OwnedFd;

use rustix::process::Signal;
use stint_api::id::AttemptId;
use stint_api::link::Grant;
use stint_api::outcome::Outcome;
use stint_api::quantity::Millicores;
use stint_api::time::{Span, Time};
use stint_cgroup::Leaf;

use super::clock::{BootTime, Clock};
use super::kept::Sharing;
use super::limits::chain;
use super::process::Process;
use super::protocol::{Running, Spooled, StartOrder};
use super::quiet::Quiet;
use super::start::run_of;
use super::turns::Turns;
use super::verdict;
use super::wire::Flow;
use crate::worker::protocol::{FromWorker, Said};

/// Longest time until a worker is up and has loaded its module. It takes milliseconds, also
/// at a hundredth of a core; a machine that swaps may need seconds.
const ARMING: Span = Span::from_secs(20);
/// How long after its deadline a guest may take to trap before its worker is
/// killed. Nobody needs its backtrace, but a guest that traps can still have its
/// counters told. One that computes does within microseconds; one that sits in a
/// host call would not in a hundred times as long.
const TRAPPING: Span = Span::from_millis(1);
/// A worker is one thread: one that may use so much seldom stands still when it ends.
const CPU_SELDOM_SHORT: Millicores = Millicores(1_000);
/// How long an attempt is young.
const YOUNG: Span = Span::from_millis(1);
/// Reads of a dead worker's socket: more than the kernel buffers.
const LAST_READS_MAX: usize = 64;

/// Where an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The worker has its assignment to read.
    Arming { until: BootTime },
    /// The guest runs.
    Running { until: BootTime },
    /// The guest is past its deadline and told to trap.
    Trapping { until: BootTime },
    /// The attempt ended, and its worker is good for the next.
    Parting,
    /// The worker is killed: it has nothing more to do, or nothing more to say.
    Dying,
}

/// What a poll found ready.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ready {
    /// The worker's socket can be read or written, or is closed.
    pub(crate) wire: bool,
    /// The worker has ended.
    pub(crate) ended: bool,
    /// The kernel may have killed for memory.
    pub(crate) memory: bool,
}

/// An attempt whose worker was not yet reaped.
#[derive(Debug)]
pub(crate) struct Slot {
    /// What it is called: its first attempt.
    name: AttemptId,
    attempt: AttemptId,
    /// Whose turn is next, where several have one.
    turns: Turns,
    grant: Grant,
    timeout: Span,
    quiet: Quiet,
    /// Public to the poll loop, which waits on its descriptors.
    pub(crate) process: Process,
    /// Its directories, held open beside the worker: to close the last descriptor of
    /// one unmounts it, which takes a while, and is done when nobody waits.
    pub(crate) dirs: Vec<OwnedFd>,
    comparing: Option<[u8; 32]>,
    /// The order, as long as another worker may be tried: nothing of it has run.
    again: Option<Box<StartOrder>>,
    /// With whom it may share its worker.
    sharing: Option<Sharing>,
    /// Whether its worker may still be made to stand still.
    is_throttled: bool,
    state: State,
    /// When its worker was told of it.
    told: BootTime,
    started: Option<BootTime>,
    /// What the keeper decided; the first decision stays.
    decided: Option<Outcome>,
    /// What the worker said before that.
    said: Option<Box<Said>>,
    /// What the worker said about itself.
    fault: Option<String>,
}

/// What came of a slot.
#[derive(Debug)]
pub(crate) enum Finished {
    /// The attempt ended.
    Ended(Box<Spooled>),
    /// It never began: its worker died while it only waited for it.
    Again(Box<StartOrder>),
}

impl Slot {
    /// An attempt whose worker was just told of it, and is to compare the artifact
    /// with `comparing` if that is given.
    pub(crate) fn new(
        order: StartOrder,
        process: Process,
        dirs: Vec<OwnedFd>,
        comparing: Option<[u8; 32]>,
        now: BootTime,
    ) -> Self {
        Self {
            name: order.attempt.clone(),
            turns: Turns::after_first(run_of(&order)),
            sharing: Sharing::of(&order),
            is_throttled: true,
            attempt: order.attempt,
            quiet: Quiet::of(&order.grant.plan),
            grant: order.grant,
            timeout: order.timeout,
            process,
            dirs,
            comparing,
            again: None,
            state: State::Arming {
                until: now.after(ARMING),
            },
            told: now,
            started: None,
            decided: None,
            said: None,
            fault: None,
        }
    }

    /// The same of a worker that waited: if it dies before it runs anything, of which
    /// only it can be the reason, another may be tried with `order`.
    pub(crate) fn on_trial(mut self, order: StartOrder) -> Self {
        self.again = Some(Box::new(order));
        self
    }

    /// What the worker has found to be the artifact's sha-256, once it runs.
    pub(crate) fn compared(&self) -> Option<&[u8; 32]> {
        self.comparing.as_ref().filter(|_| self.started.is_some())
    }

    /// Its worker cannot be told anything.
    pub(crate) fn give_up(&mut self) {
        self.die();
    }

    /// Which attempt runs.
    pub(crate) fn attempt(&self) -> &AttemptId {
        &self.attempt
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &AttemptId {
        &self.name
    }

    /// The attempt of a run that begins to write to its logs, once.
    pub(crate) fn take_speaking(&mut self) -> Option<AttemptId> {
        self.turns.take_speaking().then(|| self.attempt.clone())
    }

    /// What passed, when it is time to tell.
    pub(crate) fn take_passed(&mut self, clock: &Clock, now: BootTime) -> Option<Spooled> {
        let goes_on = matches!(self.state, State::Running { .. });
        let gathered = self.turns.take_gathered(goes_on, now)?;
        Some(gathered.spooled(&self.grant, clock, now))
    }

    /// What a node is told that asks what runs.
    pub(crate) fn running(&self, clock: &Clock) -> Running {
        Running {
            attempt: self.attempt.clone(),
            grant: self.grant.clone(),
            started_at: self.started_at(clock),
            speaks: self.turns.speaks(),
        }
    }

    /// When the worker was up.
    pub(crate) fn started_at(&self, clock: &Clock) -> Option<Time> {
        self.started.map(|started| clock.time_at(started))
    }

    /// The attempt ends with `why`, unless it ended already.
    pub(crate) fn kill(&mut self, why: Outcome) {
        if self.said.is_none() {
            self.decide(why);
        }
        self.die();
    }

    /// When it wants [`Slot::tick`].
    pub(crate) fn wake(&self) -> Option<BootTime> {
        self.due().into_iter().chain(self.turns.wake()).min()
    }

    /// When something is to be done about its worker.
    fn due(&self) -> Option<BootTime> {
        if self.is_unborn() {
            return self.birth_due();
        }
        match self.state {
            State::Running { until } => Some(self.quiet.until().map_or(until, |it| it.min(until))),
            State::Arming { until } | State::Trapping { until } => Some(until),
            State::Parting | State::Dying => None,
        }
    }

    /// Takes what is ready. Whether the worker came up just now.
    pub(crate) fn turn(&mut self, ready: Ready, now: BootTime) -> bool {
        let was_up = self.started.is_some();
        if ready.ended {
            for _ in 0..LAST_READS_MAX {
                if self.listen(now) != Flow::Came {
                    break;
                }
            }
        } else if ready.wire && self.listen(now) == Flow::Ended && self.said.is_none() {
            // It cannot be heard any more, so it has nothing more to do.
            self.die();
        }
        // Looked at in any case: an event that is not taken is reported for ever.
        if ready.memory && self.process.ran_out_of_memory() && self.said.is_none() {
            self.decide(Outcome::CgroupOom);
        }
        !was_up && self.started.is_some()
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: BootTime) {
        let is_due = |slot: &Self| slot.due().is_some_and(|until| now >= until);
        if is_due(self) && matches!(self.state, State::Running { .. }) {
            // It may have said already that another's turn came, or that its guest lives.
            self.listen(now);
        }
        if !is_due(self) {
            return;
        }
        if self.is_unborn() {
            return self.process.wire.close();
        }
        match self.state {
            State::Arming { .. } => self.decide(Outcome::StartFailed {
                step: format!("worker: not up within {ARMING}"),
            }),
            State::Running { until } => {
                let why = verdict::out_of_time(now < until);
                self.decided.get_or_insert(why);
                self.unthrottle();
                self.process.signal(Signal::USR1);
                self.state = State::Trapping {
                    until: now.after(TRAPPING),
                };
            }
            State::Trapping { .. } => self.die(),
            State::Parting | State::Dying => {}
        }
    }

    /// Whether it runs, and has run for a while: most that are short end in that time.
    pub(crate) fn is_calm(&self, now: BootTime) -> bool {
        let running = matches!(self.state, State::Running { .. });
        running && self.started.is_some_and(|since| now.since(since) >= YOUNG)
    }

    /// Whether the attempt ended and its worker is good for the next.
    pub(crate) fn is_parting(&self) -> bool {
        self.state == State::Parting
    }

    /// How long it ran. A short one is heard of only when it is over, and then its
    /// worker's word counts: as far as it was told of the attempt so long ago.
    fn wall(&self, now: BootTime) -> Span {
        let heard = self.started.map_or(Span::ZERO, |since| now.since(since));
        let said = self.said.as_ref().map_or(Span::ZERO, |said| said.wall);
        heard.max(said.min(now.since(self.told)))
    }

    /// Draws up the outcome of an attempt that is parting, unless its run is over and
    /// all passed, and lets go of its worker.
    pub(crate) fn part(
        self,
        clock: &Clock,
        now: BootTime,
    ) -> (Option<Spooled>, Process, Option<Sharing>) {
        if self.said.is_none() {
            return (None, self.process, self.sharing);
        }
        let started_at = self.started_at(clock);
        let wall = self.wall(now);
        let ending = verdict::of_parting(self.said, wall);
        let spooled = ending.spooled(self.attempt, self.grant, started_at, clock.time_at(now));
        (Some(spooled), self.process, self.sharing)
    }

    /// Reaps the worker, which has ended, and draws up the outcome. The leaf is
    /// empty, and to be removed when there is time for that.
    pub(crate) fn finish(self, clock: &Clock, now: BootTime) -> (Finished, Option<Leaf>) {
        if self.is_unborn() {
            return (self.finish_lost(clock, now), None);
        }
        let started_at = self.started_at(clock);
        let wall = self.wall(now);
        let words = verdict::Words {
            decided: self.decided,
            said: self.said,
            fault: self.fault,
        };
        let (ending, leaf) = match self.process.reap() {
            Ok((death, leaf)) => {
                if let Some(order) = self.again
                    && words.are_none()
                    && !death.out_of_memory()
                {
                    return (Finished::Again(order), leaf);
                }
                (verdict::of_attempt(words, &death, wall), leaf)
            }
            Err(error) => (verdict::Ending::unreaped(words, &error), None),
        };
        let spooled = ending.spooled(self.attempt, self.grant, started_at, clock.time_at(now));
        (Finished::Ended(Box::new(spooled)), leaf)
    }

    /// Reads once from the worker.
    fn listen(&mut self, now: BootTime) -> Flow {
        if let Err(error) = self.process.wire.flush() {
            tracing::debug!(attempt = %self.attempt, %error, "a worker does not take its plan");
        }
        let flow = self.process.wire.fill();
        loop {
            match self.process.wire.take() {
                Ok(Some(message)) => self.hear(message, now),
                Ok(None) => return flow,
                Err(error) => {
                    self.lied(&chain(&error));
                    return Flow::Idle;
                }
            }
        }
    }

    fn hear(&mut self, message: FromWorker, now: BootTime) {
        if self.said.is_some() || self.fault.is_some() || self.state == State::Parting {
            return self.lied("it spoke after its last word");
        }
        match (message, self.state) {
            (FromWorker::Berthed { .. }, _) => self.lied("it is no longer at its berth"),
            (FromWorker::Running, State::Arming { .. }) => {
                self.started = Some(now);
                self.quiet.heard(now);
                self.again = None;
                self.state = State::Running {
                    until: now.after(self.timeout),
                };
            }
            (FromWorker::Unable { outcome }, State::Arming { .. }) => {
                self.said = Some(Box::new(Said::unable(outcome)));
                self.die();
            }
            (FromWorker::Running | FromWorker::Unable { .. }, State::Dying) => {}
            (FromWorker::Running, _) => self.lied("it started twice"),
            (FromWorker::Unable { .. }, _) => self.lied("it ran and says that it cannot"),
            (FromWorker::Ended(_), State::Arming { .. }) => self.lied("it ended before it ran"),
            (FromWorker::Speaks, State::Running { .. }) => self.turns.speak(),
            (FromWorker::Lives, State::Running { .. }) => self.quiet.heard(now),
            (FromWorker::Passed { said, over }, State::Running { .. })
                if over || self.turns.are_left() =>
            {
                self.pass(said, over, now);
            }
            // What was decided before counts, and the worker is on its way out.
            (
                FromWorker::Speaks | FromWorker::Lives | FromWorker::Passed { .. },
                State::Trapping { .. } | State::Dying,
            ) => {}
            (FromWorker::Lives, _) => self.lied("its guest lives and does not run"),
            (FromWorker::Speaks | FromWorker::Passed { .. }, _) => {
                self.lied("it passed over a task that was not there");
            }
            (FromWorker::Ended(said), state) => {
                let whole = matches!(state, State::Running { .. }) && self.decided.is_none();
                let own_end = matches!(said.outcome, Outcome::Succeeded | Outcome::Exited { .. });
                self.said = Some(said);
                // After a trap, a limit or any doubt the next one gets another worker.
                if whole && own_end && self.sharing.is_some() {
                    self.state = State::Parting;
                } else {
                    self.die();
                }
            }
            (FromWorker::Violation { call }, _) => self.decide(Outcome::SandboxViolation {
                syscall: stint_jail::call_name(call),
            }),
            (FromWorker::Fault { message }, _) => {
                self.fault = Some(message);
                self.die();
            }
        }
    }

    /// A task of a run is over, and another's turn comes, if there is one.
    fn pass(&mut self, said: Box<Said>, over: bool, now: BootTime) {
        if said.outcome != Outcome::Succeeded || self.decided.is_some() {
            return self.lied("it passed over a task that did not succeed");
        }
        let wall = said.wall.min(now.since(self.told));
        let usage = verdict::of_parting(Some(said), wall).usage;
        let this = (&self.attempt, self.started);
        self.turns.gather(this, &usage, over, now);
        if over {
            self.state = State::Parting;
            return;
        }
        self.attempt.task += 1;
        (self.told, self.started) = (now, Some(now));
        self.quiet.heard(now);
        self.state = State::Running {
            until: now.after(self.timeout),
        };
    }

    /// A worker that breaks the protocol is no longer ours.
    fn lied(&mut self, how: &str) {
        tracing::warn!(attempt = %self.attempt, how, "a worker broke the protocol");
        self.process.wire.close();
        self.decide(Outcome::EngineFault {
            message: format!("the worker broke the protocol: {how}"),
        });
    }

    fn decide(&mut self, outcome: Outcome) {
        self.decided.get_or_insert(outcome);
        self.die();
    }

    /// Kills the worker; what else may be in the leaf is killed when it is reaped.
    fn die(&mut self) {
        if self.state != State::Dying {
            if self.said.is_none() || self.grant.plan.limits.cpu < CPU_SELDOM_SHORT {
                self.unthrottle();
            }
            self.process.signal(Signal::KILL);
            self.state = State::Dying;
        }
    }

    /// Lets the worker take what it is sent: it does not even die while it stands still, which
    /// one with a whole core does too: of a period, a thread that moves leaves some behind.
    fn unthrottle(&mut self) {
        if std::mem::take(&mut self.is_throttled)
            && let Some(leaf) = &self.process.leaf
            && let Err(error) = leaf.unthrottle()
        {
            let error = chain(&error);
            tracing::debug!(leaf = leaf.name(), error, "it may die late");
        }
    }
}

#[cfg(test)]
#[path = "slot_tests.rs"]
pub(crate) mod tests;
