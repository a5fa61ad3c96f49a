//! A node says goodbye; and how much capacity is there and wanted.

use stint_api::id::Generation;
use stint_api::quantity::Millicores;

use crate::{Site, node_id};

#[test]
fn what_a_node_held_that_left_runs_elsewhere_at_once() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(1, |_| {});
    site.started("node-a", "1.t0.g1.1");
    site.node("node-b", 1);
    site.orders();
    let generation = site.generation("node-a");
    let effects = site.heart.goodbye(site.now, &node_id("node-a"), generation);
    site.follow(effects.unwrap());
    assert_eq!(site.orders(), ["node-b run 1.g2: 0"]);
    assert_eq!(site.attempts(&job), ["t0.g1.1 node-lost"]);
    let listed = site.heart.nodes().nodes;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].id, node_id("node-b"));
}

#[test]
fn a_goodbye_of_an_older_life_changes_nothing_and_who_left_may_come_back() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let now = site.now;
    let id = node_id("node-a");
    let old = site.generation("node-a");
    site.node("node-a", 1);
    let new = site.generation("node-a");
    assert!(site.heart.goodbye(now, &id, old).is_err());
    assert!(
        site.heart
            .goodbye(now, &node_id("node-b"), Generation(1))
            .is_err()
    );
    assert_eq!(site.heart.nodes().nodes.len(), 1);
    let effects = site.heart.goodbye(now, &id, new).unwrap();
    site.follow(effects);
    assert!(site.heart.nodes().nodes.is_empty());
    site.node("node-a", 1);
    assert!(site.generation("node-a") > new, "the fence stands");
}

#[test]
fn who_waits_is_told_in_slots_and_what_they_take() {
    let mut site = Site::with_nodes(&[("node-a", 2)]);
    site.submit(9, |spec| spec.parallelism = Some(5));
    let capacity = site.heart.capacity();
    assert_eq!((capacity.nodes, capacity.taken.slots), (1, 2));
    assert_eq!(capacity.wanted.slots, 3, "within the job's parallelism");
    let one = capacity.taken.cpu.0 / 2;
    assert_eq!(capacity.wanted.cpu, Millicores(3 * one));
    let node = node_id("node-a");
    let (_, effects) = site.heart.cordon(site.now, &node).unwrap();
    site.follow(effects);
    assert_eq!(site.heart.capacity().nodes, 0, "it takes no work");
}
