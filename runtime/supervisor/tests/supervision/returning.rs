//! The scheduler wants a grant back: what is not begun goes at once, what runs ends first.

use stint_api::link::{Order, Report, Verdict};
use stint_api::outcome::Outcome;
use stint_api::time::Span;

use crate::{Node, grant, held, id, publishing, tasks, told};

fn give_back(kill: Option<Outcome>) -> Order {
    let id = grant(1, &[]).id;
    Order::GiveBack { id, kill }
}

/// `1-3 of g1`, of each report that gives back.
fn given_back(reports: &[Report]) -> Vec<String> {
    let tell = |report: &Report| match report {
        Report::GaveBack { id, tasks } => {
            let tasks: Vec<String> = tasks.iter().map(ToString::to_string).collect();
            Some(format!("{} of g{}", tasks.join(","), id.grant.0))
        }
        _ => None,
    };
    reports.iter().filter_map(tell).collect()
}

#[test]
fn what_is_not_begun_goes_at_once_and_what_runs_may_end() {
    let mut node = Node::new();
    node.run(grant(1, &[tasks(0, 4)]));
    for _ in 0..2 {
        assert_eq!(told(&node.order(give_back(None))), [""; 0]);
    }
    // Until the scheduler has heard, the node holds all of them.
    assert_eq!(held(&node), ["g1: 0-3"]);
    let (reports, _) = node.flush();
    assert_eq!(given_back(&reports), ["1-3 of g1"]);
    assert_eq!(held(&node), ["g1: 0"]);
    assert_eq!(told(&node.ended("t0.g1.1", Outcome::Succeeded)), [""; 0]);
    let (_, actions) = node.flush();
    assert_eq!(told(&actions), ["discard t0.g1.1", "release g1"]);
}

#[test]
fn what_fails_meanwhile_is_not_tried_again_here() {
    let mut node = Node::new();
    node.run(grant(1, &[tasks(0, 1)]));
    node.order(give_back(None));
    node.ended("t0.g1.1", Outcome::Exited { code: 1 });
    let ends = node.ends();
    assert_eq!(ends[0].verdict, Verdict::Returned);
    assert_eq!(held(&node), [""; 0]);
}

#[test]
fn a_task_that_backs_off_goes_with_the_tries_that_it_made() {
    let mut node = Node::new();
    node.run(grant(1, &[tasks(0, 1)]));
    node.ended("t0.g1.1", Outcome::Exited { code: 1 });
    node.flush();
    node.order(give_back(None));
    let (reports, actions) = node.flush();
    assert_eq!(given_back(&reports), ["0 of g1"]);
    assert_eq!(told(&actions), ["discard t0.g1.1", "release g1"]);
    assert_eq!(told(&node.pass(Span::from_secs(60))), [""; 0]);
}

#[test]
fn what_runs_is_killed_when_the_time_is_over() {
    let mut node = Node::new();
    node.run(grant(1, &[tasks(0, 1)]));
    node.order(give_back(None));
    let actions = node.order(give_back(Some(Outcome::Drained)));
    assert_eq!(told(&actions), ["kill t0.g1.1: drained"]);
    node.ended("t0.g1.1", Outcome::Drained);
    let ends = node.ends();
    assert_eq!(ends[0].verdict, Verdict::Returned);
    assert_eq!(ends[0].outcome, Outcome::Drained);
    assert_eq!(held(&node), [""; 0]);
}

#[test]
fn what_waits_for_its_commit_may_have_it_until_the_time_is_over() {
    let mut node = Node::new();
    node.run(publishing(1, &[tasks(0, 1)]));
    node.succeeded_with_files("t0.g1.1");
    node.order(give_back(None));
    let attempt = id("t0.g1.1");
    let publish = || Order::Publish {
        attempt: attempt.clone(),
    };
    let (reports, _) = node.flush();
    assert!(given_back(&reports).is_empty());
    assert_eq!(told(&node.order(publish())), ["publish t0.g1.1"]);

    let mut node = Node::new();
    node.run(publishing(1, &[tasks(0, 1)]));
    node.succeeded_with_files("t0.g1.1");
    node.order(give_back(Some(Outcome::Drained)));
    assert_eq!(node.ends()[0].verdict, Verdict::Returned);
    assert_eq!(told(&node.order(publish())), [""; 0]);
}

#[test]
fn a_process_that_starts_anew_is_told_again_before_it_begins_anything() {
    let mut node = Node::new();
    let orders = stint_api::link::Orders {
        generation: stint_api::id::Generation(1),
        orders: vec![
            Order::Full {
                grants: vec![grant(1, &[tasks(0, 2)])],
            },
            give_back(None),
        ],
    };
    let actions = node.heart.orders(node.now, orders).unwrap();
    assert_eq!(told(&actions), [""; 0]);
    assert_eq!(given_back(&node.flush().0), ["0-1 of g1"]);
    assert_eq!(held(&node), [""; 0]);
}
