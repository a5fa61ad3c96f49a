//! What the guest contract gives authors, on real processes: progress and metrics that
//! are seen while a task runs, and a checkpoint that outlives a killed worker.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use stint_tests::Site;
use stint_tests::leftovers;
use stint_tests::wait::wait_for;

/// Longest until a task has said something: it starts in milliseconds, a busy machine takes seconds.
const SAID_BOUND: Duration = Duration::from_secs(30);

/// The example, as `cargo xtask guests` builds it.
fn montecarlo() -> PathBuf {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/guests");
    let program = guests.join("montecarlo.wasm");
    assert!(program.is_file(), "run `cargo xtask guests` first");
    program
}

fn submit(site: &Site, chunks: &str) -> String {
    let program = montecarlo();
    let submitted = site.stint(["submit", program.to_str().unwrap(), "--", chunks]);
    assert_eq!(submitted.code, 0, "{submitted:#?}");
    submitted.stdout.trim().to_owned()
}

fn result(site: &Site, id: &str) -> Value {
    let results = site.stint(["results", id]);
    let line: Value = serde_json::from_str(results.stdout.trim()).unwrap();
    line["result"].clone()
}

#[test]
fn a_killed_task_says_how_far_it_is_and_goes_on_where_it_was() {
    let site = Site::with_nodes(&["node-a"]);
    let id = submit(&site, "40");
    let said = wait_for("the task says how far it is", SAID_BOUND, || {
        let said = site.tasks(&id)?["said"][0]["said"].clone();
        (said["progress"].as_f64()? > 0.0).then_some(said)
    });
    assert!(said["metrics"]["price"].is_number(), "{said}");
    assert!(
        said["message"].as_str().unwrap().starts_with("chunk "),
        "{said}"
    );
    let status = site.stint(["status", &id]);
    assert!(status.stdout.contains(" of 40, price="), "{status:#?}");
    for pid in site.pids("node-a", "__worker") {
        leftovers::kill(pid);
    }
    let job = site.wait_until_over(&id);
    assert_eq!(job["state"], "succeeded", "{job:#}");
    assert_eq!(job["attempts"], 2, "{job:#}");
    let resumed = result(&site, &id);
    assert!(resumed["resumed_at"].as_u64().unwrap() > 0, "{resumed}");

    let whole = submit(&site, "40");
    site.wait_until_over(&whole);
    let whole = result(&site, &whole);
    assert_eq!(whole["resumed_at"], 0);
    assert_eq!(whole["price"], resumed["price"]);
    site.stop_and_check();
}
