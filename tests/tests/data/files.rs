//! Inputs that are files of the nodes.

use std::fs;

use stint_tests::Site;

#[test]
fn ten_thousand_files_that_match_are_one_directory() {
    let site = Site::with_nodes(&["node"]);
    let data = site.dir().join("many");
    fs::create_dir(&data).unwrap();
    for number in 0..10_000 {
        fs::write(data.join(format!("{number}.csv")), "x").unwrap();
    }
    fs::write(data.join("other.txt"), "x").unwrap();
    let input = format!("data=file://{}/*.csv", data.display());
    let id = site.submit_guest("count-input", &["--input", &input, "--tasks", "2"]);
    let job = site.wait_until_over(&id);
    assert_eq!(job["state"], "succeeded", "{job:#}");
    let said = site.stint(["logs", &id]).stdout;
    // In whatever order they came.
    assert_eq!(said.matches("] 10000\n").count(), 2, "{said}");
    // As they are, without a star.
    let input = format!("data=file://{}", data.display());
    let (ran, _) = site.run_guest("count-input", &["--input", &input]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    let none = format!("data=file://{}/*.parquet", data.display());
    let (_, json) = site.run_guest("count-input", &["--input", &none]);
    assert_eq!(json["reason"], "input-unavailable");
    let said = json["error"]["message"].as_str().unwrap_or_default();
    assert!(said.contains("no object matches"), "{said}");
    site.stop_and_check();
}
