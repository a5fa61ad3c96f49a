//! A node acts while its lease runs, on what the newest full orders say is its own.

use stint_api::link::{Order, Report, Verdict};
use stint_api::outcome::Outcome;
use stint_api::time::Span;

use crate::{Node, grant, held, id, publishing, tasks, told};

/// The lease of these tests.
const LEASE: Span = Span::from_secs(3_600);

fn nothing() -> Order {
    Order::Full { grants: Vec::new() }
}

/// A node that was granted the commit of its only attempt.
fn node_that_publishes() -> Node {
    let mut node = Node::new();
    node.run(publishing(1, &[tasks(0, 1)]));
    node.succeeded_with_files("t0.g1.1");
    node.flush();
    let attempt = id("t0.g1.1");
    let actions = node.order(Order::Publish { attempt });
    assert_eq!(told(&actions), ["publish t0.g1.1"]);
    node
}

fn may_publish(node: &mut Node) -> Result<(), Vec<String>> {
    let asked = node.heart.may_publish(node.now, &id("t0.g1.1"));
    asked.map_err(|actions| told(&actions))
}

fn asks_for_commit(node: &mut Node) -> bool {
    let reports = node.flush().0;
    let asks = |report: &Report| matches!(report, Report::Finished { .. });
    reports.iter().any(asks)
}

#[test]
fn nothing_starts_without_a_lease_and_everything_stops_when_it_is_over() {
    let mut node = Node::unwelcomed();
    assert_eq!(node.heart.next_wake(), None);
    node.welcome(1);
    node.order(nothing());
    node.run(grant(1, &[tasks(0, 2)]));
    let end = node.heart.next_wake().unwrap();
    assert_eq!(end.since(node.now), LEASE);
    assert_eq!(told(&node.pass(LEASE)), ["kill t0.g1.1: node-lost"]);
    assert_eq!(told(&node.ended("t0.g1.1", Outcome::NodeLost)), [""; 0]);
    assert_eq!(node.ends()[0].verdict, Verdict::Returned);
    assert_eq!(node.heart.next_wake(), None);
    assert_eq!(held(&node), ["g1: 1"]);
}

#[test]
fn nothing_begins_in_a_new_generation_before_its_full_orders() {
    let mut node = Node::new();
    node.run(grant(1, &[tasks(0, 2)]));
    node.run(grant(2, &[tasks(2, 1)]));
    node.pass(LEASE);
    node.ended("t0.g1.1", Outcome::NodeLost);
    node.ended("t2.g2.1", Outcome::NodeLost);
    // Welcomed, but the work may have been given away meanwhile.
    assert_eq!(told(&node.welcome(2)), [""; 0]);
    let grants = vec![grant(1, &[tasks(1, 1)])];
    let actions = node.order_of(2, Order::Full { grants });
    assert_eq!(told(&actions), ["release g2", "start t1.g1.1"]);
}

#[test]
fn a_wait_that_is_over_does_not_wake_a_node_that_may_not_act_on_it() {
    let mut node = Node::new();
    node.run(grant(1, &[tasks(0, 1)]));
    node.ended("t0.g1.1", Outcome::Exited { code: 1 });
    node.welcome(2);
    let wake = node.heart.next_wake().unwrap();
    assert_eq!(wake.since(node.now), LEASE);
}

#[test]
fn outputs_may_be_put_in_place_while_the_lease_runs_under_which_the_commit_was_granted() {
    let mut node = node_that_publishes();
    assert_eq!(may_publish(&mut node), Ok(()));
    node.pass(LEASE);
    assert_eq!(may_publish(&mut node), Err(vec![]));
    assert!(asks_for_commit(&mut node));
    node.heart.renewed(node.now, node.now + LEASE);
    assert_eq!(may_publish(&mut node), Err(vec![]));
    let attempt = id("t0.g1.1");
    node.order(Order::Publish { attempt });
    assert_eq!(may_publish(&mut node), Ok(()));
}

#[test]
fn a_node_that_notices_late_that_its_lease_is_over_does_not_publish_either() {
    let mut node = node_that_publishes();
    node.now = node.now + LEASE;
    assert_eq!(may_publish(&mut node), Err(vec![]));
    assert!(asks_for_commit(&mut node));
}

#[test]
fn a_commit_does_not_outlive_its_generation() {
    let mut node = node_that_publishes();
    node.welcome(2);
    assert_eq!(may_publish(&mut node), Err(vec![]));
    assert!(asks_for_commit(&mut node));
}

#[test]
fn what_was_stopped_while_it_was_published_is_discarded() {
    let mut node = node_that_publishes();
    node.order(Order::Stop {
        id: grant(1, &[]).id,
        why: Outcome::Cancelled,
    });
    let discard = vec!["discard t0.g1.1".to_owned()];
    assert_eq!(may_publish(&mut node), Err(discard));
}

#[test]
fn a_commit_that_comes_when_the_lease_is_over_is_asked_for_again() {
    let mut node = Node::new();
    node.run(publishing(1, &[tasks(0, 1)]));
    node.succeeded_with_files("t0.g1.1");
    node.pass(LEASE);
    node.flush();
    let attempt = id("t0.g1.1");
    let actions = node.order(Order::Publish { attempt });
    assert_eq!(told(&actions), [""; 0]);
    assert!(asks_for_commit(&mut node));
}
