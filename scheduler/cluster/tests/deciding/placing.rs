//! Where jobs go: free CPU, memory and scratch; parallelism; priority.

use stint_api::link::Report;
use stint_api::outcome::Outcome;
use stint_api::quantity::{Bytes, Millicores};

use crate::{MODULE, SLOT, Site, hello};

#[test]
fn a_job_that_is_submitted_first_is_placed_when_a_node_joins() {
    let mut site = Site::new();
    site.submit(1, |_| {});
    assert!(site.orders().is_empty());
    site.node("node-a", 1);
    // The node has no stream yet; the full orders that open it say it too.
    assert_eq!(site.orders(), ["node-a run 1.g1: 0"]);
    assert_eq!(site.full("node-a"), ["node-a full [1.g1: 0]"]);
}

#[test]
fn no_node_is_given_more_than_it_has_of_any_resource() {
    for scarce in ["cpu", "memory", "scratch"] {
        let mut site = Site::new();
        let mut roomy = hello("node-a", 8);
        let capacity = &mut roomy.capacity;
        match scarce {
            "cpu" => capacity.cpu = Millicores(SLOT.cpu.0 * 2 + 999),
            "memory" => capacity.memory = Bytes(SLOT.memory.0 * 3 - 1),
            _ => capacity.scratch = Bytes(SLOT.scratch.0 * 2),
        }
        site.hello(roomy);
        let id = site.submit(8, |_| {});
        assert_eq!(site.orders().len(), 2, "{scarce}");
        assert_eq!(site.tasks(&id), ["0-1 granted node-a", "2-7 pending"]);
        let node = &site.heart.nodes().nodes[0];
        assert_eq!(node.free, node.capacity - SLOT - SLOT);
    }
}

#[test]
fn room_that_becomes_free_is_used_at_once() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    site.submit(2, |_| {});
    assert_eq!(site.orders(), ["node-a run 1.g1: 0"]);
    site.ended("node-a", "1.t0.g1.1", Outcome::Succeeded);
    assert_eq!(site.orders(), ["node-a run 1.g2: 1"]);
}

#[test]
fn slots_are_spread_over_nodes() {
    let mut site = Site::with_nodes(&[("node-a", 2), ("node-b", 2)]);
    site.submit(1, |_| {});
    site.submit(1, |_| {});
    assert_eq!(site.orders(), ["node-a run 1.g1: 0", "node-b run 2.g1: 0"]);
}

#[test]
fn a_node_that_has_compiled_the_module_is_preferred() {
    let mut site = Site::with_nodes(&[("node-a", 2), ("node-b", 2)]);
    site.report("node-b", Report::Compiled { module: MODULE });
    site.submit(1, |_| {});
    site.submit(1, |_| {});
    assert_eq!(site.orders(), ["node-b run 1.g1: 0", "node-b run 2.g1: 0"]);
}

#[test]
fn no_more_slots_than_its_parallelism_work_for_a_job() {
    let mut site = Site::with_nodes(&[("node-a", 8)]);
    let id = site.submit(6, |spec| spec.parallelism = Some(2));
    assert_eq!(site.orders(), ["node-a run 1.g1: 0", "node-a run 1.g2: 1"]);
    site.ended("node-a", "1.t1.g2.1", Outcome::Succeeded);
    assert_eq!(site.orders(), ["node-a run 1.g3: 2"]);
    assert_eq!(site.view(&id).tasks.granted, 2);
}

#[test]
fn higher_priority_goes_first_and_equals_by_age() {
    let mut site = Site::new();
    for priority in [0, 5, 5, -1] {
        site.submit(1, |spec| spec.priority = priority);
        site.now = site.now + stint_api::time::Span::from_millis(1);
    }
    site.node("node-a", 1);
    let mut placed = Vec::new();
    for _ in 0..4 {
        let orders = site.orders();
        let order = orders[0].strip_prefix("node-a run ").unwrap();
        let job = order.split_once('.').unwrap().0.to_owned();
        site.ended("node-a", &format!("{job}.t0.g1.1"), Outcome::Succeeded);
        placed.push(job);
    }
    assert_eq!(placed, ["2", "3", "1", "4"]);
}

#[test]
fn a_job_too_large_for_now_does_not_hold_up_a_smaller_one() {
    let mut site = Site::with_nodes(&[("node-a", 2)]);
    let first = site.submit(1, |_| {});
    let large = site.submit(1, |spec| spec.cpu = Millicores(2000));
    let small = site.submit(1, |_| {});
    assert_eq!(site.orders(), ["node-a run 1.g1: 0", "node-a run 3.g1: 0"]);
    assert_eq!(site.tasks(&large), ["0 pending"]);
    for id in [first, small] {
        site.ended(
            "node-a",
            &format!("{}.t0.g1.1", id.number),
            Outcome::Succeeded,
        );
    }
    assert_eq!(site.orders(), ["node-a run 2.g1: 0"]);
}

#[test]
fn a_node_that_grew_is_filled() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    site.submit(2, |_| {});
    site.orders();
    let mut larger = hello("node-a", 2);
    larger.held = vec![crate::held("1.g1", stint_api::tasks::TaskRange::one(0))];
    site.hello(larger);
    assert_eq!(site.orders(), ["node-a run 1.g2: 1"]);
}

#[test]
fn a_node_that_leaves_is_given_nothing_until_it_says_hello_or_stayed_after_all() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let give_back = |site: &mut Site, attempt: &str| {
        let mut end = site.end(attempt, Outcome::Drained);
        end.verdict = stint_api::link::Verdict::Returned;
        site.report("node-a", Report::Ended(end));
    };
    let job = site.submit(1, |_| {});
    site.orders();
    give_back(&mut site, "1.t0.g1.1");
    assert!(site.orders().is_empty());
    let why = site.view(&job).waiting.unwrap();
    assert!(why.contains("the one node is going down"), "{why}");
    site.node("node-a", 1);
    assert_eq!(site.orders(), ["node-a run 1.g2: 0"]);
    give_back(&mut site, "1.t0.g2.1");
    site.pass(site.heart.config().lease);
    assert_eq!(site.orders(), ["node-a run 1.g3: 0"]);
}
