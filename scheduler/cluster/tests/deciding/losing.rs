//! Nodes that are silent, come back, or come back as somebody else.

use stint_api::id::{ClusterId, Incarnation};
use stint_api::link::{PROTOCOL, Report};
use stint_api::outcome::Outcome;
use stint_api::tasks::TaskRange;
use stint_api::time::{Span, Time};
use stint_api::view::{JobState, NodeState};
use stint_cluster::{Config, HelloError, StaleGeneration};

use crate::{SILENCE, Site, failed, held, hello};

#[test]
fn what_a_silent_node_held_runs_elsewhere_when_its_lease_is_over_and_not_before() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(1, |_| {});
    site.started("node-a", "1.t0.g1.1");
    site.orders();
    let Config { lease, grace, .. } = site.heart.config();
    site.pass(lease + grace);
    assert_eq!(site.tasks(&job), ["0 granted node-a"]);
    site.node("node-b", 1);
    site.pass(Span::from_nanos(1));
    assert_eq!(site.orders(), ["node-b run 1.g2: 0"]);
    assert_eq!(site.heart.nodes().nodes[0].state, NodeState::Lost);
    assert_eq!(site.attempts(&job), ["t0.g1.1 node-lost"]);
    assert!(site.story(&job).contains(&"node-lost"));
    assert_eq!(site.state(&job), JobState::Running);
}

#[test]
fn a_report_renews_the_lease_even_when_it_says_nothing() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    for _ in 0..9 {
        site.pass(Span::from_secs(2));
        let generation = site.generation("node-a");
        site.try_report("node-a", generation, Vec::new()).unwrap();
    }
    assert_eq!(site.heart.nodes().nodes[0].state, NodeState::Ready);
}

#[test]
fn a_lost_node_must_say_hello_before_it_is_believed() {
    let mut site = Site::with_nodes(&[("node-a", 1), ("node-b", 1)]);
    let job = site.submit(1, |_| {});
    site.pass(SILENCE);
    let generation = site.generation("node-a");
    let end = Report::Ended(site.end("1.t0.g1.1", Outcome::Succeeded));
    let error = site.try_report("node-a", generation, vec![end]);
    assert!(matches!(error, Err(StaleGeneration::Lost { .. })));
    assert_eq!(site.view(&job).tasks.succeeded, 0);
    let mut again = hello("node-a", 1);
    again.held = vec![held("1.g1", TaskRange::one(0))];
    site.hello(again);
    // What it held was given away; the job has another grant now.
    assert_eq!(site.full("node-a"), ["node-a full [1.g2: 0]"]);
    site.ended("node-a", "1.t0.g1.1", failed());
    assert_eq!(site.tasks(&job), ["0 granted node-a"]);
}

#[test]
fn a_node_that_comes_back_in_time_keeps_what_it_holds() {
    let mut site = Site::with_nodes(&[("node-a", 2)]);
    let job = site.submit(2, |_| {});
    site.started("node-a", "1.t0.g1.1");
    site.orders();
    let mut again = hello("node-a", 2);
    again.held = vec![held("1.g1", TaskRange::one(0))];
    site.hello(again);
    // The other grant never arrived: it is given again, under a new number.
    assert_eq!(site.orders(), ["node-a run 1.g3: 1"]);
    assert_eq!(site.full("node-a"), ["node-a full [1.g1: 0 1.g3: 1]"]);
    assert!(!site.story(&job).contains(&"node-lost"));
    site.ended("node-a", "1.t0.g1.1", Outcome::Succeeded);
    assert_eq!(site.view(&job).tasks.succeeded, 1);
}

#[test]
fn another_incarnation_has_lost_everything() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(1, |_| {});
    site.started("node-a", "1.t0.g1.1");
    let mut other = hello("node-a", 1);
    other.incarnation = Incarnation(2);
    other.held = vec![held("1.g1", TaskRange::one(0))];
    site.hello(other);
    assert_eq!(site.full("node-a"), ["node-a full [1.g2: 0]"]);
    assert_eq!(site.attempts(&job), ["t0.g1.1 node-lost"]);
}

#[test]
fn grants_of_another_cluster_mean_nothing_here() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    site.submit(1, |_| {});
    let mut foreign = hello("node-a", 1);
    foreign.cluster = Some(ClusterId(9));
    foreign.held = vec![held("1.g1", TaskRange::one(0))];
    site.hello(foreign);
    assert_eq!(site.full("node-a"), ["node-a full [1.g2: 0]"]);
}

#[test]
fn silence_while_the_scheduler_itself_was_away_is_held_against_nobody() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    // Nobody called: the process was stopped, or its disk was stuck.
    site.now = site.now + Span::from_secs(60);
    let effects = site.heart.tick(site.now);
    site.follow(effects);
    assert_eq!(site.heart.nodes().nodes[0].state, NodeState::Ready);
    site.pass(SILENCE);
    assert_eq!(site.heart.nodes().nodes[0].state, NodeState::Lost);
    // Some day the module is forgotten that nobody needs.
    let wake = site.heart.next_wake();
    assert!(wake > Some(site.now + Span::from_secs(3_600)), "{wake:?}");
}

#[test]
fn a_lost_node_costs_no_retry_and_no_loss() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(1, |_| {});
    for _ in 0..9 {
        site.started(
            "node-a",
            &format!("1.t0.g{}.1", site.view(&job).attempts + 1),
        );
        site.pass(SILENCE);
        site.node("node-a", 1);
    }
    assert_eq!(site.state(&job), JobState::Running);
    assert_eq!(site.view(&job).attempts, 9);
}

#[test]
fn another_protocol_is_refused_by_name() {
    let mut site = Site::new();
    let mut other = hello("node-a", 1);
    other.protocol = PROTOCOL + 1;
    let error = site.heart.hello(site.now, &other).unwrap_err();
    assert!(matches!(error, HelloError::Protocol { .. }));
    assert!(site.heart.nodes().nodes.is_empty());
}

#[test]
fn a_hello_that_was_held_up_takes_nothing_back_from_a_node_that_is_heard() {
    let mut site = Site::new();
    let hello_at = |nanos| {
        let mut hello = hello("node-a", 1);
        hello.sent_at = Time::from_nanos(nanos);
        hello
    };
    site.hello(hello_at(5));
    site.hello(hello_at(7));
    site.submit(1, |_| {});
    site.started("node-a", "1.t0.g1.1");
    for late in [5, 7] {
        let error = site.heart.hello(site.now, &hello_at(late)).unwrap_err();
        assert!(matches!(error, HelloError::HeldUp { .. }));
    }
    assert_eq!(site.full("node-a"), ["node-a full [1.g1: 0]"]);
    // Its clock was set back: it is welcomed when nothing can be taken from it any more.
    site.pass(SILENCE);
    site.hello(hello_at(6));
    assert_eq!(site.full("node-a"), ["node-a full [1.g2: 0]"]);
}
