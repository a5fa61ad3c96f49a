//! The two steps of an attempt with files: finished, then commit granted.

use stint_api::link::{OutputFile, Report};
use stint_api::outcome::Outcome;
use stint_api::view::JobState;

use crate::{SILENCE, Site, id};

fn site_with_output() -> Site {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    site.submit(1, |spec| {
        spec.output = Some("file:///out".into());
        spec.retries = 3;
    });
    site.started("node-a", "1.t0.g1.1");
    site.orders();
    site
}

fn finished(site: &mut Site, name: &str, attempt: &str) {
    let attempt = id(attempt);
    let path = "table.csv".to_owned();
    let manifest = vec![OutputFile { path, bytes: 9 }];
    site.report(name, Report::Finished { attempt, manifest });
}

#[test]
fn a_commit_is_granted_and_the_task_is_done_only_when_it_ended() {
    let mut site = site_with_output();
    let job = "default.1".parse().unwrap();
    finished(&mut site, "node-a", "1.t0.g1.1");
    assert_eq!(site.orders(), ["node-a publish 1.t0.g1.1"]);
    assert_eq!(site.tasks(&job), ["0 publishing node-a"]);
    site.ended("node-a", "1.t0.g1.1", Outcome::Succeeded);
    assert_eq!(site.state(&job), JobState::Succeeded);
}

#[test]
fn a_commit_that_is_asked_for_again_is_told_again_and_decided_once() {
    let mut site = site_with_output();
    finished(&mut site, "node-a", "1.t0.g1.1");
    let records = site.changes.len();
    site.orders();
    finished(&mut site, "node-a", "1.t0.g1.1");
    assert_eq!(site.orders(), ["node-a publish 1.t0.g1.1"]);
    assert_eq!(site.changes.len(), records);
    assert_eq!(
        site.full("node-a"),
        ["node-a full [1.g1: 0]", "node-a publish 1.t0.g1.1"]
    );
}

#[test]
fn a_later_try_takes_the_commit_over_and_an_earlier_one_does_not() {
    let mut site = site_with_output();
    finished(&mut site, "node-a", "1.t0.g1.2");
    assert_eq!(site.orders(), ["node-a publish 1.t0.g1.2"]);
    finished(&mut site, "node-a", "1.t0.g1.1");
    assert!(site.orders().is_empty());
    finished(&mut site, "node-a", "1.t0.g1.3");
    assert_eq!(site.orders(), ["node-a publish 1.t0.g1.3"]);
    assert_eq!(site.full("node-a")[1], "node-a publish 1.t0.g1.3");
}

#[test]
fn a_node_that_says_hello_asks_for_its_commits_again() {
    let mut site = site_with_output();
    finished(&mut site, "node-a", "1.t0.g1.2");
    site.orders();
    let mut again = crate::hello("node-a", 1);
    again.held = vec![crate::held("1.g1", stint_api::tasks::TaskRange::one(0))];
    site.hello(again);
    assert_eq!(site.full("node-a"), ["node-a full [1.g1: 0]"]);
    site.orders();
    // It lost part of its memory, and counts the try again.
    finished(&mut site, "node-a", "1.t0.g1.1");
    assert_eq!(site.orders(), ["node-a publish 1.t0.g1.1"]);
}

#[test]
fn no_commit_is_granted_under_a_grant_that_is_gone() {
    let mut site = site_with_output();
    site.pass(SILENCE);
    site.node("node-a", 1);
    site.orders();
    finished(&mut site, "node-a", "1.t0.g1.1");
    assert_eq!(site.orders(), ["node-a stop 1.g1: node-lost"]);
    finished(&mut site, "node-a", "1.t0.g2.1");
    assert_eq!(site.orders(), ["node-a publish 1.t0.g2.1"]);
}
