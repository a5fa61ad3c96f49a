//! Outputs in buckets of a real S3 server.

use std::time::Duration;

use stint_tests::Site;
use stint_tests::s3::{S3, SECRET};
use stint_tests::wait::wait_for;

/// Longest until a first object is there: the tasks before it take milliseconds.
const FIRST_BOUND: Duration = Duration::from_secs(60);

fn site(s3: &S3) -> Site {
    let mut site = Site::start();
    site.set_env(s3.env());
    site.start_node("node", &["--allow-outputs", "s3://out/run/"]);
    site
}

/// The keys of whole sets of so many tasks.
fn sets(tasks: u32) -> Vec<String> {
    let names = ["_SUCCESS", "one.txt", "two.txt"];
    let mut keys: Vec<String> = (0..tasks)
        .flat_map(|task| names.map(|name| format!("run/{task}/{name}")))
        .collect();
    keys.sort();
    keys
}

#[test]
fn what_tasks_leave_is_in_the_bucket_whole_and_nothing_else() {
    let s3 = S3::start(&["out"]);
    let site = site(&s3);
    // Of an earlier set, which had a file more.
    s3.put("out/run/1/three.txt", b"old");
    let flags = ["--tasks", "3", "--output", "s3://out/run"];
    let (ran, json) = site.run_guest("files", &flags);
    assert_eq!(ran.code, 0, "{json:#}");
    assert_eq!(s3.keys("out"), sets(3));
    assert_eq!(s3.get("out/run/2/two.txt"), "two\n");
    let mark = s3.get("out/run/2/_SUCCESS");
    assert!(
        mark.contains("\"one.txt\"") && mark.contains(".t2."),
        "{mark}"
    );
    // A task that fails leaves nothing.
    let (_, json) = site.run_guest("half-output", &["--output", "s3://out/run/failed"]);
    assert_eq!(json["reason"], "trapped", "{json:#}");
    assert_eq!(s3.keys("out"), sets(3));
    for (output, why) in [
        ("s3://out/elsewhere", "--allow-outputs s3://out/"),
        ("s3://other/x", "--allow-outputs s3://other/"),
    ] {
        let (_, json) = site.run_guest("files", &["--output", output]);
        assert_eq!(json["reason"], "output-refused", "{json:#}");
        let said = json["error"]["message"].as_str().unwrap_or_default();
        assert!(said.contains(why) && !said.contains(SECRET), "{said}");
    }
    assert_eq!(s3.uploads("out"), 0);
    site.stop_and_check();
}

#[test]
fn a_node_process_that_is_killed_while_it_publishes_leaves_whole_sets() {
    let s3 = S3::start(&["out"]);
    let mut site = site(&s3);
    let flags = ["--tasks", "24", "--output", "s3://out/run"];
    let id = site.submit_guest("files", &flags);
    for some in [1, 12] {
        wait_for("some objects are there", FIRST_BOUND, || {
            (s3.keys("out").len() >= some).then_some(())
        });
        site.kill_node_process("node");
        site.start_node("node", &["--allow-outputs", "s3://out/run/"]);
    }
    let job = site.wait_until_over(&id);
    assert_eq!(job["state"], "succeeded", "{job:#}");
    assert_eq!(s3.keys("out"), sets(24));
    // A kill between the beginning of an upload and the line that names it: one for each
    // file that is written at once.
    assert!(s3.uploads("out") <= 2 * 4);
    site.stop_and_check();
}
