//! Nothing is leaked: after so many starts, crashes, kills and lost processes a node
//! has as many open files, leaves and directories as after the first of them, and when
//! it has gone there is no process, group, mount or file of an attempt left. Some hundred
//! starts by themselves; ten thousand with `cargo xtask soak`, which sets `STINT_SOAK`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use stint_tests::wait::wait_for;
use stint_tests::{Site, leftovers};

/// Starts of the short form: enough that one leak in ten starts shows.
const STARTS: u64 = 400;
/// Tasks of one job of a round, in the short form and in the long one.
const TASKS: (u64, u64) = (15, 100);
/// Longest that a round may take.
const ROUND_BOUND: Duration = Duration::from_secs(120);
/// More open files than after the first round that are no leak: how many workers wait
/// warm is the demand's to decide, and each has five; and a few tens are closed a little later.
const FILES_MORE_MAX: usize = 140;
const NODE: &str = "node-a";

/// What runs in a round: how each guest ends, and its flags.
const JOBS: [(&str, &[&str]); 8] = [
    ("hello", &["--isolation", "task"]),
    ("hello", &["--isolation", "job"]),
    ("component", &[]),
    ("unreachable", &["--retries", "1"]),
    ("exit-code", &[]),
    ("memory-hog", &["--memory", "16Mi"]),
    ("files", &["--isolation", "task"]),
    ("spin", &["--timeout", "20ms"]),
];

/// What a node holds that must not grow.
#[derive(Debug)]
struct Held {
    files: usize,
    slots: usize,
    mounts: usize,
}

impl Held {
    fn by(site: &Site) -> Self {
        let pids = [site.pids(NODE, "node"), site.pids(NODE, "__keeper")].concat();
        let open = |pid: &i32| fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        let mounts = |pid: &i32| mounts(&format!("/proc/{pid}/mountinfo"), site.dir());
        Self {
            files: pids.iter().map(open).sum(),
            slots: entries(&site.node_dir(NODE).join("slots")),
            mounts: pids.iter().map(mounts).sum(),
        }
    }
}

fn entries(dir: &Path) -> usize {
    fs::read_dir(dir).map_or(0, Iterator::count)
}

/// Mounts of a process below `dir`.
fn mounts(info: &str, dir: &Path) -> usize {
    let dir = dir.display().to_string();
    let text = fs::read_to_string(info).unwrap_or_default();
    text.lines().filter(|line| line.contains(&dir)).count()
}

/// One job of each kind, and one whose workers are killed as they run; how many attempts
/// there were.
fn round(site: &Site, tasks: u64) -> u64 {
    let tasks = tasks.to_string();
    let submit = |(guest, flags): (&str, &[&str])| {
        let common = ["--tasks", &tasks, "--cpu", "0.1", "--memory", "32Mi"];
        // The last of a flag that is given twice would be refused.
        let own = flags.contains(&"--memory");
        let common = if own { &common[..4] } else { &common[..] };
        site.submit_guest(guest, &[common, flags].concat())
    };
    let mut ids: Vec<String> = JOBS.into_iter().map(submit).collect();
    ids.push(submit(("short-sleep", &["--isolation", "task"])));
    let over = |id: &String| {
        let job = site.job(id)?;
        let state = job["state"].as_str()?;
        ["succeeded", "failed"].contains(&state).then_some(job)
    };
    let jobs: Vec<Value> = wait_for("the round is over", ROUND_BOUND, || {
        let slept = ids.last()?;
        if over(slept).is_none() {
            // Every other one that runs, whoever's it is.
            let workers = site.pids(NODE, "__worker");
            workers
                .iter()
                .step_by(2)
                .for_each(|pid| leftovers::kill(*pid));
        }
        ids.iter().map(over).collect()
    });
    jobs.iter().filter_map(|job| job["attempts"].as_u64()).sum()
}

/// All slots are given back, and nothing runs.
fn settle(site: &Site) {
    wait_for("the node is idle", ROUND_BOUND, || {
        let idle = site.pids(NODE, "__worker").is_empty();
        (idle && entries(&site.node_dir(NODE).join("slots")) == 0).then_some(())
    });
}

#[test]
fn after_many_starts_kills_and_crashes_nothing_is_left() {
    let starts = std::env::var("STINT_SOAK").ok();
    let starts = starts.map_or(STARTS, |starts| starts.parse().unwrap());
    let tasks = if starts > STARTS { TASKS.1 } else { TASKS.0 };
    let mut site = Site::with_nodes(&[NODE]);
    let began = Instant::now();
    let mut done = round(&site, tasks);
    settle(&site);
    let first = Held::by(&site);
    let (mut rounds, mut lost) = (1, 0);
    while done < starts {
        // The node process is lost after every third round, and its keeper after every ninth.
        if rounds % 3 == 1 {
            lost += 1;
            site.kill_node_process(NODE);
            if rounds % 9 == 4 {
                let keepers = site.pids(NODE, "__keeper");
                keepers.iter().for_each(|pid| leftovers::kill(*pid));
            }
            site.start_node(NODE, &[]);
        }
        done += round(&site, tasks);
        rounds += 1;
    }
    settle(&site);
    let last = Held::by(&site);
    let _ = writeln!(
        std::io::stderr(),
        "{done} attempts in {rounds} rounds, {lost} lost node processes, {:.1} s\n\
         after the first round {first:?}, after the last {last:?}",
        began.elapsed().as_secs_f64()
    );
    assert!(
        last.files <= first.files + FILES_MORE_MAX,
        "{first:?} {last:?}"
    );
    assert_eq!((last.slots, last.mounts), (0, 0), "{last:?}");
    let dir = site.dir().to_owned();
    site.stop_and_check();
    assert_eq!(mounts("/proc/self/mountinfo", &dir), 0);
}
