//! The turns of a run: which tasks are still to come in a slot, which have passed and
//! are gathered until the node is told of them together, and whether the one whose
//! turn it is has begun to write to the logs. Pure.

use stint_api::id::AttemptId;
use stint_api::link::Grant;
use stint_api::outcome::{Outcome, Usage};
use stint_api::quantity::Bytes;
use stint_api::tasks::TaskRange;
use stint_api::time::Span;

use super::clock::{BootTime, Clock};
use super::protocol::{Passed, Spooled};

/// How long tasks that passed are gathered before the node is told of them, while more are
/// to come: each telling is a round of reports, a commit and a few wake-ups on both sides, and a
/// person sees no difference. The end of a run is told at once.
const GATHERED_FOR: Span = Span::from_millis(20);

/// The turns of a slot.
#[derive(Debug)]
pub(super) struct Turns {
    /// Tasks after the one whose turn it is.
    left: u32,
    /// Those that passed, and the node was not told of.
    gathered: Option<Gathered>,
    /// Whether the attempt whose turn it is writes to its logs.
    speaks: Speaks,
}

/// Attempts that passed.
#[derive(Debug)]
pub(super) struct Gathered {
    first: AttemptId,
    passed: Passed,
    usage: Usage,
    started_at: Option<BootTime>,
    since: BootTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    No,
    /// It does, and the node was not told.
    Untold,
    Told,
}

impl Turns {
    /// Those of `run`, at its first.
    pub(super) fn after_first(run: TaskRange) -> Self {
        Self {
            left: run.count.saturating_sub(1),
            gathered: None,
            speaks: Speaks::No,
        }
    }

    /// Whether another's turn may come.
    pub(super) fn are_left(&self) -> bool {
        self.left > 0
    }

    /// An attempt passed, which had started then; another's turn comes, unless it is `over`.
    pub(super) fn gather(
        &mut self,
        (attempt, started_at): (&AttemptId, Option<BootTime>),
        usage: &Usage,
        over: bool,
        now: BootTime,
    ) {
        let gathered = self.gathered.get_or_insert_with(|| Gathered {
            first: attempt.clone(),
            passed: Passed {
                count: 0,
                over: false,
            },
            usage: Usage::default(),
            started_at,
            since: now,
        });
        gathered.usage.absorb(usage);
        gathered.passed.count += 1;
        gathered.passed.over = over;
        self.left = self.left.saturating_sub(1);
    }

    /// The attempt whose turn it is writes to its logs.
    pub(super) fn speak(&mut self) {
        if self.speaks == Speaks::No {
            self.speaks = Speaks::Untold;
        }
    }

    pub(super) fn speaks(&self) -> bool {
        self.speaks != Speaks::No
    }

    /// Whether it does and the node is to be told.
    pub(super) fn take_speaking(&mut self) -> bool {
        let is_new = self.speaks == Speaks::Untold;
        if is_new {
            self.speaks = Speaks::Told;
        }
        is_new
    }

    /// When the node is to be told what passed, while the run goes on.
    pub(super) fn wake(&self) -> Option<BootTime> {
        let gathered = self.gathered.as_ref();
        gathered.map(|gathered| gathered.since.after(GATHERED_FOR))
    }

    /// What the node is to be told now: something, if the run does not go on without a
    /// word, or it was gathered for long enough.
    pub(super) fn take_gathered(&mut self, goes_on: bool, now: BootTime) -> Option<Gathered> {
        let waits = goes_on && !self.speaks();
        let is_due = |it: &mut Gathered| !waits || now.since(it.since) >= GATHERED_FOR;
        self.gathered.take_if(is_due)
    }
}

impl Gathered {
    /// As it stands in the spool.
    pub(super) fn spooled(self, grant: &Grant, clock: &Clock, now: BootTime) -> Spooled {
        Spooled {
            attempt: self.first,
            grant: grant.clone(),
            outcome: Outcome::Succeeded,
            usage: self.usage,
            logs_dropped: Bytes(0),
            started_at: self.started_at.map(|at| clock.time_at(at)),
            ended_at: clock.time_at(now),
            passed: Some(self.passed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_together_and_at_once_when_the_run_does_not_go_on() {
        let attempt: AttemptId = "a.1.t3.g1.1".parse().unwrap();
        let now = BootTime::now();
        let mut turns = Turns::after_first(TaskRange { first: 3, count: 4 });
        let usage = Usage {
            wall: Span::from_millis(1),
            ..Usage::default()
        };
        for _ in 0..2 {
            turns.gather((&attempt, Some(now)), &usage, false, now);
        }
        assert!(turns.take_gathered(true, now).is_none());
        let wake = turns.wake().unwrap();
        let gathered = turns.take_gathered(true, wake).unwrap();
        assert_eq!(
            (gathered.passed.count, gathered.usage.wall),
            (2, Span::from_millis(2))
        );
        assert!(turns.are_left());
        turns.gather((&attempt, Some(now)), &usage, true, now);
        assert!(turns.take_gathered(false, now).unwrap().passed.over);
        // Before somebody's words are read it is known whose they are.
        turns.gather((&attempt, Some(now)), &usage, false, now);
        turns.speak();
        assert!(turns.take_gathered(true, now).is_some());
        assert!(turns.take_speaking() && !turns.take_speaking());
    }
}
