//! Limits against the kernel that runs this, v1 or v2: they hold, they tell, and
//! nothing is left. Where no cgroup can be made each test says aloud that it was
//! skipped; with `STINT_REQUIRE_CGROUP` set it fails instead.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use stint_cgroup::{
    AddError, CreateError, DeleteError, Door, ENTER, Leaf, Limits, RemoveError, Tree, probe,
};

/// Generous, because the machine may be emulated and busy; reached only by a failure.
const PATIENCE: Duration = Duration::from_secs(60);

const ROOMY: Limits = Limits {
    cpu_millicores: 1_000,
    memory_bytes: 64 << 20,
    pids: 32,
};

/// A tree of its own for each test, swept and removed when the test ends.
struct Held {
    tree: Option<Tree>,
}

impl Held {
    fn open() -> Option<Held> {
        if let Err(error) = probe() {
            assert!(
                std::env::var_os("STINT_REQUIRE_CGROUP").is_none(),
                "cgroups are required here: {error}"
            );
            // Not by a macro: the test harness would swallow that.
            let mut stderr = std::io::stderr();
            writeln!(stderr, "SKIPPED, cgroups cannot be used here: {error}").unwrap();
            return None;
        }
        Some(Held {
            tree: Some(Tree::open(&tree_name()).unwrap()),
        })
    }

    fn tree(&self) -> &Tree {
        self.tree.as_ref().unwrap()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(tree) = self.tree.take() {
            tree.sweep().unwrap();
            tree.remove().unwrap();
        }
    }
}

fn tree_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("stint-test-{}/t{number}", std::process::id())
}

/// A shell that waits for a line before it does what `script` says.
fn waiting_shell(script: &str) -> Child {
    Command::new("/bin/sh")
        .args(["-c", &format!("read _; {script}")])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn start_in(leaf: &Leaf, script: &str) -> Child {
    let mut child = waiting_shell(script);
    leaf.add(child.id()).unwrap();
    child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    child
}

fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

fn is_readable(leaf: &Leaf, wait: Duration) -> bool {
    let fd = leaf.oom_events();
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    let wait = Timespec::try_from(wait).unwrap();
    poll(&mut fds, Some(&wait)).unwrap() == 1
}

#[test]
fn a_new_leaf_is_empty_and_has_used_nothing() {
    let Some(held) = Held::open() else { return };
    let leaf = held.tree().leaf("one", &ROOMY).unwrap();
    assert_eq!(leaf.name(), "one");
    assert!(leaf.is_empty().unwrap());
    let usage = leaf.usage().unwrap();
    assert_eq!((usage.cpu_nanos, usage.oom_kills), (0, 0));
    assert!(!is_readable(&leaf, Duration::ZERO));
    leaf.delete().unwrap();
    leaf.usage().unwrap_err();
    leaf.is_empty().unwrap_err();
    leaf.delete().unwrap();
}

#[test]
fn the_same_name_is_not_given_twice() {
    let Some(held) = Held::open() else { return };
    let leaf = held.tree().leaf("one", &ROOMY).unwrap();
    let again = held.tree().leaf("one", &ROOMY);
    assert!(matches!(again, Err(CreateError::Exists { .. })));
    leaf.delete().unwrap();
    held.tree().leaf("one", &ROOMY).unwrap().delete().unwrap();
}

#[test]
fn who_takes_too_much_memory_is_killed_and_it_is_told() {
    let Some(held) = Held::open() else { return };
    let limits = Limits {
        memory_bytes: 16 << 20,
        ..ROOMY
    };
    let leaf = held.tree().leaf("greedy", &limits).unwrap();
    let mut child = start_in(&leaf, "x=0123456789abcdef; while :; do x=$x$x; done");
    assert!(is_readable(&leaf, PATIENCE), "no event arrived");
    let status = child.wait().unwrap();
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(9)
    );
    eventually("the kill is counted", || {
        leaf.usage().unwrap().oom_kills >= 1
    });
    let peak = leaf.usage().unwrap().peak_memory_bytes;
    assert!((8 << 20..=16 << 20).contains(&peak), "peak of {peak} bytes");
    leaf.clear_oom_events();
    leaf.delete().unwrap();
}

#[test]
fn who_stays_within_its_memory_causes_no_event() {
    let Some(held) = Held::open() else { return };
    let leaf = held.tree().leaf("modest", &ROOMY).unwrap();
    let mut child = start_in(&leaf, "exit 7");
    assert_eq!(child.wait().unwrap().code(), Some(7));
    assert!(!is_readable(&leaf, Duration::ZERO));
    let usage = leaf.usage().unwrap();
    assert_eq!(usage.oom_kills, 0);
    assert!(usage.cpu_nanos > 0);
    leaf.delete().unwrap();
}

#[test]
fn a_tenth_of_a_core_is_no_more_than_that() {
    let Some(held) = Held::open() else { return };
    let limits = Limits {
        cpu_millicores: 100,
        ..ROOMY
    };
    let leaf = held.tree().leaf("busy", &limits).unwrap();
    let start = Instant::now();
    let mut child = start_in(&leaf, "while :; do :; done");
    let goal = Duration::from_millis(60);
    eventually("it has run for a while", || {
        u128::from(leaf.usage().unwrap().cpu_nanos) >= goal.as_nanos()
    });
    // At full speed this takes the goal itself, at a tenth ten times as long; a
    // slow or busy machine only takes longer.
    let took = start.elapsed();
    assert!(took >= goal * 5, "{goal:?} of CPU time within {took:?}");
    assert!(leaf.usage().unwrap().throttled_nanos > 0);
    leaf.kill().unwrap();
    child.wait().unwrap();
    leaf.delete().unwrap();
}

#[test]
fn no_more_processes_than_allowed_can_be_started() {
    let Some(held) = Held::open() else { return };
    let limits = Limits { pids: 3, ..ROOMY };
    let leaf = held.tree().leaf("forks", &limits).unwrap();
    let mut child = start_in(
        &leaf,
        "sleep 1000 & sleep 1000 & sleep 1000 & sleep 1000 & exit 0",
    );
    let status = child.wait().unwrap();
    assert!(!status.success(), "the shell could start all of them");
    assert!(!leaf.is_empty().unwrap(), "two of them are left");
    leaf.kill().unwrap();
    assert!(leaf.is_empty().unwrap());
    leaf.delete().unwrap();
}

#[test]
fn kill_ends_every_process_and_the_leaf_can_be_used_again() {
    let Some(held) = Held::open() else { return };
    let leaf = held.tree().leaf("many", &ROOMY).unwrap();
    let script = "trap '' TERM; sleep 1000 & (sleep 1000 & sleep 1000) & while :; do sleep 1; done";
    let mut child = start_in(&leaf, script);
    let populated = leaf.delete().unwrap_err();
    assert!(matches!(populated, DeleteError::Populated { .. }));
    leaf.kill().unwrap();
    assert!(leaf.is_empty().unwrap());
    child.wait().unwrap();
    let mut again = start_in(&leaf, "(exit 3); exit $?");
    assert_eq!(again.wait().unwrap().code(), Some(3));
    leaf.kill().unwrap();
    leaf.delete().unwrap();
}

#[test]
fn a_fork_bomb_dies_whole() {
    let Some(held) = Held::open() else { return };
    let leaf = held.tree().leaf("bomb", &ROOMY).unwrap();
    let mut child = start_in(&leaf, "while :; do (sleep 1000; :) & (: ) & done");
    eventually("it runs", || leaf.usage().unwrap().cpu_nanos > 2_000_000);
    leaf.kill().unwrap();
    assert!(leaf.is_empty().unwrap());
    child.wait().unwrap();
    leaf.delete().unwrap();
}

#[test]
fn limits_are_raised_and_lowered_while_processes_run() {
    let Some(held) = Held::open() else { return };
    let mut leaf = held.tree().leaf("job", &ROOMY).unwrap();
    let mut child = start_in(&leaf, "read line");
    let changed = |memory_bytes, cpu_millicores, pids| Limits {
        cpu_millicores,
        memory_bytes,
        pids,
    };
    for limits in [
        changed(256 << 20, 1_000, 32),
        changed(32 << 20, 250, 8),
        changed(32 << 20, 2_000, 8),
        ROOMY,
    ] {
        leaf.limit(&limits).unwrap();
    }
    assert!(leaf.limit(&changed(0, 1, 1)).is_err());
    leaf.limit(&ROOMY).unwrap();
    leaf.kill().unwrap();
    child.wait().unwrap();
    leaf.delete().unwrap();
}

#[test]
fn a_process_that_stands_still_dies_at_once_when_it_may_run_again() {
    let Some(held) = Held::open() else { return };
    let tiny = Limits {
        cpu_millicores: 1,
        ..ROOMY
    };
    let leaf = held.tree().leaf("job", &tiny).unwrap();
    let mut child = start_in(&leaf, "while :; do :; done");
    eventually("it has used up its share", || {
        leaf.usage().unwrap().cpu_nanos > 1_000_000
    });
    leaf.unthrottle().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let throttled = leaf.usage().unwrap().throttled_nanos;
    // A millisecond in a second, and so to the second's end, had it not been let go.
    assert!(throttled < 900_000_000, "{throttled}");
    leaf.delete().unwrap();
}

#[test]
fn a_process_enters_by_the_door() {
    let Some(held) = Held::open() else { return };
    let leaf = held.tree().leaf("job", &ROOMY).unwrap();
    let files = match leaf.door().unwrap() {
        Door::Files(files) => files,
        Door::Directory(_) => return,
    };
    assert_eq!(ENTER, b"0");
    let own = std::process::id();
    let enters = files.iter().map(|file| {
        let fd = std::os::fd::AsRawFd::as_raw_fd(file);
        format!("echo 0 > /proc/{own}/fd/{fd}; ")
    });
    let script = enters.collect::<String>() + "read line";
    let mut child = Command::new("/bin/sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("the process is in it", || leaf.holds(child.id()));
    assert!(!leaf.holds(own));
    leaf.kill().unwrap();
    child.wait().unwrap();
    leaf.delete().unwrap();
}

#[test]
fn a_process_that_is_gone_cannot_be_added() {
    let Some(held) = Held::open() else { return };
    let leaf = held.tree().leaf("late", &ROOMY).unwrap();
    let mut child = waiting_shell("exit 0");
    drop(child.stdin.take());
    child.wait().unwrap();
    let late = leaf.add(child.id());
    assert!(matches!(late, Err(AddError::NoProcess { .. })), "{late:?}");
    leaf.delete().unwrap();
}

#[test]
fn a_sweep_ends_what_a_dead_keeper_left() {
    let Some(held) = Held::open() else { return };
    let left = held.tree().leaf("left", &ROOMY).unwrap();
    let mut child = start_in(&left, "sleep 1000; sleep 1000");
    drop(left);
    drop(held.tree().leaf("empty", &ROOMY).unwrap());
    assert_eq!(held.tree().sweep().unwrap(), 2);
    child.wait().unwrap();
    assert_eq!(held.tree().sweep().unwrap(), 0);
}

#[test]
fn a_tree_is_found_again_and_goes_only_when_it_is_empty() {
    let Some(_) = Held::open() else { return };
    let name = tree_name();
    let first = Tree::open(&name).unwrap();
    let leaf = first.leaf("one", &ROOMY).unwrap();
    let second = Tree::open(&name).unwrap();
    assert!(matches!(
        second.leaf("one", &ROOMY),
        Err(CreateError::Exists { .. })
    ));
    assert!(matches!(second.remove(), Err(RemoveError::NotEmpty { .. })));
    leaf.delete().unwrap();
    first.remove().unwrap();
    let fresh = Tree::open(&name).unwrap();
    assert_eq!(fresh.sweep().unwrap(), 0);
    fresh.remove().unwrap();
}
