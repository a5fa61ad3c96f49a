//! Nodes that somebody cordons, drains, and lets work again.

use stint_api::link::{Report, Verdict};
use stint_api::outcome::Outcome;
use stint_api::tasks::TaskRange;
use stint_api::time::Span;
use stint_api::view::{JobState, NodeDuty};

use crate::{Site, failed, node_id};

const WITHIN: Span = Span::from_secs(60);

impl Site {
    fn cordon(&mut self, name: &str) {
        let (_, effects) = self.heart.cordon(self.now, &node_id(name)).unwrap();
        self.follow(effects);
    }

    fn uncordon(&mut self, name: &str) {
        let (_, effects) = self.heart.uncordon(self.now, &node_id(name)).unwrap();
        self.follow(effects);
    }

    fn drain(&mut self, name: &str, within: Span) {
        let (_, effects) = self.heart.drain(self.now, &node_id(name), within).unwrap();
        self.follow(effects);
    }

    fn duty(&self, name: &str) -> NodeDuty {
        let nodes = self.heart.nodes().nodes.into_iter();
        let mut named = nodes.filter(|node| node.id == node_id(name));
        named.next().unwrap().duty
    }

    pub(crate) fn gave_back(&mut self, name: &str, grant: &str, tasks: &[TaskRange]) {
        let id = crate::held(grant, TaskRange::one(0)).id;
        let tasks = tasks.to_vec();
        self.report(name, Report::GaveBack { id, tasks });
    }

    /// Passes this time while the node says that it is there.
    pub(crate) fn pass_alive(&mut self, name: &str, span: Span) {
        let end = self.now + span;
        while self.now < end {
            let generation = self.generation(name);
            self.try_report(name, generation, Vec::new()).unwrap();
            self.pass(Span::from_secs(1).min(end.since(self.now)));
        }
    }
}

#[test]
fn a_cordoned_node_keeps_what_it_has_and_gets_nothing_new() {
    let mut site = Site::with_nodes(&[("node-a", 2)]);
    let job = site.submit(1, |_| {});
    site.cordon("node-a");
    let second = site.submit(1, |_| {});
    assert_eq!(site.orders(), ["node-a run 1.g1: 0"]);
    let why = site.view(&second).waiting.unwrap();
    assert!(why.contains("the one node is cordoned"), "{why}");
    site.ended("node-a", "1.t0.g1.1", Outcome::Succeeded);
    assert_eq!(site.state(&job), JobState::Succeeded);
    // Neither joining again nor being another machine changes it.
    site.node("node-a", 2);
    let mut other = crate::hello("node-a", 2);
    other.incarnation = stint_api::id::Incarnation(2);
    site.hello(other);
    assert_eq!(site.duty("node-a"), NodeDuty::Cordoned);
    assert!(site.orders().is_empty());
    site.uncordon("node-a");
    assert_eq!(site.orders(), ["node-a run 2.g1: 0"]);
    assert!(site.heart.cordon(site.now, &node_id("node-b")).is_err());
}

#[test]
fn a_drained_node_gives_back_what_it_has_not_begun_and_the_rest_at_the_deadline() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(40, |_| {});
    assert_eq!(site.orders(), ["node-a run 1.g1: 0-9"]);
    site.started("node-a", "1.t0.g1.1");
    site.drain("node-a", WITHIN);
    assert_eq!(site.orders(), ["node-a give back 1.g1"]);
    assert_eq!(site.full("node-a")[1], "node-a give back 1.g1");
    assert_eq!(site.duty("node-a"), NodeDuty::Draining);
    site.node("node-b", 1);
    assert_eq!(site.orders(), ["node-b run 1.g2: 10-16"]);
    for _ in 0..2 {
        // Said twice, it is one thing.
        site.gave_back("node-a", "1.g1", &[TaskRange { first: 1, count: 9 }]);
    }
    assert_eq!(site.tasks(&job)[..2], ["0 granted node-a", "1-9 pending"]);
    site.drain("node-b", Span::ZERO);
    assert_eq!(site.orders(), ["node-b give back 1.g2 now: drained"]);
    site.uncordon("node-b");
    site.pass_alive("node-a", WITHIN);
    let orders = site.orders();
    assert_eq!(orders[0], "node-a give back 1.g1 now: drained");
    assert_eq!(site.full("node-a")[1], "node-a give back 1.g1 now: drained");
    let mut end = site.end("1.t0.g1.1", Outcome::Drained);
    end.verdict = Verdict::Returned;
    site.report("node-a", Report::Ended(end));
    assert_eq!(site.duty("node-a"), NodeDuty::Drained);
    assert_eq!(site.attempts(&job), ["t0.g1.1 drained"]);
    assert_eq!(site.tasks(&job)[0], "0-39 pending");
    site.uncordon("node-a");
    assert_eq!(site.orders()[0], "node-a run 1.g3: 0-9");
}

#[test]
fn what_a_drained_node_ran_to_the_end_is_done() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(1, |spec| spec.retries = 1);
    site.drain("node-a", WITHIN);
    let mut end = site.end("1.t0.g1.1", failed());
    end.verdict = Verdict::Returned;
    site.report("node-a", Report::Ended(end));
    assert_eq!(site.tasks(&job), ["0 pending"]);
    site.uncordon("node-a");
    site.ended("node-a", "1.t0.g2.1", Outcome::Succeeded);
    assert_eq!(site.state(&job), JobState::Succeeded);
}

#[test]
fn a_drain_survives_the_scheduler() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    site.submit(1, |_| {});
    site.drain("node-a", WITHIN);
    site.restart();
    assert_eq!(site.duty("node-a"), NodeDuty::Draining);
    let mut again = crate::hello("node-a", 1);
    again.held = vec![crate::held("1.g1", TaskRange::one(0))];
    site.hello(again);
    assert_eq!(site.full("node-a")[1], "node-a give back 1.g1");
    site.orders();
    site.pass_alive("node-a", WITHIN);
    assert_eq!(site.orders(), ["node-a give back 1.g1 now: drained"]);
}
