//! The guest contract, from a process of its own: its environment is what is tested.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A fresh directory for the test `name`, with an input `words` in `in`.
fn directory(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(directory.join("in")).expect("a directory");
    fs::create_dir_all(directory.join("out")).expect("a directory");
    fs::write(directory.join("in/words"), "little stint\n").expect("an input");
    directory
}

/// Runs an example with nothing but `variables` in its environment.
fn example(name: &str, variables: &[(&str, &Path)]) -> Output {
    let tests = std::env::current_exe().expect("the test's own path");
    let examples = tests.ancestors().nth(2).expect("the target directory");
    Command::new(examples.join("examples").join(name))
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .expect("the example runs")
}

fn echo(variables: &[(&str, &Path)]) -> Output {
    example("echo", variables)
}

#[test]
fn variables_say_which_task_this_is_and_where_its_files_are() {
    let directory = directory("all-variables");
    let (inputs, outputs) = (directory.join("in"), directory.join("out"));
    let output = echo(&[
        ("STINT_TASK_INDEX", Path::new("3")),
        ("STINT_TASK_COUNT", Path::new("12")),
        ("STINT_TRY", Path::new("2")),
        ("STINT_IN", &inputs),
        ("STINT_OUT", &outputs),
    ]);
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let result = fs::read_to_string(outputs.join("result.json")).expect("a result");
    assert_eq!(result, r#"[3, 12, 2, "little stint"]"#);
}

#[test]
fn without_variables_it_is_the_only_task_and_prints() {
    let inputs = directory("no-variables").join("in");
    let output = echo(&[("STINT_IN", &inputs)]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"[0, 1, 1, \"little stint\"]\n");
}

#[test]
fn an_input_that_is_not_there_says_what_to_do() {
    let directory = directory("no-input");
    let output = echo(&[("STINT_IN", &directory)]);
    assert!(!output.status.success());
    let message = String::from_utf8_lossy(&output.stderr);
    let error = stint_sdk::InputError {
        name: "words".to_owned(),
        path: directory.join("words"),
    };
    assert!(message.contains("words"), "{message}");
    assert!(error.to_string().contains("--input words=file://"));
}

#[test]
fn what_is_said_is_appended_and_what_is_saved_is_found_by_the_next_attempt() {
    let directory = directory("said-and-saved");
    let (events, saved) = (directory.join("events"), directory.join("saved"));
    let variables: [(&str, &Path); 2] = [("STINT_EVENTS", &events), ("STINT_CHECKPOINT", &saved)];
    for expected in ["0 -> 1\n", "1 -> 2\n"] {
        let output = example("resume", &variables);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    }
    let said = fs::read_to_string(&events).expect("events");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines[..2],
        [
            r#"{"progress": 0.5, "message": "a \"half\"\u000a"}"#,
            r#"{"metric": "runs", "value": 1}"#
        ]
    );
    assert_eq!(lines.len(), 4);
    let output = example("resume", &[]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0 -> 1\n");
}
