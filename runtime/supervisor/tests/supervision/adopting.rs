//! What the keeper kept over a restart of the node process, or lost by its own.

use stint_api::link::{Grant, Order, Report, Verdict};
use stint_api::outcome::Outcome;
use stint_api::time::Span;
use stint_supervisor::{AttemptEnd, Kept, KeptState};

use crate::{Node, end_with_files, grant, held, id, publishing, tasks, told};

fn running(tail: &str, grant: Grant) -> Kept {
    let started_at = Some(stint_api::time::Time::from_nanos(1));
    Kept {
        attempt: id(tail),
        grant,
        state: KeptState::Running { started_at },
    }
}

fn spooled(tail: &str, grant: Grant, outcome: Outcome) -> Kept {
    let end = AttemptEnd::without_run(outcome, stint_api::time::Time::from_nanos(1));
    Kept {
        attempt: id(tail),
        grant,
        state: KeptState::Ended(end),
    }
}

#[test]
fn a_running_attempt_is_adopted_and_not_run_again() {
    let mut node = Node::unwelcomed();
    let kept = vec![running("t3.g1.1", grant(1, &[tasks(3, 1)]))];
    assert_eq!(told(&node.heart.kept(node.now, kept)), [""; 0]);
    assert_eq!(held(&node), ["g1: 3"]);
    node.welcome(1);
    // The scheduler knows more tasks of that grant: they were never begun.
    let grants = vec![grant(1, &[tasks(3, 2)])];
    assert_eq!(told(&node.order(Order::Full { grants })), [""; 0]);
    let actions = node.ended("t3.g1.1", Outcome::Succeeded);
    assert_eq!(told(&actions), ["prepare g1"]);
    assert_eq!(held(&node), ["g1: 3-4"]);
}

#[test]
fn a_spooled_end_is_reported_and_tries_are_counted_on() {
    let mut node = Node::unwelcomed();
    let mut spent = grant(1, &[tasks(0, 1)]);
    spent.budget.retries = 0;
    let failed = || Outcome::Exited { code: 1 };
    node.heart.kept(
        node.now,
        vec![
            spooled("t0.g1.1", grant(1, &[tasks(0, 1)]), failed()),
            spooled("t0.g1.2", spent, failed()),
        ],
    );
    let ends = node.ends();
    assert!(matches!(ends[0].verdict, Verdict::Retry { .. }));
    assert_eq!((ends[1].try_number, ends[1].verdict), (2, Verdict::Final));
    assert!(node.heart.held().is_empty());
}

#[test]
fn a_spooled_success_with_files_asks_for_its_commit() {
    let mut node = Node::unwelcomed();
    let mut kept = spooled("t0.g1.1", publishing(1, &[tasks(0, 1)]), Outcome::Succeeded);
    kept.state = KeptState::Ended(end_with_files(node.now));
    node.heart.kept(node.now, vec![kept]);
    let (reports, _) = node.flush();
    assert!(matches!(&reports[..], [Report::Finished { .. }]));
    node.welcome(1);
    let attempt = id("t0.g1.1");
    let actions = node.order(Order::Publish { attempt });
    assert_eq!(told(&actions), ["publish t0.g1.1"]);
}

#[test]
fn a_retry_that_was_running_goes_on_as_that_try() {
    let mut node = Node::unwelcomed();
    let mut spent = grant(1, &[tasks(0, 1)]);
    spent.budget.retries = 0;
    // Said in any order.
    let kept = vec![
        running("t0.g1.2", spent),
        spooled("t0.g1.1", grant(1, &[tasks(0, 1)]), Outcome::CgroupOom),
    ];
    assert_eq!(told(&node.heart.kept(node.now, kept)), [""; 0]);
    let (reports, actions) = node.flush();
    assert_eq!(told(&actions), ["discard t0.g1.1"]);
    let history = |report: &Report| matches!(report, Report::Ended(end) if end.try_number == 1);
    assert!(reports.iter().any(history));
    node.ended("t0.g1.2", Outcome::CgroupOom);
    assert_eq!(node.ends()[0].verdict, Verdict::Final);
}

#[test]
fn a_lost_keeper_takes_its_attempts_along() {
    let mut node = Node::new();
    node.run(grant(1, &[tasks(0, 1)]));
    node.run(grant(2, &[tasks(1, 1)]));
    node.started("t0.g1.1");
    node.heart.keeper_lost(node.now);
    let ends = node.ends();
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0].outcome, Outcome::WorkerLost { signal: 9 });
    let actions = node.pass(Span::from_secs(3));
    assert_eq!(told(&actions), ["start t0.g1.2"]);
}

#[test]
fn an_end_in_the_spool_of_a_lost_keeper_is_the_truth() {
    let mut node = Node::new();
    node.run(grant(1, &[tasks(0, 1)]));
    node.started("t0.g1.1");
    let kept = spooled("t0.g1.1", grant(1, &[tasks(0, 1)]), Outcome::Succeeded);
    node.heart.kept(node.now, vec![kept.clone()]);
    assert_eq!(told(&node.heart.kept(node.now, vec![kept])), [""; 0]);
    let ends = node.ends();
    assert_eq!((ends.len(), &ends[0].outcome), (1, &Outcome::Succeeded));
}

#[test]
fn an_attempt_that_a_later_try_replaced_is_killed() {
    let mut node = Node::new();
    node.run(grant(1, &[tasks(0, 1)]));
    let lost = Outcome::StartFailed { step: "x".into() };
    node.ended("t0.g1.1", lost);
    let kept = vec![running("t0.g1.1", grant(1, &[tasks(0, 1)]))];
    let actions = node.heart.kept(node.now, kept);
    assert_eq!(told(&actions), ["kill t0.g1.1: node-lost"]);
}
