//! The HTTP API beside the jobs themselves: idempotent submits, streams, probes, tokens.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::{Value, json};
use stint_tests::site::{Finished, run};
use stint_tests::{Site, guest};

fn push(site: &Site, name: &str) -> String {
    let wasm = guest::assemble(name, site.dir());
    let finished = site.stint([
        "module".as_ref(),
        "push".as_ref(),
        wasm.as_os_str(),
        "--json".as_ref(),
    ]);
    assert_eq!(finished.code, 0, "{finished:#?}");
    finished.json()["digest"].as_str().unwrap().to_owned()
}

fn submit(site: &Site, key: &str, body: &Value) -> (u16, Value) {
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", key),
    ];
    site.request("POST", "/v1/jobs", &headers, body.to_string().into_bytes())
        .unwrap()
}

#[test]
fn the_same_key_and_body_make_one_job_even_after_the_scheduler_was_killed() {
    let mut site = Site::with_nodes(&["node-a"]);
    let body = json!({ "module": push(&site, "hello") });
    let (first, made) = submit(&site, "key-1", &body);
    let (second, same) = submit(&site, "key-1", &body);
    assert_eq!((first, second), (201, 200));
    assert_eq!(made["id"], same["id"]);
    site.kill_scheduler();
    site.start_scheduler();
    assert_eq!(submit(&site, "key-1", &body).1["id"], made["id"]);
    let (status, problem) = submit(
        &site,
        "key-1",
        &json!({ "module": body["module"], "tasks": 2 }),
    );
    assert_eq!(status, 422, "{problem:#}");
    let (_, jobs) = site.get("/v1/jobs").unwrap();
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 1, "{jobs:#}");
}

#[test]
fn fifty_equal_submits_at_once_make_one_job() {
    let site = Site::with_nodes(&["node-a"]);
    let body = json!({ "module": push(&site, "hello") });
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..50)
            .map(|_| scope.spawn(|| submit(&site, "key-2", &body).0))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(
        statuses.iter().filter(|status| **status == 201).count(),
        1,
        "{statuses:?}"
    );
    assert!(
        statuses
            .iter()
            .all(|status| [200, 201, 409].contains(status)),
        "{statuses:?}"
    );
    let (_, jobs) = site.get("/v1/jobs").unwrap();
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 1, "{jobs:#}");
}

#[test]
fn events_tell_the_job_s_story_in_order_and_end_with_it() {
    let site = Site::with_nodes(&["node-a"]);
    let (_, json) = site.run_guest("hello", &[]);
    let id = json["id"].as_str().unwrap();
    let events = site.stint(["events", id, "--json"]);
    let kinds: Vec<String> = events
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|event| event["what"]["kind"].as_str().unwrap().to_owned())
        .filter(|kind| kind != "preparing")
        .collect();
    assert_eq!(
        kinds,
        ["submitted", "granted", "started", "ended", "done"],
        "{events:#?}"
    );
}

#[test]
fn logs_outlive_the_attempt() {
    let site = Site::with_nodes(&["node-a"]);
    let (_, json) = site.run_guest("stderr-then-fail", &[]);
    let id = json["id"].as_str().unwrap();
    let stderr = site.stint(["logs", id, "--stderr"]);
    assert_eq!(stderr.code, 0, "{stderr:#?}");
    assert!(
        !stderr.stdout.trim().is_empty(),
        "the guest's stderr is the data: {stderr:#?}"
    );
}

#[test]
fn probes_metrics_and_the_contract_are_served() {
    let site = Site::with_nodes(&["node-a"]);
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(site.get(path).unwrap().0, 200, "{path}");
    }
    let (status, contract) = site.get("/openapi.json").unwrap();
    assert_eq!(status, 200);
    for path in ["/v1/jobs", "/v1/jobs/{id}", "/v1/nodes", "/v1/modules"] {
        assert!(
            contract["paths"].get(path).is_some(),
            "{path} is missing from the contract"
        );
    }
}

fn command(site: &Site, token_file: Option<&std::path::Path>, args: &[&str]) -> Finished {
    let mut command = site.command(args);
    if let Some(file) = token_file {
        command.env("STINT_TOKEN_FILE", file);
    }
    run(&mut command)
}

#[test]
fn without_the_token_nothing_is_answered_but_probes() {
    let mut site = Site::start();
    site.kill_scheduler();
    let token = site.dir().join("token");
    std::fs::write(&token, "a-long-and-secret-token\n").unwrap();
    site.start_scheduler_with(&["--token-file", &token.display().to_string()]);
    assert_eq!(site.get("/healthz").unwrap().0, 200);
    for path in [
        "/v1/jobs",
        "/v1/nodes",
        "/v1/link/orders?node=x&generation=1",
    ] {
        let (status, problem) = site.get(path).unwrap();
        assert_eq!(status, 401, "{path}: {problem:#}");
    }
    let without = command(&site, None, &["jobs"]);
    assert_ne!(without.code, 0, "{without:#?}");
    assert!(without.stderr.contains("token"), "{without:#?}");
    let with = command(&site, Some(&token), &["jobs"]);
    assert_eq!(with.code, 0, "{with:#?}");
}
