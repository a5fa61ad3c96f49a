//! A slot whose worker is being born for it. It has been told of its attempt already:
//! what it will read waits in its socket. Its first word is who it is; until then
//! nothing of the attempt has run, and nobody could be killed.
//!
//! ```text
//! ordered ── Berthed frame ──▶ born, and goes on as any other (or is killed, if the
//!    │                         attempt was given up meanwhile)
//!    │ its socket is closed, too long, or another word
//!    ▼
//!   lost ─▶ another worker is started as a program, unless something was decided
//! ```

use stint_api::time::Span;
use stint_sandbox::Profile;

use super::{BootTime, Finished, Outcome, Signal, Slot, State, chain, verdict};
use crate::keeper::clock::Clock;
use crate::keeper::watch::Watch;
use crate::worker::protocol::FromWorker;

/// Longest from the order until it has spoken. A millisecond is usual, and a machine
/// on which hundreds are born at once takes a second; a worker that is started as a program is not worth
/// waiting for longer.
const BORN_WITHIN: Span = Span::from_secs(4);

impl Slot {
    /// Whether its worker has not spoken yet.
    pub(crate) fn is_unborn(&self) -> bool {
        self.process.is_unborn()
    }

    /// Whether its worker will never be there.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_unborn() && !self.process.wire.is_open()
    }

    /// Whether it took so long that something is wrong with whoever was to bear it: of
    /// which profile.
    pub(crate) fn is_overdue(&self, now: BootTime) -> Option<Profile> {
        let order = self.again.as_ref()?;
        (now >= self.told.after(BORN_WITHIN)).then_some(order.plan.profile)
    }

    /// When it is given up, if it is not born.
    pub(super) fn birth_due(&self) -> Option<BootTime> {
        (self.is_unborn() && !self.is_lost()).then(|| self.told.after(BORN_WITHIN))
    }

    /// Takes the first word of its worker, if it has come.
    pub(crate) fn meet(&mut self, watch: &Watch) {
        if let Err(error) = self.process.wire.flush() {
            tracing::debug!(attempt = %self.attempt, %error, "a worker does not take its plan");
        }
        self.process.wire.fill();
        match self.process.wire.take() {
            Ok(None) => {}
            Ok(Some(FromWorker::Berthed { pid })) => self.born(pid, watch),
            Ok(Some(FromWorker::Fault { message })) => {
                self.fault = Some(message);
                self.process.wire.close();
            }
            Ok(Some(FromWorker::Violation { call })) => {
                self.decide(Outcome::SandboxViolation {
                    syscall: stint_jail::call_name(call),
                });
                self.process.wire.close();
            }
            Ok(Some(_)) => self.lied("it spoke before it was born"),
            Err(error) => self.lied(&chain(&error)),
        }
    }

    /// Waits for what its worker says next.
    pub(crate) fn hear_on(&mut self, watch: &Watch) {
        if let Err(error) = watch.listen_to(&mut self.process) {
            self.kill(Outcome::EngineFault {
                message: format!("the worker cannot be heard: {error}"),
            });
        }
    }

    fn born(&mut self, pid: u32, watch: &Watch) {
        if let Err(error) = self.process.bear(pid) {
            tracing::warn!(attempt = %self.attempt, error = chain(&error), "not born");
            self.process.wire.close();
            return;
        }
        if let Err(error) = watch.keep(&self.process) {
            self.decide(Outcome::StartFailed {
                step: format!("keeper: watch the worker: {error}"),
            });
        }
        if self.state == State::Dying {
            self.process.signal(Signal::KILL);
        }
    }

    /// Draws up the outcome of an attempt whose worker is lost.
    pub(super) fn finish_lost(self, clock: &Clock, now: BootTime) -> Finished {
        self.process.give_up();
        let words = verdict::Words {
            decided: self.decided,
            said: None,
            fault: self.fault,
        };
        match self.again {
            Some(order) if words.are_none() => Finished::Again(order),
            _ => {
                let ending = verdict::Ending::of_unborn(words);
                let now = clock.time_at(now);
                let spooled = ending.spooled(self.attempt, self.grant, None, now);
                Finished::Ended(Box::new(spooled))
            }
        }
    }
}
