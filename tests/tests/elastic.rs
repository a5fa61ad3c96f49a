//! Nodes come and go while there is work: what there is of them is used, what they
//! leave behind runs elsewhere, and whoever adds machines is told how many are wanted.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::{Duration, Instant};

use serde_json::Value;
use stint_tests::Site;
use stint_tests::wait::wait_for;

/// Longest that anything here may take: the machine may be busy.
const BOUND: Duration = Duration::from_secs(60);
/// One slot of a task that takes a CPU.
const ONE_SLOT: [&str; 2] = ["--capacity", "cpu=1,memory=1Gi,scratch=1Gi"];

fn capacity(site: &Site) -> Value {
    site.get("/v1/capacity").unwrap().1
}

fn succeeded(site: &Site, id: &str) -> u64 {
    let job = site.job(id).unwrap();
    job["tasks"]["succeeded"].as_u64().unwrap()
}

#[test]
fn nodes_that_come_and_go_lose_nothing_and_a_goodbye_is_heard_at_once() {
    let mut site = Site::start();
    let flags = ["--tasks", "60", "--cpu", "1", "--memory", "64Mi"];
    let id = site.submit_guest("short-sleep", &flags);
    let wanted = capacity(&site)["wanted"].clone();
    assert_eq!(
        (&wanted["slots"], &wanted["cpu"]),
        (&60.into(), &"60".into())
    );
    for name in ["node-a", "node-b", "node-c"] {
        site.start_node(name, &ONE_SLOT);
    }
    wait_for("all three work", BOUND, || {
        let capacity = capacity(&site);
        (capacity["taken"]["slots"] == 3).then_some(())
    });
    wait_for("some are done", BOUND, || {
        (succeeded(&site, &id) > 5).then_some(())
    });
    // One says goodbye, one dies without a word, and another comes.
    let told = Instant::now();
    site.stop_node("node-b");
    assert_eq!(site.node_state("node-b"), None, "it is not listed any more");
    assert!(told.elapsed() < Duration::from_secs(10));
    site.start_node("node-d", &ONE_SLOT);
    site.kill_whole_node("node-c");
    // The one that left comes back.
    site.start_node("node-b", &ONE_SLOT);
    let job = site.wait_until_over(&id);
    assert_eq!(job["state"], "succeeded", "{job:#}");
    assert_eq!(job["tasks"]["succeeded"], 60);
    let tasks = site.tasks(&id).unwrap();
    let history = tasks["history"].as_array().unwrap();
    let well = history
        .iter()
        .filter(|entry| entry["outcome"]["reason"] == "succeeded");
    let counted: u64 = well.map(|entry| entry["tasks"].as_u64().unwrap()).sum();
    assert_eq!(counted, 60, "{history:#?}");
    assert_eq!(capacity(&site)["wanted"]["slots"], 0);
    // The machine that died comes back, and sweeps what its last life left.
    site.start_node("node-c", &ONE_SLOT);
    site.stop_and_check();
}
