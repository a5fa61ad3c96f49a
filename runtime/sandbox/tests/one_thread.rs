//! A worker is one thread, whatever its guest does: it is forked, jailed and
//! billed as one. Alone in its file, because threads are counted by process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use sha2::{Digest as _, Sha256};
use stint_api::outcome::Outcome;
use stint_sandbox::{Access, Berth, Dir, Files, Interrupt, Plan, Profile, compile};

/// Guests that use what a host likes to do on other threads: files and timers.
const GUESTS: [&str; 5] = [
    "files",
    "sleep-until",
    "short-sleep",
    "log-flood",
    "component",
];

#[test]
fn no_thread_is_started() {
    let dir = tempfile::tempdir().unwrap();
    let over = AtomicBool::new(false);
    let with_watch = threads() + 1;
    let most = thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = threads();
            while !over.load(Ordering::Relaxed) {
                most = most.max(threads());
            }
            most
        });
        for guest in GUESTS {
            let expected = match guest {
                "component" => Outcome::Exited { code: 1 },
                _ => Outcome::Succeeded,
            };
            assert_eq!(attempt(guest, dir.path()), expected, "{guest}");
        }
        over.store(true, Ordering::Relaxed);
        watch.join().unwrap()
    });
    assert_eq!(most, with_watch);
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

fn attempt(guest: &str, dir: &std::path::Path) -> Outcome {
    let jobs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/jobs");
    let compiled = compile(&wat::parse_file(format!("{jobs}/{guest}.wat")).unwrap()).unwrap();
    let artifact = dir.join(guest);
    fs::write(&artifact, &compiled).unwrap();
    let plan = Plan {
        artifact,
        artifact_sha256: Sha256::digest(&compiled).into(),
        profile: Profile::Plain,
        entry: stint_api::kit::Entry::default(),
        args: vec![guest.to_owned()],
        env: Vec::new(),
        memory_limit_bytes: 64 << 20,
        dirs: vec![Dir {
            host: dir.to_owned(),
            guest: "/out".to_owned(),
            access: Access::Write,
        }],
        stdout: dir.join("stdout"),
        stderr: dir.join("stderr"),
        log_bytes_max: 1 << 20,
    };
    let interrupt = Interrupt::new(Profile::Plain).unwrap();
    let mut berth = Berth::new(&interrupt).unwrap();
    berth.settle();
    let artifact = Files::artifact(&plan).unwrap();
    let loaded = berth
        .load(artifact, plan.profile, Some(&plan.artifact_sha256))
        .unwrap();
    let files = Files::open(&plan).unwrap();
    let attempt = berth.attempt(&loaded, &plan.guest(), files).unwrap();
    attempt.run().outcome
}
