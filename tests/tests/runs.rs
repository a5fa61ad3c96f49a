//! Tasks of an array that run one after another in one worker: what each does is
//! its own, and none is lost or counted twice, whatever dies meanwhile.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::{Duration, Instant};

use stint_tests::Site;
use stint_tests::leftovers;
use stint_tests::wait::wait_for;

/// How often the history says of each task that it ended so.
fn times(site: &Site, id: &str, count: usize, reason: &str) -> Vec<u32> {
    let tasks = site.tasks(id).unwrap();
    let mut times = vec![0; count];
    for entry in tasks["history"].as_array().unwrap() {
        if entry["outcome"]["reason"] == reason && entry["final"] == true {
            let attempt = entry["attempt"].as_str().unwrap();
            let first = attempt.split('.').find_map(|part| part.strip_prefix('t'));
            let first: usize = first.unwrap().parse().unwrap();
            let run = usize::try_from(entry["tasks"].as_u64().unwrap()).unwrap();
            times[first..first + run].iter_mut().for_each(|n| *n += 1);
        }
    }
    times
}

#[test]
fn what_a_task_says_returns_and_fails_with_is_its_own() {
    let site = Site::with_nodes(&["node-a"]);
    let (_, json) = site.run_guest("mixed", &["--tasks", "400", "--cpu", "500m"]);
    assert_eq!(json["tasks"]["succeeded"], 360, "{json:#}");
    assert_eq!(json["tasks"]["failed"], 40, "{json:#}");
    let id = json["id"].as_str().unwrap();
    let failed = times(&site, id, 400, "exited");
    for (task, times) in failed.iter().enumerate() {
        assert_eq!(
            *times == 1,
            task % 10 == 7,
            "task {task} failed {times} times"
        );
    }
    let results = site.stint(["results", id, "--json"]).stdout;
    let results: Vec<serde_json::Value> = results
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let returned =
        |result: &serde_json::Value| Some((result["task"].as_u64()?, result["result"].as_u64()?));
    let returned: Vec<_> = results.iter().filter_map(returned).collect();
    assert_eq!(returned.len(), 40, "{results:#?}");
    assert!(
        returned
            .iter()
            .all(|(task, result)| task == result && task % 10 == 5)
    );
    for task in ["3", "193", "393"] {
        let said = site.stint(["logs", id, "--task", task]).stdout;
        assert_eq!(said, task);
    }
    assert_eq!(site.stint(["logs", id, "--task", "194"]).stdout, "");
    site.stop_and_check();
}

#[test]
fn a_long_array_survives_its_node_process_and_its_keeper() {
    const TASKS: usize = 20_000;
    let mut site = Site::with_nodes(&["node-a"]);
    let id = site.submit_guest("no-op", &["--tasks", &TASKS.to_string(), "--cpu", "1"]);
    for round in 1..=4 {
        let done = wait_for("some more are done", Duration::from_secs(60), || {
            let job = site.job(&id)?;
            let done = job["tasks"]["succeeded"].as_u64()?;
            (done > round * 2_000).then_some(done)
        });
        if round % 2 == 0 {
            for keeper in site.pids("node-a", "__keeper") {
                leftovers::kill(keeper);
            }
        } else {
            site.kill_node_process("node-a");
            site.start_node("node-a", &[]);
        }
        assert!(done <= TASKS as u64);
    }
    let job = site.wait_until_over(&id);
    assert_eq!(job["tasks"]["succeeded"], TASKS, "{job:#}");
    let history = site.tasks(&id).unwrap();
    if history["dropped"].as_u64().unwrap_or(0) == 0 {
        let once = times(&site, &id, TASKS, "succeeded");
        assert!(once.iter().all(|n| *n == 1));
    }
    site.stop_and_check();
}

#[test]
fn a_cancelled_array_stops_at_once() {
    let site = Site::with_nodes(&["node-a"]);
    let id = site.submit_guest("no-op", &["--tasks", "200000", "--cpu", "1"]);
    site.wait_until_running(&id);
    let asked = Instant::now();
    site.stint(["cancel", &id]);
    let job = site.wait_until_over(&id);
    assert_eq!(job["state"], "cancelled");
    assert!(asked.elapsed() < Duration::from_secs(10));
    site.stop_and_check();
}
