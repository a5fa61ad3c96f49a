//! A run of tasks: one after another in the same worker, each with a store, a memory
//! and a host of its own, and with the files of the one before as long as that left
//! them as they were. The keeper hears of each before the next begins, so that it
//! knows at any time whose turn it is.

use std::time::{Duration, Instant};

use stint_api::outcome::Outcome;
use stint_api::time::Span;
use stint_sandbox::{Attempt, Berth, Given, Guest, Loaded, Ran};

use super::assignment::{cpu, said};
use super::protocol::{FromWorker, SPEECH};
use crate::TASK_INDEX;
use crate::child::{self, ChildError};

/// How long after its start a run begins another task. What is given back, cancelled or
/// looked at by people waits no longer than this and one task; to begin anew
/// costs a hundredth of it.
pub(crate) const RUN_FOR: Duration = Duration::from_millis(100);

/// What a worker's turn is about, beside the attempt that it begins with.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) loaded: &'a Loaded,
    pub(super) guest: Guest,
    pub(super) given: Given,
    /// How many tasks follow.
    pub(super) then: u32,
}

/// The keeper is to hear that the guest writes.
pub(super) fn speaks() {
    // If it cannot hear, it has no use for the logs either.
    drop(child::say(SPEECH, &FromWorker::Speaks));
}

/// The keeper is to hear that the guest lives.
pub(super) fn lives() {
    // If it cannot hear, there is nobody who would call it stalled.
    drop(child::say(SPEECH, &FromWorker::Lives));
}

impl Turn<'_> {
    /// Runs `attempt` and those that follow it; the last word about them. CPU time is
    /// counted from `before`.
    pub(super) fn run(
        mut self,
        berth: &Berth<'_>,
        attempt: Attempt<'_>,
        mut before: Span,
    ) -> Result<FromWorker, ChildError> {
        let is_run = self.then > 0;
        let began = Instant::now();
        let mut attempt = attempt;
        loop {
            let since = Instant::now();
            let ran = attempt.run();
            let now = cpu();
            let said = Box::new(said(ran, now - before, since.elapsed().into()));
            before = now;
            let passes = is_run && said.outcome == Outcome::Succeeded;
            if !passes || !self.given.is_untouched(&self.guest).unwrap_or(false) {
                return Ok(FromWorker::Ended(said));
            }
            let over = self.then == 0 || began.elapsed() >= RUN_FOR || !self.advance();
            let passed = FromWorker::Passed { said, over };
            if over {
                return Ok(passed);
            }
            child::say(SPEECH, &passed)?;
            match berth.attempt_with(self.loaded, &self.guest, &self.given) {
                Ok(next) => attempt = next,
                Err(outcome) => {
                    let ended = self::said(Ran::unknown(outcome), cpu() - before, Span::ZERO);
                    return Ok(FromWorker::Ended(Box::new(ended)));
                }
            }
        }
    }

    /// Turns to the next task; false if this one has no index.
    fn advance(&mut self) -> bool {
        let mut env = self.guest.env.iter_mut();
        let index = env.find(|(name, _)| name == TASK_INDEX);
        let Some((_, value)) = index else {
            return false;
        };
        let next = value
            .parse()
            .ok()
            .and_then(|index: u32| index.checked_add(1));
        let Some(next) = next else {
            return false;
        };
        *value = next.to_string();
        self.then -= 1;
        true
    }
}
