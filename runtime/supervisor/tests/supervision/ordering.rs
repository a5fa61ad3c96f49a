//! Orders are intent: what is wanted is held, what is not is stopped, what is late is refused.

use stint_api::id::{ClusterId, Generation};
use stint_api::link::{Order, Orders, Verdict};
use stint_api::outcome::Outcome;

use crate::{Node, grant, held, id, publishing, tasks, told};

#[test]
fn a_grant_is_prepared_once_and_its_tasks_run_one_after_another() {
    let mut node = Node::new();
    let actions = node.order(Order::Run(grant(1, &[tasks(0, 2)])));
    assert_eq!(told(&actions), ["prepare g1"]);
    let actions = node
        .heart
        .prepared(node.now, &id("t0.g1.1").grant_id(), Ok(()));
    assert_eq!(told(&actions), ["start t0.g1.1"]);
    assert_eq!(told(&node.started("t0.g1.1")), [""; 0]);
    let actions = node.ended("t0.g1.1", Outcome::Succeeded);
    assert_eq!(told(&actions), ["start t1.g1.1"]);
    assert_eq!(held(&node), ["g1: 0-1"]);
    node.ended("t1.g1.1", Outcome::Succeeded);
    let (_, actions) = node.flush();
    let expected = ["discard t0.g1.1", "discard t1.g1.1", "release g1"];
    assert_eq!(told(&actions), expected);
    assert_eq!(held(&node), [""; 0]);
    assert!(node.heart.is_idle());
}

#[test]
fn an_order_that_comes_twice_changes_nothing() {
    let mut node = Node::new();
    node.run(grant(1, &[tasks(0, 1)]));
    assert_eq!(
        told(&node.order(Order::Run(grant(1, &[tasks(0, 1)])))),
        [""; 0]
    );
    node.ended("t0.g1.1", Outcome::Succeeded);
    assert_eq!(
        told(&node.order(Order::Run(grant(1, &[tasks(0, 1)])))),
        [""; 0]
    );
    node.flush();
    assert_eq!(
        told(&node.order(Order::Run(grant(1, &[tasks(0, 1)])))),
        [""; 0]
    );
    let late = Order::Full {
        grants: vec![grant(1, &[tasks(0, 1)])],
    };
    assert_eq!(told(&node.order(late)), [""; 0]);
}

#[test]
fn a_stopped_grant_is_killed_and_never_runs_again() {
    let mut node = Node::new();
    node.run(grant(1, &[tasks(0, 3)]));
    let stop = || Order::Stop {
        id: grant(1, &[]).id,
        why: Outcome::Cancelled,
    };
    let actions = node.order(stop());
    assert_eq!(told(&actions), ["kill t0.g1.1: cancelled", "release g1"]);
    assert_eq!(told(&node.order(stop())), [""; 0]);
    assert_eq!(held(&node), [""; 0]);
    node.ended("t0.g1.1", Outcome::Cancelled);
    let ends = node.ends();
    assert_eq!(ends[0].outcome, Outcome::Cancelled);
    assert_eq!(
        told(&node.order(Order::Run(grant(1, &[tasks(0, 3)])))),
        [""; 0]
    );
}

#[test]
fn a_full_list_stops_what_is_not_in_it_and_narrows_what_is() {
    let mut node = Node::new();
    node.run(grant(1, &[tasks(0, 4)]));
    node.run(grant(2, &[tasks(4, 1)]));
    let grants = vec![grant(1, &[tasks(2, 2)]), grant(3, &[tasks(5, 1)])];
    let actions = node.order(Order::Full { grants });
    let expected = [
        "kill t0.g1.1: node-lost",
        "kill t4.g2.1: node-lost",
        "release g2",
    ];
    let told_actions = told(&actions);
    assert_eq!(told_actions[..3], expected);
    assert_eq!(held(&node), ["g1: 2-3", "g3: 5"]);
    // Both slots are still taken by what dies; the next start waits for that.
    assert_eq!(told_actions[3..], ["prepare g3"]);
    assert_eq!(
        told(&node.ended("t0.g1.1", Outcome::NodeLost)),
        ["start t2.g1.1"]
    );
}

#[test]
fn a_task_that_comes_again_begins_when_the_attempt_that_was_stopped_is_dead() {
    let mut node = Node::new();
    node.run(grant(1, &[tasks(0, 1)]));
    node.started("t0.g1.1");
    let grants = vec![grant(2, &[tasks(0, 1)])];
    let actions = node.order(Order::Full { grants });
    assert!(told(&actions).contains(&"prepare g2".to_owned()));
    let prepared = node
        .heart
        .prepared(node.now, &id("t0.g2.1").grant_id(), Ok(()));
    assert_eq!(told(&prepared), [""; 0]);
    let actions = node.ended("t0.g1.1", Outcome::NodeLost);
    assert_eq!(told(&actions), ["start t0.g2.1"]);
}

#[test]
fn orders_of_another_generation_are_refused() {
    let mut node = Node::new();
    node.welcome(2);
    let old = Orders {
        generation: Generation(1),
        orders: vec![Order::Run(grant(1, &[tasks(0, 1)]))],
    };
    let error = node.heart.orders(node.now, old).unwrap_err();
    assert_eq!(error.theirs, Generation(1));
    assert_eq!(held(&node), [""; 0]);
}

#[test]
fn a_grant_beyond_the_capacity_is_given_back() {
    let mut node = Node::new();
    node.run(grant(1, &[tasks(0, 1)]));
    node.run(grant(2, &[tasks(1, 1)]));
    let actions = node.order(Order::Run(grant(3, &[tasks(2, 3)])));
    assert_eq!(told(&actions), [""; 0]);
    assert_eq!(held(&node).last().unwrap(), "g3: 2-4");
    let ends = node.ends();
    assert_eq!((ends.len(), ends[0].tasks), (1, tasks(2, 3)));
    assert_eq!(ends[0].verdict, Verdict::Returned);
    assert!(ends[0].outcome.to_string().contains("the node is full"));
    assert_eq!(held(&node).len(), 2);
}

#[test]
fn another_cluster_takes_nothing_over() {
    let mut node = Node::new();
    node.run(grant(1, &[tasks(0, 1)]));
    node.started("t0.g1.1");
    node.run(grant(2, &[tasks(1, 1)]));
    node.ended("t1.g2.1", Outcome::Succeeded);
    let actions = node.welcome_to(ClusterId(2), 1);
    let told_then = [
        "kill t0.g1.1: node-lost",
        "release g1",
        "release g2",
        "discard t1.g2.1",
    ];
    assert_eq!(told(&actions), told_then);
    assert_eq!(node.flush().0.len(), 0);
}

#[test]
fn another_clusters_attempts_are_gone_before_this_ones_begin() {
    let mut node = Node::new();
    node.run(grant(1, &[tasks(0, 1)]));
    node.started("t0.g1.1");
    node.welcome_to(ClusterId(2), 1);
    let full = || Order::Full {
        grants: vec![grant(1, &[tasks(0, 1)])],
    };
    assert_eq!(told(&node.order(full())), [""; 0]);
    let actions = node.ended("t0.g1.1", Outcome::NodeLost);
    assert_eq!(told(&actions), ["discard t0.g1.1", "prepare g1"]);
    assert_eq!(
        node.ends().len(),
        0,
        "it is none of this cluster's business"
    );
}

#[test]
fn a_draining_node_gives_everything_back_and_takes_nothing() {
    let mut node = Node::new();
    node.run(grant(1, &[tasks(0, 3)]));
    let actions = node.heart.drain(node.now);
    assert_eq!(told(&actions), ["kill t0.g1.1: drained"]);
    node.ended("t0.g1.1", Outcome::Drained);
    node.order(Order::Run(grant(2, &[tasks(3, 1)])));
    let ends = node.ends();
    assert!(ends.iter().all(|end| end.verdict == Verdict::Returned));
    let tasks: u32 = ends.iter().map(|end| end.tasks.count).sum();
    assert_eq!(tasks, 4);
    assert!(node.heart.is_idle());
}

#[test]
fn outputs_are_published_after_the_commit_is_granted_and_not_otherwise() {
    let mut node = Node::new();
    node.run(publishing(1, &[tasks(0, 1)]));
    let publish = || Order::Publish {
        attempt: id("t0.g1.1"),
    };
    assert_eq!(told(&node.order(publish())), [""; 0]);
    node.succeeded_with_files("t0.g1.1");
    assert_eq!(node.ends().len(), 0);
    assert_eq!(told(&node.order(publish())), ["publish t0.g1.1"]);
    assert_eq!(told(&node.order(publish())), [""; 0]);
    node.heart.published(node.now, &id("t0.g1.1"), Ok(()));
    assert_eq!(node.ends()[0].outcome, Outcome::Succeeded);
}

#[test]
fn a_grant_stopped_before_the_commit_never_publishes() {
    let mut node = Node::new();
    node.run(publishing(1, &[tasks(0, 1)]));
    node.succeeded_with_files("t0.g1.1");
    node.order(Order::Stop {
        id: grant(1, &[]).id,
        why: Outcome::Cancelled,
    });
    let attempt = id("t0.g1.1");
    assert_eq!(told(&node.order(Order::Publish { attempt })), [""; 0]);
    let (_, actions) = node.flush();
    assert_eq!(told(&actions), ["discard t0.g1.1"]);
}
