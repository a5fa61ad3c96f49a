//! Failed tasks run again within the budget of their grant, without asking.

use stint_api::link::Verdict;
use stint_api::outcome::Outcome;
use stint_api::time::Span;

use crate::{Node, grant, id, publishing, tasks, told};

/// Longer than any wait of the test's budget.
const LONG: Span = Span::from_secs(10);

fn failed() -> Outcome {
    Outcome::Exited { code: 1 }
}

#[test]
fn while_a_task_waits_for_its_retry_another_runs() {
    let mut node = Node::new();
    node.run(grant(1, &[tasks(0, 2)]));
    assert_eq!(told(&node.ended("t0.g1.1", failed())), ["start t1.g1.1"]);
    assert_eq!(told(&node.pass(LONG)), [""; 0]);
    let actions = node.ended("t1.g1.1", Outcome::Succeeded);
    assert_eq!(told(&actions), ["start t0.g1.2"]);
    node.ended("t0.g1.2", failed());
    let verdicts: Vec<_> = node.ends().into_iter().map(|end| end.verdict).collect();
    assert!(matches!(verdicts[0], Verdict::Retry { .. }));
    assert_eq!(verdicts[1..], [Verdict::Final, Verdict::Final]);
}

#[test]
fn a_retry_starts_when_its_wait_is_over_and_says_when_that_is() {
    let mut node = Node::new();
    node.run(grant(1, &[tasks(0, 1)]));
    node.ended("t0.g1.1", failed());
    let Verdict::Retry { after } = node.ends()[0].verdict else {
        panic!("not a retry");
    };
    let wake = node.heart.next_wake().unwrap();
    assert_eq!(wake.since(node.now), after);
    assert_eq!(told(&node.pass(after)), ["start t0.g1.2"]);
}

#[test]
fn the_start_carries_what_is_left_of_the_budget() {
    let mut node = Node::new();
    node.run(grant(1, &[tasks(0, 2)]));
    node.ended("t0.g1.1", failed());
    node.ended("t1.g1.1", Outcome::Succeeded);
    let actions = node.pass(LONG);
    let stint_supervisor::Action::Start { grant, .. } = &actions[0] else {
        panic!("not a start");
    };
    assert_eq!((grant.budget.retries, grant.budget.losses), (0, 1));
    assert_eq!(grant.tasks, [tasks(0, 1)]);
}

#[test]
fn a_preparation_that_cannot_succeed_fails_every_task_as_one_run() {
    let mut node = Node::new();
    node.order(stint_api::link::Order::Run(grant(1, &[tasks(0, 9)])));
    let rejected = Outcome::CompileFailed {
        message: "no".into(),
    };
    let grant_id = grant(1, &[]).id;
    node.heart
        .prepared(node.now, &grant_id, Err(rejected.clone()));
    let ends = node.ends();
    assert_eq!(ends.len(), 1);
    assert_eq!((ends[0].tasks, &ends[0].outcome), (tasks(0, 9), &rejected));
    assert_eq!(ends[0].verdict, Verdict::Final);
    assert!(node.heart.held().is_empty());
}

#[test]
fn a_preparation_that_may_succeed_later_is_tried_again_within_the_budget() {
    let mut node = Node::new();
    let grant_id = grant(1, &[]).id;
    let missing = || Outcome::InputUnavailable {
        which: "flights".into(),
    };
    node.order(stint_api::link::Order::Run(grant(1, &[tasks(0, 2)])));
    let actions = node.heart.prepared(node.now, &grant_id, Err(missing()));
    assert_eq!(told(&actions), [""; 0]);
    assert_eq!(told(&node.pass(LONG)), ["prepare g1"]);
    node.heart.prepared(node.now, &grant_id, Err(missing()));
    let ends = node.ends();
    assert_eq!((ends.len(), ends[1].tasks), (2, tasks(0, 2)));
    assert_eq!((ends[1].try_number, ends[1].verdict), (2, Verdict::Final));
}

#[test]
fn refused_outputs_spend_a_retry_of_the_job() {
    let mut node = Node::new();
    node.run(publishing(1, &[tasks(0, 1)]));
    node.succeeded_with_files("t0.g1.1");
    let attempt = id("t0.g1.1");
    node.order(stint_api::link::Order::Publish {
        attempt: attempt.clone(),
    });
    let refused = Outcome::OutputRefused {
        which: "disk full".into(),
    };
    node.heart.published(node.now, &attempt, Err(refused));
    assert!(matches!(node.ends()[0].verdict, Verdict::Retry { .. }));
    assert_eq!(told(&node.pass(LONG)), ["start t0.g1.2"]);
}

#[test]
fn the_spool_of_a_try_is_kept_until_the_next_one_has_started() {
    let mut node = Node::new();
    node.run(grant(1, &[tasks(0, 1)]));
    node.ended("t0.g1.1", failed());
    assert_eq!(told(&node.flush().1), [""; 0]);
    assert_eq!(told(&node.pass(LONG)), ["start t0.g1.2"]);
    assert_eq!(told(&node.started("t0.g1.2")), ["discard t0.g1.1"]);
}
