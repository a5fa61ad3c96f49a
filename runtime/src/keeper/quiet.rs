//! How long a guest has been quiet: its worker says that it lives, a few times in the
//! time after which it counts as stalled, and is silent when it does not.

use stint_api::link::Plan;
use stint_api::time::Span;

use super::clock::BootTime;

/// How often a worker says so in that time.
const TIMES: u64 = 8;

/// Of one slot.
#[derive(Debug)]
pub(crate) struct Quiet {
    stall: Option<Span>,
    until: Option<BootTime>,
}

impl Quiet {
    /// Of a slot that runs attempts of `plan`.
    pub(crate) fn of(plan: &Plan) -> Self {
        Self {
            stall: plan.stall,
            until: None,
        }
    }

    /// How often the worker is to say that its guest lives.
    pub(crate) fn pulse(plan: &Plan) -> Option<Span> {
        plan.stall.map(|stall| stall.div(TIMES))
    }

    /// The guest lives. It may have called its host just before it was told of next,
    /// so that time is added: nobody is stalled who was quiet for less.
    pub(crate) fn heard(&mut self, now: BootTime) {
        let until = |stall: Span| now.after(stall).after(stall.div(TIMES));
        self.until = self.stall.map(until);
    }

    /// When it counts as stalled, if it stays quiet.
    pub(crate) fn until(&self) -> Option<BootTime> {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use stint_api::id::AttemptId;

    use super::super::slot::tests::grant;
    use super::*;

    #[test]
    fn a_guest_is_stalled_when_it_was_quiet_for_all_of_the_time() {
        let attempt: AttemptId = "team.7.t3.g2.2".parse().unwrap();
        let mut plan = grant(&attempt).plan;
        let now = BootTime::now();
        let mut quiet = Quiet::of(&plan);
        quiet.heard(now);
        assert_eq!(quiet.until(), None);
        assert_eq!(Quiet::pulse(&plan), None);
        plan.stall = Some(Span::from_secs(8));
        assert_eq!(Quiet::pulse(&plan), Some(Span::from_secs(1)));
        quiet = Quiet::of(&plan);
        assert_eq!(quiet.until(), None, "it does not run yet");
        quiet.heard(now);
        assert_eq!(quiet.until(), Some(now.after(Span::from_secs(9))));
    }
}
