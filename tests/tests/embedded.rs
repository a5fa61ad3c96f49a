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
fn the_json_object_has_the_promised_fields_and_says_what_holds_the_limits() {
    let dir = tempfile::tempdir().unwrap();
    let path = guest(dir.path(), "hello");
    let args = ["run", "--json", "--limits", "wasmtime", &path];
    let finished = embedded(dir.path(), &args);
    assert_eq!(finished.code, 0, "{finished:#?}");
    assert!(finished.stderr.contains("without cgroups"), "{finished:#?}");
    let json = finished.json();
    let fields: Vec<&str> = json
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        fields,
        [
            "attempts", "code", "error", "id", "limits", "reason", "state", "tasks", "usage"
        ]
    );
    let limits = json["limits"].as_str().unwrap();
    assert!(limits.starts_with("wasmtime only: "), "{limits}");
}

#[test]
fn without_cgroups_memory_and_time_hold_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    for (name, flags, code, reason) in [
        (
            "memory-hog",
            ["--memory", "16Mi"],
            125,
            "guest-memory-limit",
        ),
        ("spin", ["--timeout", "300ms"], 124, "deadline"),
    ] {
        let path = guest(dir.path(), name);
        let mut args = vec!["run", "--json", "--limits", "wasmtime"];
        args.extend(flags);
        args.push(&path);
        let finished = embedded(dir.path(), &args);
        let json = finished.json();
        assert_eq!(
            (finished.code, json["reason"].as_str()),
            (code, Some(reason)),
            "{json:#}"
        );
    }
}

#[test]
fn doctor_runs_a_job_and_says_what_works() {
    let dir = tempfile::tempdir().unwrap();
    let finished = embedded(dir.path(), &["doctor", "--json"]);
    assert_eq!(finished.code, 0, "{finished:#?}");
    let json = finished.json();
    assert_eq!(json["ok"], true, "{json:#}");
    assert_eq!(json["trial"]["report"]["state"], "succeeded", "{json:#}");
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
