//! Whether, where and when a task runs again after an attempt of it ended.
//!
//! ```text
//!  blame of the outcome     budget left            budget spent
//!  nobody, request,
//!  job for good             Final                  Final
//!  job                      Retry, retries − 1     Final
//!  job, a rule lets it fail Final                  Final
//!  job, a rule wants more   Returned: a slot of    Final
//!  memory                   another size is needed
//!  cluster, this node can   Retry, losses − 1      Final (the scheduler counts the poison)
//!  cluster, it cannot       Returned: drained, node-lost, preempted
//! ```

use fastrand::Rng;
use stint_api::link::{Plan, RetryBudget, Verdict};
use stint_api::outcome::{Blame, DeadlineScope, Outcome};
use stint_api::retry::{Ruled, ruled};
use stint_api::time::Span;

/// First wait after a failure of the cluster's own: long enough for a machine
/// that is short of something to recover, too short for a person to notice.
const LOSS_BACKOFF: Span = Span::from_millis(50);
/// Longest wait after a failure of the cluster's own.
const LOSS_BACKOFF_MAX: Span = Span::from_secs(2);

/// Decides what follows `outcome` of try `try_number`, and takes its price off `left`.
pub(crate) fn decide(
    (outcome, wall): (&Outcome, Span),
    plan: &Plan,
    try_number: u32,
    left: &mut RetryBudget,
    rng: &mut Rng,
) -> Verdict {
    match outcome.blame() {
        Blame::Nobody | Blame::JobForGood | Blame::Request => Verdict::Final,
        Blame::Job => {
            if let Some(time) = &mut left.time {
                *time = *time - wall;
            }
            let Some(rest) = left.retries.checked_sub(1).filter(|_| has_time(left)) else {
                return Verdict::Final;
            };
            left.retries = rest;
            match ruled(&plan.retry, outcome, plan.limits.memory) {
                Ruled::Fails => Verdict::Final,
                Ruled::WithMemory(_) => Verdict::Returned,
                Ruled::Plain => {
                    let tries = since_health(try_number, wall, left.backoff_max);
                    let after = full_jitter(left.backoff, tries, left.backoff_max, rng);
                    Verdict::Retry { after }
                }
            }
        }
        Blame::Cluster => match outcome {
            Outcome::Drained | Outcome::NodeLost | Outcome::Preempted { .. } => Verdict::Returned,
            _ => match left.losses.checked_sub(1) {
                Some(rest) => {
                    left.losses = rest;
                    let tries = since_health(try_number, wall, LOSS_BACKOFF_MAX);
                    Verdict::Retry {
                        after: full_jitter(LOSS_BACKOFF, tries, LOSS_BACKOFF_MAX, rng),
                    }
                }
                None => Verdict::Final,
            },
        },
    }
}

/// The outcome of an attempt that had no more time than its task had left: what ran
/// out is the task's.
pub(crate) fn whose_deadline(outcome: Outcome, plan: &Plan, left: &RetryBudget) -> Outcome {
    let of_attempt = Outcome::Deadline {
        scope: DeadlineScope::Attempt,
    };
    let is_tasks = left.time.is_some_and(|time| time <= plan.timeout);
    match outcome {
        outcome if outcome == of_attempt && is_tasks => Outcome::Deadline {
            scope: DeadlineScope::Task,
        },
        outcome => outcome,
    }
}

fn has_time(left: &RetryBudget) -> bool {
    left.time.is_none_or(|time| time > Span::ZERO)
}

/// The tries that count for a wait. An attempt that ran for longer than anybody waits
/// was in health: what ended it is no crash loop, and the wait is a first one again.
fn since_health(try_number: u32, wall: Span, longest_wait: Span) -> u32 {
    if wall > longest_wait { 1 } else { try_number }
}

/// Somewhere between nothing and `first` doubled with each try, at most `max`:
/// the "full jitter" of the AWS architecture blog's "Exponential Backoff And
/// Jitter", which spreads a crowd of failures best.
fn full_jitter(first: Span, try_number: u32, max: Span, rng: &mut Rng) -> Span {
    let doublings = try_number.saturating_sub(1).min(63);
    let ceiling = first
        .saturating_mul(1 << doublings)
        .as_nanos()
        .min(max.as_nanos());
    Span::from_nanos(rng.u64(0..=ceiling))
}

#[cfg(test)]
mod tests {
    use super::*;
    use stint_api::id::Digest;
    use stint_api::quantity::Bytes;

    fn plan(rules: &str) -> Plan {
        Plan {
            module: Digest([0; 32]),
            kit: None,
            args: Vec::new(),
            env: Default::default(),
            task_count: 1,
            stall: None,
            isolation: stint_api::job::Isolation::Task,
            retry: serde_json::from_str(rules).unwrap(),
            limits: Default::default(),
            timeout: Span::from_secs(60),
            inputs: Vec::new(),
            output: None,
        }
    }

    fn judge(outcome: &Outcome, try_number: u32, left: &mut RetryBudget) -> Verdict {
        let mut rng = Rng::with_seed(1);
        decide(
            (outcome, Span::ZERO),
            &plan("[]"),
            try_number,
            left,
            &mut rng,
        )
    }

    fn budget(retries: u32, losses: u32) -> RetryBudget {
        RetryBudget {
            retries,
            losses,
            time: None,
            backoff: Span::from_millis(100),
            backoff_max: Span::from_secs(1),
        }
    }

    #[test]
    fn a_failure_of_the_job_spends_its_retries_only() {
        let mut left = budget(1, 2);
        let failure = Outcome::Exited { code: 1 };
        let first = judge(&failure, 1, &mut left);
        assert!(matches!(first, Verdict::Retry { .. }));
        assert_eq!((left.retries, left.losses), (0, 2));
        assert_eq!(judge(&failure, 2, &mut left), Verdict::Final);
    }

    #[test]
    fn a_lost_worker_spends_losses_only_and_is_final_when_they_are_spent() {
        let mut left = budget(5, 1);
        let lost = Outcome::WorkerLost { signal: 9 };
        let first = judge(&lost, 1, &mut left);
        assert!(matches!(first, Verdict::Retry { .. }));
        assert_eq!((left.retries, left.losses), (5, 0));
        assert_eq!(judge(&lost, 2, &mut left), Verdict::Final);
    }

    #[test]
    fn what_this_node_cannot_help_is_given_back_and_what_nobody_can_is_final() {
        let mut left = budget(5, 5);
        for outcome in [Outcome::Drained, Outcome::NodeLost] {
            assert_eq!(
                judge(&outcome, 1, &mut left),
                Verdict::Returned,
                "{outcome}"
            );
        }
        let rejected = Outcome::ModuleRejected { what: "x".into() };
        for outcome in [Outcome::Succeeded, Outcome::Cancelled, rejected] {
            assert_eq!(judge(&outcome, 1, &mut left), Verdict::Final, "{outcome}");
        }
        assert_eq!((left.retries, left.losses), (5, 5));
    }

    #[test]
    fn the_wait_lies_below_a_ceiling_that_doubles_up_to_the_longest() {
        let mut rng = Rng::with_seed(7);
        let longest = |try_number, rng: &mut Rng| {
            (0..2_000)
                .map(|_| full_jitter(Span::from_millis(100), try_number, Span::from_secs(1), rng))
                .max()
                .unwrap()
        };
        for (try_number, ceiling_ms) in [(1, 100), (2, 200), (3, 400), (5, 1_000), (90, 1_000)] {
            let most = longest(try_number, &mut rng);
            let ceiling = Span::from_millis(ceiling_ms);
            assert!(most <= ceiling && most > ceiling.div(10).saturating_mul(9));
        }
    }

    #[test]
    fn a_crash_loop_waits_longer_and_longer_and_what_was_in_health_does_not() {
        let mut rng = Rng::with_seed(7);
        let mut longest = |outcome: &Outcome, wall| {
            let waits = (0..2_000).map(|_| {
                let end = (outcome, wall);
                match decide(end, &plan("[]"), 20, &mut budget(1, 1), &mut rng) {
                    Verdict::Retry { after } => after,
                    other => panic!("{other:?}"),
                }
            });
            waits.max().unwrap()
        };
        let (failed, lost) = (
            Outcome::Exited { code: 1 },
            Outcome::WorkerLost { signal: 9 },
        );
        let quick = Span::from_millis(5);
        assert!(longest(&failed, quick) > Span::from_millis(900));
        assert!(longest(&failed, Span::from_secs(2)) <= Span::from_millis(100));
        assert!(longest(&lost, quick) > Span::from_millis(1_800));
        assert!(longest(&lost, Span::from_secs(3)) <= LOSS_BACKOFF);
    }

    #[test]
    fn a_crash_loop_ends_when_its_retries_are_spent() {
        let mut left = budget(3, 2);
        let ends = [
            Outcome::Exited { code: 1 },
            Outcome::Stalled,
            Outcome::WorkerLost { signal: 9 },
            Outcome::Exited { code: 2 },
            Outcome::WorkerLost { signal: 9 },
        ];
        for (outcome, try_number) in ends.iter().zip(1..) {
            let verdict = judge(outcome, try_number, &mut left);
            assert!(matches!(verdict, Verdict::Retry { .. }), "{outcome}");
        }
        assert_eq!((left.retries, left.losses), (0, 0));
        assert_eq!(judge(&Outcome::Stalled, 6, &mut left), Verdict::Final);
        let lost = Outcome::WorkerLost { signal: 9 };
        assert_eq!(judge(&lost, 6, &mut left), Verdict::Final);
    }

    #[test]
    fn rules_let_a_task_fail_at_once_or_ask_for_a_larger_slot() {
        let mut rng = Rng::with_seed(1);
        let mut plan = plan(
            r#"[{"on": "exit:42", "do": "fail"},
                {"on": "cgroup-oom", "memory_factor": 2, "up_to": "128Mi"}]"#,
        );
        plan.limits.memory = Bytes::mebi(64);
        let mut judge = |outcome: &Outcome, plan: &Plan, retries| {
            let end = (outcome, Span::ZERO);
            decide(end, plan, 1, &mut budget(retries, 0), &mut rng)
        };
        let (fatal, other) = (Outcome::Exited { code: 42 }, Outcome::Exited { code: 1 });
        assert_eq!(judge(&fatal, &plan, 5), Verdict::Final);
        assert!(matches!(judge(&other, &plan, 5), Verdict::Retry { .. }));
        assert_eq!(judge(&Outcome::CgroupOom, &plan, 1), Verdict::Returned);
        assert_eq!(judge(&Outcome::CgroupOom, &plan, 0), Verdict::Final);
        plan.limits.memory = Bytes::mebi(128);
        assert_eq!(judge(&Outcome::CgroupOom, &plan, 5), Verdict::Final);
    }

    #[test]
    fn a_task_is_not_tried_again_when_its_time_is_over() {
        let mut rng = Rng::with_seed(1);
        let mut left = budget(5, 0);
        left.time = Some(Span::from_secs(5));
        let failure = Outcome::Exited { code: 1 };
        let mut after = |seconds, left: &mut RetryBudget| {
            let end = (&failure, Span::from_secs(seconds));
            decide(end, &plan("[]"), 1, left, &mut rng)
        };
        assert!(matches!(after(3, &mut left), Verdict::Retry { .. }));
        assert_eq!(left.time, Some(Span::from_secs(2)));
        let deadline = |scope| Outcome::Deadline { scope };
        let of_task = whose_deadline(deadline(DeadlineScope::Attempt), &plan("[]"), &left);
        assert_eq!(of_task, deadline(DeadlineScope::Task));
        assert_eq!(after(2, &mut left), Verdict::Final);
    }
}
