//! Runs: tasks that a worker goes on to by itself.

use stint_api::job::Isolation;
use stint_api::link::{Grant, Order, Report};
use stint_api::outcome::{Outcome, Usage};
use stint_api::time::Span;
use stint_supervisor::{Action, Kept, KeptState, Run};

use super::*;

/// Grant 1 of tasks 0 to 5, which may share a worker.
fn packed() -> Grant {
    let mut grant = grant(1, &[tasks(0, 6)]);
    grant.plan.isolation = Isolation::Job;
    grant
}

fn run(first: &str, count: u32, over: bool) -> Run {
    let usage = Usage {
        wall: Span::from_millis(count.into()),
        ..Usage::default()
    };
    Run {
        first: id(first),
        count,
        over,
        usage,
        at: Time::default(),
    }
}

fn passed(node: &mut Node, run: Run) -> Vec<Action> {
    node.heart.passed(node.now, run, &packed())
}

/// A node whose worker is at task 0 of six.
fn at_work() -> Node {
    let mut node = Node::new();
    assert_eq!(told(&node.run(packed())), ["start t0.g1.1 and on to 6"]);
    node.started("t0.g1.1");
    node.flush();
    node
}

#[test]
fn tasks_that_passed_are_one_report_and_go_with_its_answer() {
    let mut node = at_work();
    assert!(passed(&mut node, run("t0.g1.1", 4, false)).is_empty());
    assert!(passed(&mut node, run("t4.g1.1", 2, true)).is_empty());
    assert_eq!(held(&node), ["g1: 0-5"], "until the scheduler knows");
    let (reports, actions) = node.flush();
    let [Report::Started { attempt, .. }, Report::Ended(ended)] = reports.as_slice() else {
        panic!("{reports:?}");
    };
    assert_eq!((attempt, ended.tasks), (&id("t4.g1.1"), tasks(0, 6)));
    assert_eq!(ended.usage.wall, Span::from_millis(6));
    assert_eq!(
        told(&actions),
        ["forget t0.g1.1", "forget t4.g1.1", "release g1"]
    );
    assert!(node.heart.is_idle());
}

#[test]
fn a_task_that_fails_ends_its_run_and_the_rest_runs_after_it() {
    let mut node = at_work();
    passed(&mut node, run("t0.g1.1", 2, false));
    let actions = node.ended("t2.g1.1", Outcome::Exited { code: 1 });
    assert_eq!(told(&actions), ["start t3.g1.1 and on to 6"]);
    let ends = node.ends();
    assert_eq!(ends.len(), 2);
    assert_eq!((ends[0].tasks, ends[1].tasks), (tasks(0, 2), tasks(2, 1)));
    assert_eq!(ends[1].outcome, Outcome::Exited { code: 1 });
}

#[test]
fn a_run_that_ended_early_is_followed_by_another() {
    let mut node = at_work();
    let actions = passed(&mut node, run("t0.g1.1", 3, true));
    assert_eq!(told(&actions), ["start t3.g1.1 and on to 6"]);
}

#[test]
fn what_is_queued_goes_back_when_the_one_that_runs_has_ended() {
    let mut node = at_work();
    let kill = None;
    let grant_id = packed().id;
    let actions = node.order(Order::GiveBack { id: grant_id, kill });
    assert!(actions.is_empty());
    assert_eq!(node.flush().0.len(), 0, "its worker may go on to it");
    passed(&mut node, run("t0.g1.1", 3, true));
    let (reports, _) = node.flush();
    let [Report::Ended(_), Report::GaveBack { tasks: back, .. }] = reports.as_slice() else {
        panic!("{reports:?}");
    };
    assert_eq!(back, &[tasks(3, 3)]);
    assert!(node.heart.is_idle());
}

#[test]
fn a_stop_reaches_the_attempt_that_runs_by_now() {
    let mut node = at_work();
    let why = Outcome::Cancelled;
    let id_of_grant = packed().id;
    let actions = node.order(Order::Stop {
        id: id_of_grant,
        why: why.clone(),
    });
    assert_eq!(told(&actions)[0], "kill t0.g1.1: cancelled");
    // The keeper was ahead.
    let actions = passed(&mut node, run("t0.g1.1", 2, false));
    assert_eq!(told(&actions), ["forget t0.g1.1"]);
    assert!(!node.heart.is_idle());
    node.ended("t2.g1.1", why);
    node.flush();
    assert!(node.heart.is_idle());
}

#[test]
fn said_again_nothing_is_counted_twice() {
    let mut node = at_work();
    passed(&mut node, run("t0.g1.1", 2, false));
    assert!(passed(&mut node, run("t0.g1.1", 2, false)).is_empty());
    assert_eq!(node.ends().len(), 1);
    let actions = passed(&mut node, run("t0.g1.1", 2, false));
    assert_eq!(
        told(&actions),
        ["forget t0.g1.1"],
        "the keeper still has it"
    );
    assert!(node.ends().is_empty());
}

#[test]
fn a_new_node_process_takes_a_run_over_where_it_is() {
    let mut node = Node::unwelcomed();
    let running = Kept {
        attempt: id("t4.g1.1"),
        grant: packed(),
        state: KeptState::Running {
            started_at: Some(Time::default()),
        },
    };
    let ended = Kept {
        attempt: id("t1.g1.1"),
        grant: packed(),
        state: KeptState::Passed(run("t1.g1.1", 2, false)),
    };
    let actions = node.heart.kept(node.now, vec![running, ended]);
    assert!(actions.is_empty(), "{actions:?}");
    assert_eq!(held(&node), ["g1: 1-2,4-5"]);
    // What the keeper had gathered by then.
    assert!(passed(&mut node, run("t3.g1.1", 1, false)).is_empty());
    node.welcome(1);
    let ends: Vec<_> = node.ends().iter().map(|ended| ended.tasks).collect();
    assert_eq!(ends, [tasks(1, 3)]);
}
