//! Inputs that make tasks.

use std::fs;

use serde_json::{Value, json};
use stint_tests::Site;
use stint_tests::s3::S3;

/// What each task of a job said, in the order of tasks.
fn said(site: &Site, id: &str) -> Vec<String> {
    let job = site.wait_until_over(id);
    assert_eq!(job["state"], "succeeded", "{job:#}");
    let tasks = job["tasks"]["total"].as_u64().unwrap_or_default();
    let log = |task: u64| site.stint(["logs", id, "--task", &task.to_string()]).stdout;
    (0..tasks).map(log).collect()
}

fn site(allowed: &str) -> Site {
    let mut site = Site::start();
    site.stop_scheduler();
    site.start_scheduler_with(&["--allow-inputs", allowed]);
    site
}

#[test]
fn each_file_is_a_task_and_a_rerun_reads_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().display().to_string();
    for name in ["b", "a", "c"] {
        fs::write(dir.path().join(format!("{name}.txt")), name).unwrap();
    }
    let mut site = site(&data);
    site.start_node("node", &["--allow-inputs", &data]);
    let input = format!("data=file://{data}/*.txt");
    let flags = ["--input", input.as_str(), "--split", "data=object"];
    let id = site.submit_guest("read-input", &flags);
    assert_eq!(said(&site, &id), ["a", "b", "c"]);
    // What came later is nothing of this job's; what was replaced is said to be.
    fs::write(dir.path().join("d.txt"), "d").unwrap();
    let again = site.stint(["rerun", &id]);
    assert_eq!(again.code, 0, "{again:#?}");
    assert_eq!(said(&site, again.stdout.trim()), ["a", "b", "c"]);
    fs::write(dir.path().join("b.txt"), "other").unwrap();
    let again = site.stint(["rerun", &id]);
    let job = site.wait_until_over(again.stdout.trim());
    let failure = &job["first_failure"]["outcome"];
    assert_eq!(failure["reason"], "input-unavailable", "{job:#}");
    assert_eq!(job["tasks"]["succeeded"], 2, "{job:#}");
    site.stop_and_check();
}

#[test]
fn so_many_lines_are_a_task_wherever_the_object_is() {
    let s3 = S3::start(&["data"]);
    s3.put("data/a.csv", b"1\n2\n3\n4\n5\n");
    s3.put("data/b.csv", b"6\n7");
    let mut site = Site::start();
    site.stop_scheduler();
    site.set_env(s3.env());
    site.start_scheduler_with(&["--allow-inputs", "s3://data/"]);
    site.start_node("node", &["--allow-inputs", "s3://data/"]);
    let flags = ["--input", "data=s3://data/*.csv", "--split", "data=lines:2"];
    let id = site.submit_guest("read-input", &flags);
    assert_eq!(said(&site, &id), ["1\n2\n", "3\n4\n", "5\n", "6\n7"]);
    let flags = ["--input", "data=s3://data/", "--split", "data=object"];
    let id = site.submit_guest("read-input", &flags);
    assert_eq!(said(&site, &id), ["1\n2\n3\n4\n5\n", "6\n7"]);
    site.stop_and_check();
}

#[test]
fn a_submit_that_is_repeated_is_answered_although_the_input_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().display().to_string();
    let file = dir.path().join("a.txt");
    fs::write(&file, "a").unwrap();
    let mut site = site(&data);
    site.start_node("node", &["--allow-inputs", &data]);
    let wasm = stint_tests::guest::assemble("read-input", site.dir());
    let pushed = site.stint(["module", "push", wasm.to_str().unwrap(), "--json"]);
    let url = format!("file://{data}/*.txt");
    let job = json!({
        "module": pushed.json()["digest"],
        "inputs": [{ "name": "data", "url": url, "split": "object" }],
    });
    let submit = |path: &str, key: &str, body: &Value| {
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", key),
        ];
        site.request("POST", path, &headers, body.to_string().into_bytes())
            .unwrap()
    };
    let batch = json!({ "jobs": [job] });
    let (_, one) = submit("/v1/jobs", "one", &job);
    let (_, some) = submit("/v1/jobs:batch", "some", &batch);
    fs::remove_file(file).unwrap();
    assert_eq!(submit("/v1/jobs", "one", &job), (200, one));
    assert_eq!(submit("/v1/jobs:batch", "some", &batch), (200, some));
    let (status, refused) = submit("/v1/jobs", "another", &job);
    assert_eq!(status, 422, "{refused}");
}

#[test]
fn what_cannot_be_split_is_refused_at_submit_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().display().to_string();
    for name in ["a.txt", "b.txt"] {
        fs::write(dir.path().join(name), "1\n").unwrap();
    }
    let site = site(&data);
    let wasm = stint_tests::guest::assemble("read-input", site.dir());
    let refused = |flags: &[&str]| {
        let args = [&["submit"], flags, &[wasm.to_str().unwrap_or_default()]].concat();
        let refused = site.stint(args);
        assert_ne!(refused.code, 0, "{refused:#?}");
        refused.stderr
    };
    let files = format!("data=file://{data}/*.txt");
    let none = format!("data=file://{data}/*.csv");
    for (input, split, more, why) in [
        (
            files.as_str(),
            "data=object",
            &["--tasks", "3"][..],
            "makes 2 tasks",
        ),
        (&none, "data=object", &[], "no object matches"),
        (
            "data=file:///etc/*",
            "data=object",
            &[],
            "start the scheduler with --allow-inputs",
        ),
        (
            "data=s3://data/",
            "data=lines",
            &[],
            "start the scheduler with --allow-inputs",
        ),
        (&files, "other=object", &[], "there is no input `other`"),
        (&files, "data=words", &[], "neither `object` nor `lines`"),
        (&files, "data=lines:0", &[], "0 lines are no task"),
        (
            &files,
            "data=object",
            &["--isolation", "job"],
            "a process each",
        ),
    ] {
        let said = refused(&[&["--input", input, "--split", split], more].concat());
        assert!(said.contains(why), "{input} {split}: {said}");
    }
    site.stop_and_check();
}
