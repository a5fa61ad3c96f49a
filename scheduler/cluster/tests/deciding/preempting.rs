//! Jobs of higher priority that take the place of others.

use stint_api::id::JobId;
use stint_api::link::{Report, Verdict};
use stint_api::outcome::Outcome;
use stint_api::quantity::Millicores;
use stint_api::tasks::TaskRange;
use stint_api::time::Span;
use stint_api::view::JobState;

use crate::{Site, hello, id};

impl Site {
    /// The node stops an attempt for `by`, and gives its task back.
    fn gave_way(&mut self, name: &str, attempt: &str, by: &JobId) {
        let mut end = self.end(attempt, Outcome::Preempted { by: by.clone() });
        end.verdict = Verdict::Returned;
        self.report(name, Report::Ended(end));
    }

    fn urgent(&mut self, tasks: u32) -> JobId {
        self.submit(tasks, |spec| spec.priority = 10)
    }
}

#[test]
fn a_job_of_higher_priority_takes_the_place_of_one_that_runs_which_runs_again_for_free() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let low = site.submit(1, |_| {});
    site.orders();
    site.started("node-a", "1.t0.g1.1");
    let high = site.urgent(1);
    let told = "node-a give back 1.g1 now: preempted by default.2";
    assert_eq!(site.orders(), [told]);
    assert_eq!(site.full("node-a")[1], told);
    site.gave_way("node-a", "1.t0.g1.1", &high);
    assert_eq!(site.orders(), ["node-a run 2.g1: 0"]);
    assert_eq!(site.attempts(&low), ["t0.g1.1 preempted by default.2"]);
    assert_eq!(site.tasks(&low), ["0 pending"]);
    site.ended("node-a", "2.t0.g1.1", Outcome::Succeeded);
    assert_eq!(site.orders(), ["node-a run 1.g2: 0"]);
    site.ended("node-a", "1.t0.g2.1", Outcome::Succeeded);
    assert_eq!(site.state(&low), JobState::Succeeded);
}

#[test]
fn nobody_gives_way_to_an_equal_or_while_there_is_room() {
    let mut site = Site::with_nodes(&[("node-a", 2)]);
    site.submit(1, |_| {});
    site.urgent(1);
    let second = site.urgent(1);
    let orders = site.orders();
    assert_eq!(orders[..2], ["node-a run 1.g1: 0", "node-a run 2.g1: 0"]);
    assert_eq!(orders.len(), 3, "the low one alone gives way: {orders:?}");
    site.gave_way("node-a", "1.t0.g1.1", &second);
    assert_eq!(site.orders(), ["node-a run 3.g1: 0"]);
    site.urgent(1);
    assert!(site.orders().is_empty());
}

#[test]
fn the_victim_is_the_one_of_lowest_priority_that_ran_for_the_shortest_time() {
    let mut site = Site::with_nodes(&[("node-a", 1), ("node-b", 1), ("node-c", 1)]);
    site.submit(1, |_| {});
    site.submit(1, |_| {});
    site.submit(1, |spec| spec.priority = 5);
    site.orders();
    site.started("node-a", "1.t0.g1.1");
    site.pass(Span::from_secs(1));
    site.started("node-b", "2.t0.g1.1");
    site.pass(Span::from_millis(500));
    site.urgent(1);
    assert_eq!(
        site.orders(),
        ["node-b give back 2.g1 now: preempted by default.4"]
    );
}

#[test]
fn no_more_give_way_than_must_and_a_smaller_job_does_not_take_what_they_leave() {
    let mut site = Site::with_nodes(&[("node-a", 3)]);
    for _ in 0..3 {
        site.submit(1, |_| {});
    }
    site.orders();
    for job in 1..=3 {
        site.started("node-a", &format!("{job}.t0.g1.1"));
        site.pass(Span::from_millis(10));
    }
    let large = site.submit(1, |spec| {
        (spec.priority, spec.cpu) = (10, Millicores(2000));
    });
    let orders = site.orders();
    assert_eq!(orders.len(), 2, "{orders:?}");
    site.submit(1, |_| {});
    site.gave_way("node-a", "3.t0.g1.1", &large);
    assert!(site.orders().is_empty(), "the room is kept");
    site.gave_way("node-a", "2.t0.g1.1", &large);
    assert_eq!(site.orders(), ["node-a run 4.g1: 0"]);
}

#[test]
fn room_that_nobody_wants_any_more_is_free_again() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    site.submit(1, |_| {});
    let high = site.urgent(1);
    site.orders();
    let waiting = site.submit(1, |_| {});
    let effects = site.heart.cancel(site.now, &high).unwrap();
    site.follow(effects);
    site.gave_way("node-a", "1.t0.g1.1", &high);
    assert_eq!(site.orders(), ["node-a run 1.g2: 0"]);
    assert_eq!(site.tasks(&waiting), ["0 pending"]);
}

#[test]
fn a_task_gives_way_three_times_and_then_runs_to_its_end() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    site.submit(1, |_| {});
    for round in 1..=3 {
        let high = site.urgent(1);
        site.gave_way("node-a", &format!("1.t0.g{round}.1"), &high);
        let attempt = format!("{}.t0.g1.1", high.number);
        site.ended("node-a", &attempt, Outcome::Succeeded);
    }
    site.orders();
    site.urgent(1);
    assert!(site.orders().is_empty());
    site.ended("node-a", "1.t0.g4.1", Outcome::Succeeded);
    assert_eq!(site.orders(), ["node-a run 5.g1: 0"]);
}

#[test]
fn what_publishes_is_not_stopped_and_what_is_not_begun_comes_back_whole() {
    let mut site = Site::with_nodes(&[("node-a", 2)]);
    let job = site.submit(32, |spec| spec.output = Some("file:///out".into()));
    assert_eq!(
        site.orders(),
        ["node-a run 1.g1: 0-3", "node-a run 1.g2: 4-6"]
    );
    let attempt = id("1.t4.g2.1");
    let manifest = Vec::new();
    site.report("node-a", Report::Finished { attempt, manifest });
    site.orders();
    site.urgent(2);
    assert_eq!(
        site.orders(),
        ["node-a give back 1.g1 now: preempted by default.2"]
    );
    site.gave_back("node-a", "1.g1", &[TaskRange { first: 0, count: 4 }]);
    assert_eq!(site.orders(), ["node-a run 2.g1: 0"]);
    assert_eq!(
        site.tasks(&job)[..2],
        ["0-3 pending".to_owned(), "4 publishing node-a".to_owned()]
    );
}

#[test]
fn a_node_that_is_lost_with_its_victims_keeps_nothing_for_anybody() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let low = site.submit(1, |_| {});
    site.urgent(1);
    site.orders();
    site.pass(crate::SILENCE);
    assert_eq!(site.tasks(&low), ["0 pending"]);
    site.node("node-a", 1);
    assert_eq!(site.orders(), ["node-a run 2.g1: 0"]);
}

#[test]
fn nodes_that_cannot_be_meant_stand_in_nobodys_way() {
    let mut site = Site::new();
    for number in 0..80 {
        site.node(&format!("a-{number:02}"), 1);
    }
    let mut gpu = hello("z-gpu", 1);
    gpu.labels.insert("gpu".to_owned(), "a100".to_owned());
    site.hello(gpu);
    site.submit(81, |_| {});
    assert_eq!(site.orders().len(), 81);
    site.submit(1, |spec| {
        spec.priority = 10;
        spec.constraints = vec!["gpu".parse().unwrap()];
    });
    let orders = site.orders();
    assert_eq!(orders.len(), 1, "{orders:?}");
    assert!(orders[0].starts_with("z-gpu give back"), "{orders:?}");
}
