//! Inputs in buckets of a real S3 server.

use std::fs;
use std::path::Path;

use stint_tests::Site;
use stint_tests::s3::{S3, SECRET};

/// Whether a text is in a file below a directory.
fn is_said(dir: &Path, text: &str) -> bool {
    let mut rest = vec![dir.to_owned()];
    while let Some(dir) = rest.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => rest.push(entry.path()),
                Ok(kind) if kind.is_file() => {
                    let bytes = fs::read(entry.path()).unwrap_or_default();
                    if bytes
                        .windows(text.len())
                        .any(|part| part == text.as_bytes())
                    {
                        return true;
                    }
                }
                _ => {}
            }
        }
    }
    false
}

#[test]
fn objects_of_a_bucket_are_read_with_the_nodes_own_credentials() {
    let s3 = S3::start(&["data", "closed"]);
    let mut site = Site::start();
    site.set_env(s3.env());
    site.start_node("node", &["--allow-inputs", "s3://data/years/"]);
    s3.put("data/years/1987-a.csv", b"one");
    s3.put("data/years/1988.csv", b"two");
    s3.put("data/years/deep/1989.csv", b"three");
    s3.put("data/secret", b"four");
    let run = |guest: &str, url: &str| {
        let id = site.submit_guest(guest, &["--input", &format!("data={url}")]);
        let job = site.wait_until_over(&id);
        assert_eq!(job["state"], "succeeded", "{job:#}");
        site.stint(["logs", &id]).stdout
    };
    assert_eq!(run("read-input", "s3://data/years/1987-a.csv"), "one");
    assert_eq!(run("count-input", "s3://data/years/*.csv"), "2\n");
    // The files, and the directory beside them.
    assert_eq!(run("count-input", "s3://data/years/"), "3\n");
    s3.put("data/years/1987-a.csv", b"another");
    assert_eq!(run("read-input", "s3://data/years/1987-a.csv"), "another");
    for (url, why) in [
        ("s3://data/years/2000.csv", "there is no such object"),
        ("s3://data/years/*.parquet", "no object matches"),
        ("s3://data/secret", "--allow-inputs s3://data/"),
        ("s3://closed/x", "--allow-inputs s3://closed/"),
    ] {
        let (_, json) = site.run_guest("read-input", &["--input", &format!("data={url}")]);
        assert_eq!(json["reason"], "input-unavailable", "{json:#}");
        let said = json["error"]["message"].as_str().unwrap_or_default();
        assert!(said.contains(why), "{url}: {said}");
    }
    site.stop_node("node");
    assert!(
        !is_said(site.dir(), SECRET),
        "the node's key is written down"
    );
    site.stop_and_check();
}
