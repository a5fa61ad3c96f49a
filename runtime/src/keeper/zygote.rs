//! A zygote as its keeper has it: started when workers are wanted, asked for them
//! when it is ready, started again when it died, each time later than before.
//!
//! ```text
//! Absent ── wanted ──▶ Starting ── Ready frame ──▶ Ready ── nobody wants any ──▶ Absent
//!    ▲                    │                          │
//!    └────── too long, died, or broke the protocol ──┘   not before the backoff is over
//! ```

use stint_api::time::Span;
use stint_sandbox::Profile;

use super::clock::BootTime;
use super::jails::Who;
use super::limits::chain;
use super::process::Process;
use super::watch::{Serial, Watch};
use super::wire::{Flow, Wire};
use crate::ZYGOTE_VERB;
use crate::worker::berth;
use crate::zygote::protocol::{FromZygote, SPEECH};

/// Longest until one is ready: it makes an engine and compiles a module of a page.
const READY_WITHIN: Span = Span::from_secs(20);
/// First wait before one that died is started again; doubles.
const BACKOFF: Span = Span::from_millis(50);
/// Longest such wait: a machine on which it always dies is not to be kept busy with it.
const BACKOFF_MAX: Span = Span::from_secs(30);
/// One that was ready for so long before it died is not taken to die at once again.
const HEALTHY_AFTER: Span = Span::from_secs(10);

/// Where a zygote is.
#[derive(Debug)]
enum State {
    /// There is none.
    Absent,
    /// It makes its engine.
    Starting { process: Process, until: BootTime },
    /// It gives birth.
    Ready { process: Process, since: BootTime },
}

/// The zygote of one engine profile.
#[derive(Debug)]
pub(crate) struct Zygote {
    profile: Profile,
    state: State,
    /// Wait after the next death.
    backoff: Span,
    /// Not started before.
    not_before: Option<BootTime>,
}

impl Zygote {
    /// None yet.
    pub(crate) fn new(profile: Profile) -> Self {
        Self {
            profile,
            state: State::Absent,
            backoff: BACKOFF,
            not_before: None,
        }
    }

    /// Starts it, if there is none and it is time for one.
    pub(crate) fn want(&mut self, watch: &mut Watch, now: BootTime) {
        let early = self.not_before.is_some_and(|until| now < until);
        if !matches!(self.state, State::Absent) || early {
            return;
        }
        let verb = [ZYGOTE_VERB, berth::argument(self.profile)];
        let started = Process::spawn(&verb, SPEECH, None, Who::default())
            .map_err(|error| chain(&error))
            .and_then(|mut process| match watch.adopt(&mut process) {
                Ok(()) => Ok(process),
                Err(error) => {
                    process.kill_and_reap();
                    Err(error.to_string())
                }
            });
        match started {
            Ok(process) => {
                let until = now.after(READY_WITHIN);
                self.state = State::Starting { process, until };
            }
            Err(error) => {
                tracing::warn!(error, "no zygote; workers start by themselves");
                self.wait(now);
            }
        }
    }

    /// Its socket, if it gives birth.
    pub(crate) fn ready(&mut self) -> Option<&mut Wire> {
        match &mut self.state {
            State::Ready { process, .. } => Some(&mut process.wire),
            State::Absent | State::Starting { .. } => None,
        }
    }

    /// Whether there is one with that serial.
    pub(crate) fn is(&self, serial: Serial) -> bool {
        self.process()
            .is_some_and(|process| process.watched.serial == serial)
    }

    /// Its process.
    pub(crate) fn process(&self) -> Option<&Process> {
        match &self.state {
            State::Absent => None,
            State::Starting { process, .. } | State::Ready { process, .. } => Some(process),
        }
    }

    /// Takes what it says. Whether it is no longer of use, and has to be ended.
    #[must_use]
    pub(crate) fn listen(&mut self, watch: &Watch, now: BootTime) -> bool {
        let (State::Starting { process, .. } | State::Ready { process, .. }) = &mut self.state
        else {
            return false;
        };
        let sent = process.wire.flush();
        let flow = process.wire.fill();
        let heard = process.wire.take::<FromZygote>();
        let watched = watch.listen_to(process);
        match (std::mem::replace(&mut self.state, State::Absent), heard) {
            (State::Starting { process, .. }, Ok(Some(FromZygote::Ready))) => {
                tracing::debug!(profile = %self.profile, "a zygote is ready");
                self.state = State::Ready {
                    process,
                    since: now,
                };
            }
            (state, Ok(None)) => {
                self.state = state;
                return flow == Flow::Ended || sent.is_err() || watched.is_err();
            }
            (state, heard) => {
                tracing::warn!(profile = %self.profile, ?heard, "a zygote failed");
                self.state = state;
                return true;
            }
        }
        sent.is_err() || watched.is_err()
    }

    /// Lets go of it, to be killed and reaped; after a failure the next one waits.
    pub(crate) fn part(&mut self, failed: bool, now: BootTime) -> Option<Process> {
        match std::mem::replace(&mut self.state, State::Absent) {
            State::Absent => None,
            State::Starting { process, .. } => {
                if failed {
                    self.wait(now);
                }
                Some(process)
            }
            State::Ready { process, since } => {
                if now.since(since) >= HEALTHY_AFTER {
                    self.backoff = BACKOFF;
                }
                if failed {
                    self.wait(now);
                }
                Some(process)
            }
        }
    }

    fn wait(&mut self, now: BootTime) {
        self.not_before = Some(now.after(self.backoff));
        self.backoff = self.backoff.saturating_mul(2).min(BACKOFF_MAX);
    }

    /// Does what is due; whether it is too long on its way.
    #[must_use]
    pub(crate) fn is_late(&mut self, now: BootTime) -> bool {
        self.not_before = self.not_before.filter(|until| now < *until);
        matches!(self.state, State::Starting { until, .. } if now >= until)
    }

    /// When it wants to be looked at; `wanted` if there is to be one.
    pub(crate) fn wake(&self, wanted: bool) -> Option<BootTime> {
        match self.state {
            State::Absent => self.not_before.filter(|_| wanted),
            State::Starting { until, .. } => Some(until),
            State::Ready { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_fails_again_and_again_is_started_ever_later() {
        let mut zygote = Zygote::new(Profile::Plain);
        let now = BootTime::now();
        assert_eq!(zygote.wake(true), None);
        let mut waits = Vec::new();
        for _ in 0..20 {
            zygote.wait(now);
            waits.push(zygote.wake(true).unwrap().since(now));
            assert_eq!(zygote.wake(false), None, "nobody waits for it");
        }
        assert_eq!(waits[..3], [50, 100, 200].map(Span::from_millis));
        assert_eq!(waits[19], BACKOFF_MAX);
    }
}
