//! What fails is tried again: on the node, within its budget, with a wait.

use stint_tests::Site;

#[test]
fn a_task_that_fails_twice_succeeds_on_its_third_try() {
    let site = Site::with_nodes(&["node-a"]);
    let (finished, json) = site.run_guest("flaky", &["--retries", "3"]);
    assert_eq!(finished.code, 0, "{json:#}");
    assert_eq!(json["attempts"], 3, "{json:#}");
    let tasks = site.tasks(json["id"].as_str().unwrap()).unwrap();
    let reasons: Vec<&str> = tasks["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["outcome"]["reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons, ["exited", "exited", "succeeded"]);
    site.stop_and_check();
}

#[test]
fn a_budget_that_is_spent_is_spent() {
    let site = Site::with_nodes(&["node-a"]);
    let (finished, json) = site.run_guest("flaky", &["--retries", "1"]);
    assert_eq!(json["attempts"], 2, "{json:#}");
    assert_eq!(
        (json["state"].as_str(), json["reason"].as_str()),
        (Some("failed"), Some("exited"))
    );
    assert_eq!(
        Some(finished.code),
        json["code"].as_i64().map(|c| i32::try_from(c).unwrap())
    );
}

#[test]
fn many_tasks_share_two_nodes_and_all_succeed() {
    let site = Site::with_nodes(&["node-a", "node-b"]);
    let (finished, json) = site.run_guest("hello", &["--tasks", "50", "--cpu", "500m"]);
    assert_eq!(finished.code, 0, "{json:#}");
    assert_eq!(json["tasks"]["succeeded"], 50);
    let tasks = site.tasks(json["id"].as_str().unwrap()).unwrap();
    let nodes: std::collections::BTreeSet<&str> = tasks["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["node"].as_str().unwrap())
        .collect();
    assert_eq!(nodes.len(), 2, "both nodes worked");
    site.stop_and_check();
}
