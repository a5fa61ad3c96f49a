//! `stint run` with no server: the same scheduler, keeper and workers, in one command.

use std::path::Path;
use std::process::Command;

use stint_tests::leftovers::{self, TAG};
use stint_tests::site::{Finished, binary, run};

fn embedded(dir: &Path, args: &[&str]) -> Finished {
    let mut command = Command::new(binary());
    command
        .args(args)
        .env_remove("STINT_SERVER")
        .env("XDG_CACHE_HOME", dir.join("cache"));
    command.env(TAG, dir).current_dir(dir);
    run(&mut command)
}

fn guest(dir: &Path, name: &str) -> String {
    stint_tests::guest::assemble(name, dir)
        .display()
        .to_string()
}

#[test]
fn a_module_runs_with_no_server_and_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let finished = embedded(dir.path(), &["run", &guest(dir.path(), "hello")]);
    assert_eq!(finished.code, 0, "{finished:#?}");
    assert!(
        finished.stdout.to_lowercase().contains("hello"),
        "{finished:#?}"
    );
    leftovers::assert_none(&dir.path().display().to_string(), dir.path());
}

#[test]
fn the_exit_code_of_run_is_the_guests() {
    let dir = tempfile::tempdir().unwrap();
    let finished = embedded(dir.path(), &["run", &guest(dir.path(), "exit-code")]);
    assert_eq!(finished.code, 42, "{finished:#?}");
}

#[test]
fn a_deadline_is_124() {
    let dir = tempfile::tempdir().unwrap();
    let path = guest(dir.path(), "spin");
    let finished = embedded(dir.path(), &["run", "--timeout", "300ms", &path]);
    assert_eq!(finished.code, 124, "{finished:#?}");
    assert!(finished.stderr.contains("deadline"), "{finished:#?}");
}

#[test]
fn ctrl_c_cancels_and_is_130() {
    use rustix::process::{Pid, Signal, kill_process};
    let dir = tempfile::tempdir().unwrap();
    let path = guest(dir.path(), "spin");
    let mut command = Command::new(binary());
    command
        .args(["run", &path])
        .env_remove("STINT_SERVER")
        .env(TAG, dir.path());
    command.env("XDG_CACHE_HOME", dir.path().join("cache"));
    let mut child = command.spawn().unwrap();
    let tag = dir.path().display().to_string();
    stint_tests::wait::wait_for("a worker runs", std::time::Duration::from_secs(60), || {
        leftovers::any_running(&tag, "__worker").then_some(())
    });
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    leftovers::assert_none(&tag, dir.path());
}

#[test]
fn a_killed_run_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = guest(dir.path(), "spin");
    let mut command = Command::new(binary());
    command
        .args(["run", &path])
        .env_remove("STINT_SERVER")
        .env(TAG, dir.path());
    command.env("XDG_CACHE_HOME", dir.path().join("cache"));
    let mut child = command.spawn().unwrap();
    let tag = dir.path().display().to_string();
    stint_tests::wait::wait_for("a worker runs", std::time::Duration::from_secs(60), || {
        leftovers::any_running(&tag, "__worker").then_some(())
    });
    child.kill().unwrap();
    child.wait().unwrap();
    leftovers::assert_none(&tag, dir.path());
}
