//! An acknowledged job is never lost, none is reported twice, nothing is left
//! behind: `kill -9` of scheduler, node process, keeper and workers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use serde_json::Value;
use stint_tests::Site;
use stint_tests::leftovers;
use stint_tests::wait::wait_for;

/// Tries, for each task, how often the history says it succeeded for good.
fn assert_each_succeeded_once(site: &Site, id: &str, count: u64) {
    let tasks = site.tasks(id).unwrap();
    let mut times = vec![0u32; usize::try_from(count).unwrap()];
    for entry in tasks["history"].as_array().unwrap() {
        if entry["outcome"]["reason"] == "succeeded" && entry["final"] == true {
            let first = task_of(entry);
            let run = usize::try_from(entry["tasks"].as_u64().unwrap()).unwrap();
            for task in &mut times[first..first + run] {
                *task += 1;
            }
        }
    }
    assert!(
        times.iter().all(|n| *n == 1),
        "successes per task: {times:?}\n{tasks:#}"
    );
}

fn task_of(entry: &Value) -> usize {
    let attempt = entry["attempt"].as_str().unwrap();
    let task = attempt
        .split('.')
        .find_map(|part| part.strip_prefix('t'))
        .unwrap();
    task.parse().unwrap()
}

#[test]
fn a_killed_node_process_finds_its_attempts_again_and_none_is_run_twice() {
    let mut site = Site::with_nodes(&["node-a"]);
    let id = site.submit_guest("spin", &["--timeout", "8s"]);
    site.wait_until_running(&id);
    let workers = site.pids("node-a", "__worker");
    assert_eq!(workers.len(), 1);
    site.kill_node_process("node-a");
    assert_eq!(
        site.pids("node-a", "__worker"),
        workers,
        "the worker outlives the node process"
    );
    site.start_node("node-a", &[]);
    let job = site.wait_until_over(&id);
    assert_eq!(
        job["first_failure"]["outcome"]["reason"], "deadline",
        "{job:#}"
    );
    assert_eq!(job["attempts"], 1, "re-adopted, not run again: {job:#}");
    site.stop_and_check();
}

#[test]
fn an_attempt_that_ends_while_the_node_process_is_dead_is_reported_from_the_spool() {
    let mut site = Site::with_nodes(&["node-a"]);
    let id = site.submit_guest("spin", &["--timeout", "1s"]);
    site.wait_until_running(&id);
    site.kill_node_process("node-a");
    wait_for("the worker has ended", Duration::from_secs(10), || {
        site.pids("node-a", "__worker").is_empty().then_some(())
    });
    site.start_node("node-a", &[]);
    let job = site.wait_until_over(&id);
    assert_eq!(
        (&job["state"], &job["attempts"]),
        (&"failed".into(), &1.into()),
        "{job:#}"
    );
}

#[test]
fn a_lost_node_s_work_runs_elsewhere() {
    let mut site = Site::start_with_lease("2s");
    site.start_node("node-a", &[]);
    let id = site.submit_guest("spin", &["--timeout", "4s"]);
    site.wait_until_running(&id);
    site.start_node("node-b", &[]);
    site.kill_whole_node("node-a");
    let job = site.wait_until_over(&id);
    assert_eq!(
        job["first_failure"]["outcome"]["reason"], "deadline",
        "{job:#}"
    );
    let tasks = site.tasks(&id).unwrap();
    let history = tasks["history"].as_array().unwrap();
    let told: Vec<(&str, &str)> = history
        .iter()
        .map(|entry| {
            (
                entry["node"].as_str().unwrap(),
                entry["outcome"]["reason"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [("node-a", "node-lost"), ("node-b", "deadline")]);
    // The machine comes back, and sweeps what its last life left.
    site.start_node("node-a", &[]);
    site.stop_and_check();
}

#[test]
fn a_killed_keeper_takes_its_workers_along_and_their_tasks_run_again() {
    let site = Site::with_nodes(&["node-a"]);
    let id = site.submit_guest("spin", &["--timeout", "3s"]);
    site.wait_until_running(&id);
    let workers = site.pids("node-a", "__worker");
    for keeper in site.pids("node-a", "__keeper") {
        leftovers::kill(keeper);
    }
    wait_for("the old worker is gone", Duration::from_secs(10), || {
        site.pids("node-a", "__worker")
            .iter()
            .all(|pid| !workers.contains(pid))
            .then_some(())
    });
    let job = site.wait_until_over(&id);
    assert_eq!(
        job["first_failure"]["outcome"]["reason"], "deadline",
        "{job:#}"
    );
    assert_eq!(job["attempts"], 2, "{job:#}");
    site.stop_and_check();
}

#[test]
fn a_killed_scheduler_remembers_every_job_it_acknowledged() {
    let mut site = Site::with_nodes(&["node-a"]);
    let ids: Vec<String> = (0..5)
        .map(|_| site.submit_guest("hello", &["--tasks", "4"]))
        .collect();
    site.kill_scheduler();
    site.start_scheduler();
    for id in &ids {
        assert_eq!(site.wait_until_over(id)["state"], "succeeded");
        assert_each_succeeded_once(&site, id, 4);
    }
    site.stop_and_check();
}

#[test]
fn whatever_is_killed_at_whatever_moment_every_task_succeeds_once() {
    let mut site = Site::start_with_lease("2s");
    for node in ["node-a", "node-b"] {
        site.start_node(node, &[]);
    }
    let ids: Vec<String> = (0..3)
        .map(|_| site.submit_guest("short-sleep", &["--tasks", "40"]))
        .collect();
    let mut chance = Chance(0x5717);
    for _ in 0..12 {
        let moment = Duration::from_millis(chance.below(250));
        let start = std::time::Instant::now();
        wait_for(
            "the moment of the next kill",
            Duration::from_secs(5),
            || (start.elapsed() >= moment).then_some(()),
        );
        let node = ["node-a", "node-b"][usize::try_from(chance.below(2)).unwrap()];
        match chance.below(5) {
            0 => {
                site.kill_scheduler();
                site.start_scheduler();
            }
            1 => {
                site.kill_node_process(node);
                site.spawn_node(node, &[]);
            }
            2 => {
                site.kill_whole_node(node);
                site.spawn_node(node, &[]);
            }
            3 => site
                .pids(node, "__keeper")
                .into_iter()
                .for_each(leftovers::kill),
            _ => site
                .pids(node, "__worker")
                .into_iter()
                .take(1)
                .for_each(leftovers::kill),
        }
    }
    for id in &ids {
        let job = site.wait_until_over(id);
        assert_eq!(job["state"], "succeeded", "{job:#}");
        assert_eq!(job["tasks"]["succeeded"], 40, "{job:#}");
        assert_each_succeeded_once(&site, id, 40);
    }
    site.stop_and_check();
}

/// A fixed sequence of chances (SplitMix64, <https://prng.di.unimi.it/splitmix64.c>), so that a failure can be replayed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}
