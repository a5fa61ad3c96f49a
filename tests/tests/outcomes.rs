//! The reason is true: each outcome, produced by a guest that deserves it, on a real node.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::Write as _;

use serde_json::Value;
use stint_tests::Site;
use stint_tests::leftovers;
use stint_tests::wait::wait_for;

use std::time::Duration;

fn node() -> Site {
    Site::with_nodes(&["node-a"])
}

/// Runs a guest and returns the exit code of `run` and the JSON object, checked to be of section 7's shape.
fn ended(site: &Site, guest: &str, flags: &[&str]) -> (i32, Value) {
    let (finished, json) = site.run_guest(guest, flags);
    for field in [
        "id", "state", "reason", "code", "tasks", "attempts", "usage", "error",
    ] {
        assert!(json.get(field).is_some(), "`{field}` is missing: {json:#}");
    }
    (finished.code, json)
}

/// The outcome of the last attempt in the job's history.
fn last_outcome(site: &Site, json: &Value) -> Value {
    let tasks = site.tasks(json["id"].as_str().unwrap()).unwrap();
    tasks["history"].as_array().unwrap().last().unwrap()["outcome"].clone()
}

#[test]
fn a_guest_that_returns_has_succeeded() {
    let site = node();
    let (code, json) = ended(&site, "hello", &[]);
    assert_eq!(
        (code, json["reason"].as_str(), json["code"].as_u64()),
        (0, Some("succeeded"), Some(0))
    );
    assert_eq!(json["state"], "succeeded");
    assert!(
        json["usage"]["wall_seconds"].as_f64().unwrap() > 0.0,
        "{json:#}"
    );
    assert!(
        json["usage"]["peak_memory_bytes"].as_u64().unwrap() > 0,
        "{json:#}"
    );
    site.stop_and_check();
}

#[test]
fn an_exit_code_is_recorded_as_it_was() {
    let site = node();
    let (code, json) = ended(&site, "exit-code", &[]);
    assert_eq!(
        (code, json["reason"].as_str(), json["code"].as_u64()),
        (42, Some("exited"), Some(42))
    );
    assert_eq!(json["state"], "failed");
}

#[test]
fn a_component_is_run_as_a_module_is() {
    let site = node();
    let (code, json) = ended(&site, "component", &["--tasks", "3"]);
    assert_eq!(
        (code, json["reason"].as_str(), json["code"].as_u64()),
        (1, Some("exited"), Some(1))
    );
    assert_eq!(json["tasks"]["failed"], 3, "{json:#}");
    let (_, modules) = site.get("/v1/modules").unwrap();
    assert_eq!(modules["modules"][0]["kind"], "component", "{modules:#}");
    site.stop_and_check();
}

#[test]
fn a_trap_names_its_kind_and_its_frames() {
    let site = node();
    let (code, json) = ended(&site, "unreachable", &[]);
    assert_eq!((code, json["reason"].as_str()), (125, Some("trapped")));
    let outcome = last_outcome(&site, &json);
    assert_eq!(outcome["kind"], "unreachable");
    assert!(
        !outcome["backtrace"].as_str().unwrap().is_empty(),
        "{outcome:#}"
    );
}

#[test]
fn memory_refused_by_the_limit_is_the_guests_memory_limit() {
    let site = node();
    let (code, json) = ended(&site, "memory-hog", &["--memory", "16Mi"]);
    assert_eq!(
        (code, json["reason"].as_str()),
        (125, Some("guest-memory-limit"))
    );
    let outcome = last_outcome(&site, &json);
    assert_eq!(outcome["limit"], "16Mi");
}

#[test]
fn memory_of_the_worker_beyond_its_allowance_is_the_cgroups_kill() {
    let site = node();
    let (_, nodes) = site.get("/v1/nodes").unwrap();
    let limits = nodes["nodes"][0]["limits"].as_str().unwrap();
    if !limits.starts_with("cgroup") {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: there is no cgroup to kill for memory ({limits})"
        );
        return;
    }
    let (code, json) = ended(&site, "engine-hog", &["--memory", "32Mi"]);
    assert_eq!((code, json["reason"].as_str()), (125, Some("cgroup-oom")));
    site.stop_and_check();
}

#[test]
fn a_program_without_a_sign_of_life_is_stalled_and_one_with_is_not() {
    let site = node();
    for guest in ["spin", "sleep-forever"] {
        let (code, json) = ended(&site, guest, &["--stall", "1s", "--retries", "1"]);
        assert_eq!(
            (code, json["reason"].as_str(), json["attempts"].as_u64()),
            (125, Some("stalled"), Some(2)),
            "{guest}"
        );
    }
    // It waits for a nanosecond, over and over.
    let (code, json) = ended(&site, "poll-storm", &["--stall", "1s", "--timeout", "2s"]);
    assert_eq!((code, json["reason"].as_str()), (124, Some("deadline")));
    site.stop_and_check();
}

#[test]
fn a_loop_ends_at_its_deadline() {
    let site = node();
    let (code, json) = ended(&site, "spin", &["--timeout", "500ms"]);
    assert_eq!((code, json["reason"].as_str()), (124, Some("deadline")));
    let wall = json["usage"]["wall_seconds"].as_f64().unwrap();
    assert!(wall >= 0.5, "ended before its time: {wall} s");
    assert_eq!(last_outcome(&site, &json)["scope"], "attempt");
}

#[test]
fn a_guest_asleep_in_a_host_call_ends_at_its_deadline() {
    let site = node();
    let (code, json) = ended(&site, "sleep-forever", &["--timeout", "500ms"]);
    assert_eq!((code, json["reason"].as_str()), (124, Some("deadline")));
    site.stop_and_check();
}

#[test]
fn a_cancelled_job_is_cancelled() {
    let site = node();
    let id = site.submit_guest("spin", &[]);
    site.wait_until_running(&id);
    let finished = site.stint(["cancel", &id]);
    assert_eq!(finished.code, 0, "{finished:#?}");
    let job = site.wait_until_over(&id);
    assert_eq!(job["state"], "cancelled");
    wait_for("the worker is gone", Duration::from_secs(10), || {
        site.pids("node-a", "__worker").is_empty().then_some(())
    });
    site.stop_and_check();
}

#[test]
fn a_worker_killed_from_outside_is_lost_and_its_task_runs_again_for_free() {
    let site = node();
    let id = site.submit_guest("spin", &["--timeout", "5s", "--retries", "0"]);
    let worker = wait_for("a worker runs", Duration::from_secs(30), || {
        site.pids("node-a", "__worker").first().copied()
    });
    site.wait_until_running(&id);
    leftovers::kill(worker);
    let outcome = wait_for(
        "the loss is in the history",
        Duration::from_secs(10),
        || {
            let tasks = site.tasks(&id)?;
            Some(tasks["history"].as_array()?.first()?["outcome"].clone())
        },
    );
    assert_eq!(outcome["reason"], "worker-lost");
    assert_eq!(outcome["signal"], 9);
    let job = site.wait_until_over(&id);
    assert_eq!(
        job["first_failure"]["outcome"]["reason"], "deadline",
        "the second attempt ran on: {job:#}"
    );
}

#[test]
fn a_task_whose_workers_are_lost_three_times_is_poison() {
    let site = node();
    let id = site.submit_guest("spin", &[]);
    let mut killed = Vec::new();
    let job = wait_for("the job gives up", Duration::from_secs(60), || {
        for worker in site.pids("node-a", "__worker") {
            leftovers::kill(worker);
            if killed.last() != Some(&worker) {
                killed.push(worker);
            }
        }
        site.job(&id).filter(|job| job["state"] == "failed")
    });
    assert_eq!(
        job["first_failure"]["outcome"]["reason"], "worker-lost",
        "{job:#}"
    );
    assert_eq!(job["attempts"], 3, "{job:#}");
}

#[test]
fn a_module_with_a_wrong_import_type_is_rejected_by_the_node() {
    let site = node();
    let (code, json) = ended(&site, "wrong-import-type", &["--retries", "5"]);
    assert_eq!(
        (code, json["reason"].as_str()),
        (125, Some("module-rejected"))
    );
    let outcome = last_outcome(&site, &json);
    assert!(
        outcome["what"].as_str().unwrap().contains("fd_write"),
        "{outcome:#}"
    );
}

#[test]
fn a_module_that_does_not_compile_fails_once_and_for_good() {
    let site = node();
    let (code, json) = ended(&site, "bad-body", &["--retries", "5", "--tasks", "3"]);
    assert_eq!(
        (code, json["reason"].as_str()),
        (125, Some("compile-failed"))
    );
    assert_eq!(json["tasks"]["failed"], 3, "{json:#}");
}

#[test]
fn a_slot_that_cannot_be_made_is_a_failed_start() {
    let site = node();
    let slots = site.node_dir("node-a").join("slots");
    std::fs::remove_dir_all(&slots).ok();
    std::fs::write(&slots, "in the way").unwrap();
    let (code, json) = ended(&site, "hello", &[]);
    assert_eq!((code, json["reason"].as_str()), (125, Some("start-failed")));
}

#[test]
fn an_input_that_the_node_may_not_open_is_unavailable() {
    let site = node();
    let (code, json) = ended(&site, "hello", &["--input", "secrets=file:///etc/passwd"]);
    assert_eq!(
        (code, json["reason"].as_str()),
        (125, Some("input-unavailable"))
    );
}

#[test]
fn a_result_comes_back() {
    let site = node();
    let id = site.submit_guest("result", &["--tasks", "3"]);
    assert_eq!(site.wait_until_over(&id)["state"], "succeeded");
    let results = site.stint(["results", &id]);
    assert_eq!(results.code, 0, "{results:#?}");
    let tasks: Vec<u64> = results
        .stdout
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["task"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(tasks, [0, 1, 2]);
}

#[test]
fn files_are_published_whole_after_the_commit_and_not_before() {
    let site = node();
    let output = site.dir().join("published");
    let url = format!("file://{}", output.display());
    let (code, json) = ended(&site, "files", &["--output", &url, "--tasks", "2"]);
    assert_eq!(code, 0, "{json:#}");
    for task in ["0", "1"] {
        let files = std::fs::read_dir(output.join(task)).unwrap().count();
        assert_eq!(files, 2, "task {task}");
    }
    let left = std::fs::read_dir(&output).unwrap().count();
    assert_eq!(
        left, 2,
        "no half of a publication is left beside the two tasks"
    );
}

#[test]
fn what_a_guest_prints_is_runs_own_output() {
    let site = node();
    let wasm = stint_tests::guest::assemble("hello", site.dir());
    let finished = site.stint(["run".as_ref(), wasm.as_os_str()]);
    assert_eq!(finished.code, 0, "{finished:#?}");
    assert!(
        finished.stdout.to_lowercase().contains("hello"),
        "{finished:#?}"
    );
}
