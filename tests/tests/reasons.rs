//! Reasons that take more than one guest to come about, and what is told with them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::Write as _;
use std::time::Duration;

use serde_json::Value;
use stint_tests::wait::wait_for;
use stint_tests::{Site, guest, leftovers};

const BOUND: Duration = Duration::from_secs(60);

/// The reasons in a job's history so far, oldest first.
fn reasons(site: &Site, job: &str) -> Vec<String> {
    let tasks = site.tasks(job).unwrap();
    let history = tasks["history"].as_array().unwrap().iter();
    let reason = |entry: &Value| entry["outcome"]["reason"].as_str().unwrap().to_owned();
    history.map(reason).collect()
}

#[test]
fn a_trap_is_told_with_its_frames_and_the_guests_last_words() {
    let site = Site::with_nodes(&["node-a"]);
    let (_, json) = site.run_guest("trap-after-words", &[]);
    assert_eq!(json["reason"], "trapped", "{json:#}");
    assert_eq!(json["error"]["detail"], "panicked at the disco", "{json:#}");
    let status = site.stint(["status", json["id"].as_str().unwrap()]);
    for told in ["unreachable", "give_up", "panicked at the disco"] {
        assert!(status.stdout.contains(told), "{told}: {status:#?}");
    }
}

#[test]
fn a_result_that_is_too_large_is_the_outputs_limit() {
    let site = Site::with_nodes(&["node-a"]);
    let (finished, json) = site.run_guest("big-result", &[]);
    let told = (finished.code, json["reason"].as_str());
    assert_eq!(told, (125, Some("output-limit")), "{json:#}");
    let results = site.stint(["results", json["id"].as_str().unwrap()]);
    assert_eq!(results.stdout, "", "what is too large is not kept");
}

#[test]
fn more_than_32_bits_address_is_the_address_spaces_end() {
    let mut site = Site::start();
    // Room for the limit; the guest touches none of it.
    site.start_node("node-a", &["--capacity", "cpu=1,memory=6Gi,scratch=1Gi"]);
    let (finished, json) = site.run_guest("address-space", &["--memory", "5Gi"]);
    let told = (finished.code, json["reason"].as_str());
    assert_eq!(told, (125, Some("address-space")), "{json:#}");
}

#[test]
fn a_compiler_that_dies_is_the_engines_fault_and_the_task_is_tried_again() {
    let site = Site::with_nodes(&["node-a"]);
    // Much code, so that the compiler is found at work.
    let body = "(drop (f64.add (f64.const 1) (f64.const 2)))".repeat(2_000);
    let functions = format!("(func {body})").repeat(40);
    let text = format!("(module (func (export \"_start\")) {functions})");
    let wasm = site.dir().join("much.wasm");
    std::fs::write(&wasm, wat::parse_str(text).unwrap()).unwrap();
    let submitted = site.stint(["submit".as_ref(), wasm.as_os_str()]);
    let compiler = wait_for("a compiler works", BOUND, || {
        site.pids("node-a", "__compile").first().copied()
    });
    leftovers::kill(compiler);
    let id = submitted.stdout.trim();
    assert_eq!(site.wait_until_over(id)["state"], "succeeded");
    assert_eq!(reasons(&site, id), ["engine-fault", "succeeded"]);
}

#[test]
fn what_is_drained_says_so_and_runs_elsewhere() {
    let mut site = Site::with_nodes(&["node-a"]);
    let id = site.submit_guest("sleep-forever", &["--timeout", "20s"]);
    site.wait_until_running(&id);
    site.start_node("node-b", &[]);
    let drained = site.stint(["drain", "node-a", "--within", "0s"]);
    assert_eq!(drained.code, 0, "{drained:#?}");
    wait_for("it is drained", BOUND, || {
        (reasons(&site, &id) == ["drained"]).then_some(())
    });
    wait_for("it runs elsewhere", BOUND, || {
        (!site.pids("node-b", "__worker").is_empty()).then_some(())
    });
    assert_eq!(site.stint(["cancel", &id]).code, 0);
    assert_eq!(site.wait_until_over(&id)["state"], "cancelled");
    site.stop_and_check();
}

#[test]
fn what_the_disk_does_not_hold_is_said_with_the_limit_it_had() {
    let site = Site::with_nodes(&["node-a"]);
    let wasm = guest::assemble("disk-fill", site.dir());
    let finished = site.stint([
        "run".as_ref(),
        "--scratch".as_ref(),
        "8Mi".as_ref(),
        wasm.as_os_str(),
    ]);
    assert_eq!(finished.code, 125, "{finished:#?}");
    for told in ["scratch-full", "--scratch"] {
        assert!(finished.stderr.contains(told), "{told}: {finished:#?}");
    }
}

/// File systems mounted below the site's directory.
fn mounts(site: &Site) -> Vec<String> {
    let all = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let below = site.dir().display().to_string();
    let mounts = all.lines().filter(|line| line.contains(&below));
    mounts.map(str::to_owned).collect()
}

#[test]
fn a_disk_for_each_attempt_ends_where_its_limit_is_and_none_is_left() {
    let mut site = Site::start();
    site.start_node("node-a", &["--scratch-by", "disk"]);
    let nodes = site.get("/v1/nodes").unwrap().1;
    let limits = nodes["nodes"][0]["limits"].as_str().unwrap();
    if !limits.ends_with("scratch: a disk for each attempt") {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: no disk can be mounted ({limits})"
        );
        return;
    }
    for guest in ["disk-fill", "inode-fill"] {
        let (_, json) = site.run_guest(guest, &["--scratch", "8Mi"]);
        assert_eq!(json["reason"], "scratch-full", "{guest}: {json:#}");
    }
    let output = site.dir().join("published");
    let url = format!("file://{}", output.display());
    let (finished, json) = site.run_guest("files", &["--output", &url]);
    assert_eq!(finished.code, 0, "{json:#}");
    assert_eq!(std::fs::read_dir(output.join("0")).unwrap().count(), 2);
    // Everything is killed under a disk; the next node finds it and lets go of it.
    let id = site.submit_guest("sleep-forever", &["--timeout", "60s"]);
    site.wait_until_running(&id);
    assert_eq!(mounts(&site).len(), 1, "the disk of what runs");
    site.kill_whole_node("node-a");
    site.start_node("node-a", &["--scratch-by", "disk"]);
    assert_eq!(site.stint(["cancel", &id]).code, 0);
    site.wait_until_over(&id);
    wait_for("no disk is left", BOUND, || {
        mounts(&site).is_empty().then_some(())
    });
    site.stop_and_check();
}
