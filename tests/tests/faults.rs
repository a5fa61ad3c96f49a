//! Faults that no code is asked about: networks that are cut, machines that stand
//! still, disks that are full or tell something else than was written.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use stint_tests::Site;
use stint_tests::network::{Cut, Network};
use stint_tests::wait::wait_for;

/// Short, for what is waited for here is its end.
const LEASE: &str = "1500ms";
/// Longest that anything here may take: the machine may be busy.
const BOUND: Duration = Duration::from_secs(60);

/// `(node, reason)` of each attempt that ended.
fn history(site: &Site, id: &str) -> Vec<(String, String)> {
    let tasks = site.tasks(id).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let history = tasks["history"].as_array().unwrap().iter();
    let told = history.map(|entry| (text(&entry["node"]), text(&entry["outcome"]["reason"])));
    told.collect()
}

fn expect_it_elsewhere(site: &Site, id: &str) {
    let job = site.wait_until_over(id);
    assert_eq!(job["first_failure"]["outcome"]["reason"], "deadline");
    let told = history(site, id);
    let told: Vec<_> = told.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(told, [("node-a", "node-lost"), ("node-b", "deadline")]);
}

fn a_partition(how: Cut) {
    let Some(network) = Network::make() else {
        return;
    };
    let mut site = Site::start_with_lease(LEASE);
    site.start_node_within(&network, "node-a");
    let id = site.submit_guest("spin", &["--timeout", "3s"]);
    site.wait_until_running(&id);
    site.start_node("node-b", &[]);
    network.cut(how);
    wait_for("the node is taken for lost", BOUND, || {
        site.node_state("node-a").filter(|state| state == "lost")
    });
    // The lease ends on the node first.
    let workers = site.pids("node-a", "__worker");
    assert!(workers.is_empty(), "it has stopped by then: {workers:?}");
    expect_it_elsewhere(&site, &id);
    network.mend(how);
    wait_for("the node is back", BOUND, || {
        site.node_state("node-a").filter(|state| state == "ready")
    });
    assert_eq!(history(&site, &id).len(), 2, "it has nothing to add");
    site.stop_and_check();
}

#[test]
fn a_node_that_is_cut_off_stops_before_its_work_runs_elsewhere() {
    a_partition(Cut::Both);
}

#[test]
fn a_node_that_is_not_heard_is_lost_although_it_hears() {
    a_partition(Cut::FromNode);
}

#[test]
fn a_node_that_does_not_hear_stops_although_it_is_heard() {
    a_partition(Cut::ToNode);
}

#[test]
fn a_machine_that_stood_still_changes_nothing_when_it_goes_on() {
    let mut site = Site::start_with_lease(LEASE);
    site.start_node("node-a", &[]);
    let id = site.submit_guest("spin", &["--timeout", "3s"]);
    site.wait_until_running(&id);
    site.freeze_node("node-a", true);
    site.start_node("node-b", &[]);
    expect_it_elsewhere(&site, &id);
    site.freeze_node("node-a", false);
    wait_for("the node is back", BOUND, || {
        site.node_state("node-a").filter(|state| state == "ready")
    });
    wait_for("what it ran is stopped", BOUND, || {
        site.pids("node-a", "__worker").is_empty().then_some(())
    });
    assert_eq!(history(&site, &id).len(), 2, "it has nothing to add");
    site.stop_and_check();
}

/// A file system in memory with so many bytes, gone with the value.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]);
        if mount.arg(at).status().is_ok_and(|status| status.success()) {
            return Some(Self(at.to_owned()));
        }
        let told = writeln!(std::io::stderr(), "SKIPPED: no file system can be mounted");
        told.unwrap();
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_scheduler_whose_disk_is_full_says_so_and_has_lost_nothing_when_there_is_room() {
    let mut site = Site::start();
    site.kill_scheduler();
    let data = site.dir().join("scheduler");
    fs::remove_dir_all(&data).unwrap();
    let Some(disk) = SmallDisk::mount(&data, "6m") else {
        return;
    };
    site.start_scheduler();
    let first = site.submit_guest("hello", &[]);
    let module = site.job(&first).unwrap()["spec"]["module"].clone();
    assert!(module.is_string(), "{:#?}", site.job(&first));
    let filler = data.join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    drop(file);
    // What need not be kept goes on, and what cannot be is refused in words.
    let pushed = site.stint(["submit".as_ref(), site.dir().join("hello.wasm").as_os_str()]);
    assert_ne!(pushed.code, 0);
    assert!(site.job(&first).is_some());
    let mut accepted = vec![first];
    let spec = serde_json::json!({ "module": module }).to_string();
    for _ in 0..500 {
        let json = [("content-type", "application/json")];
        match site.request("POST", "/v1/jobs", &json, spec.clone().into()) {
            Some((201, submitted)) => accepted.push(submitted["id"].as_str().unwrap().to_owned()),
            _ => break,
        }
    }
    wait_for("the scheduler ends", BOUND, || site.scheduler_ended());
    let log = site.log_of("scheduler");
    assert!(log.contains("full") || log.contains("No space"), "{log}");
    fs::remove_file(&filler).unwrap();
    site.start_scheduler();
    for id in &accepted {
        let job = site.job(id);
        assert!(job.is_some(), "{id} was accepted");
    }
    site.start_node("node-a", &[]);
    for id in &accepted {
        assert_eq!(site.wait_until_over(id)["state"], "succeeded");
    }
    site.kill_scheduler();
    drop(disk);
}

#[test]
fn a_record_that_was_damaged_is_named_and_the_scheduler_does_not_start() {
    let mut site = Site::start();
    site.submit_guest("hello", &[]);
    site.stop_scheduler();
    let path = site.dir().join("scheduler/records.sqlite");
    let mut bytes = fs::read(&path).unwrap();
    // The module's name within a record of the job.
    let module = b"\"spec\"";
    let at = bytes.windows(module.len()).rposition(|part| part == module);
    bytes[at.expect("the job is in the file") + 1] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let data = site.dir().join("scheduler");
    let mut serve = site.command(["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
    let refused = stint_tests::site::run(serve.arg(&data));
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains("damaged"), "{refused:#?}");
    assert!(refused.stderr.contains("restore"), "{refused:#?}");
    let again = stint_tests::site::run(&mut serve);
    assert_eq!(again.stderr, refused.stderr, "it stays as it is");
}
