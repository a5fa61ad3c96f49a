//! Whether, where and when a task runs again after an attempt of it ended.
//!
//! ```text
//!  blame of the outcome     budget left            budget spent
//!  nobody, request,
//!  job for good             Final                  Final
//!  job                      Retry, retries − 1     Final
//!  cluster, this node can   Retry, losses − 1      Final (the scheduler counts the poison)
//!  cluster, it cannot       Returned: drained, node-lost, preempted
//! ```

use fastrand::Rng;
use stint_api::link::{RetryBudget, Verdict};
use stint_api::outcome::{Blame, Outcome};
use stint_api::time::Span;

/// First wait after a failure of the cluster's own: long enough for a machine
/// that is short of something to recover, too short for a person to notice.
const LOSS_BACKOFF: Span = Span::from_millis(50);
/// Longest wait after a failure of the cluster's own.
const LOSS_BACKOFF_MAX: Span = Span::from_secs(2);

/// Decides what follows `outcome` of try `try_number`, and takes its price off `left`.
pub(crate) fn decide(
    outcome: &Outcome,
    try_number: u32,
    left: &mut RetryBudget,
    rng: &mut Rng,
) -> Verdict {
    match outcome.blame() {
        Blame::Nobody | Blame::JobForGood | Blame::Request => Verdict::Final,
        Blame::Job => match left.retries.checked_sub(1) {
            Some(rest) => {
                left.retries = rest;
                Verdict::Retry {
                    after: full_jitter(left.backoff, try_number, left.backoff_max, rng),
                }
            }
            None => Verdict::Final,
        },
        Blame::Cluster => match outcome {
            Outcome::Drained | Outcome::NodeLost | Outcome::Preempted { .. } => Verdict::Returned,
            _ => match left.losses.checked_sub(1) {
                Some(rest) => {
                    left.losses = rest;
                    Verdict::Retry {
                        after: full_jitter(LOSS_BACKOFF, try_number, LOSS_BACKOFF_MAX, rng),
                    }
                }
                None => Verdict::Final,
            },
        },
    }
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

    fn budget(retries: u32, losses: u32) -> RetryBudget {
        RetryBudget {
            retries,
            losses,
            backoff: Span::from_millis(100),
            backoff_max: Span::from_secs(1),
        }
    }

    #[test]
    fn a_failure_of_the_job_spends_its_retries_only() {
        let mut rng = Rng::with_seed(1);
        let mut left = budget(1, 2);
        let failure = Outcome::Exited { code: 1 };
        let first = decide(&failure, 1, &mut left, &mut rng);
        assert!(matches!(first, Verdict::Retry { .. }));
        assert_eq!((left.retries, left.losses), (0, 2));
        assert_eq!(decide(&failure, 2, &mut left, &mut rng), Verdict::Final);
    }

    #[test]
    fn a_lost_worker_spends_losses_only_and_is_final_when_they_are_spent() {
        let mut rng = Rng::with_seed(1);
        let mut left = budget(5, 1);
        let lost = Outcome::WorkerLost { signal: 9 };
        let first = decide(&lost, 1, &mut left, &mut rng);
        assert!(matches!(first, Verdict::Retry { .. }));
        assert_eq!((left.retries, left.losses), (5, 0));
        assert_eq!(decide(&lost, 2, &mut left, &mut rng), Verdict::Final);
    }

    #[test]
    fn what_this_node_cannot_help_is_given_back_and_what_nobody_can_is_final() {
        let mut rng = Rng::with_seed(1);
        let mut left = budget(5, 5);
        for outcome in [Outcome::Drained, Outcome::NodeLost] {
            assert_eq!(
                decide(&outcome, 1, &mut left, &mut rng),
                Verdict::Returned,
                "{outcome}"
            );
        }
        let rejected = Outcome::ModuleRejected { what: "x".into() };
        for outcome in [Outcome::Succeeded, Outcome::Cancelled, rejected] {
            assert_eq!(
                decide(&outcome, 1, &mut left, &mut rng),
                Verdict::Final,
                "{outcome}"
            );
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
}
