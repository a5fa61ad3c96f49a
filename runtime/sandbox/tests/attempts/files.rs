//! What a guest sees and leaves: arguments, environment, files, logs, chance.

use std::fs;

use stint_api::outcome::Outcome;
use stint_api::quantity::Bytes;
use stint_sandbox::{Access, LogFile};

use crate::{Attempt, MEBI};

/// Copies all of `/in/data`, in pieces of 100 bytes, to stdout.
const CAT: &str = r#"(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "data")
  (func (export "_start")
    (if (call $path_open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 4) (i32.const 0)
          (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 24))
      (then unreachable))
    (i32.store (i32.const 32) (i32.const 128))
    (loop $more
      (i32.store (i32.const 36) (i32.const 100))
      (if (call $fd_read (i32.load (i32.const 24)) (i32.const 32) (i32.const 1) (i32.const 36))
        (then unreachable))
      (if (i32.eqz (i32.load (i32.const 36))) (then (return)))
      (if (call $fd_write (i32.const 1) (i32.const 32) (i32.const 1) (i32.const 40))
        (then unreachable))
      (br $more))))"#;

/// Writes 16 random bytes to stdout.
const DICE: &str = r#"(module
  (import "wasi_snapshot_preview1" "random_get"
    (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (if (call $random_get (i32.const 64) (i32.const 16)) (then unreachable))
    (i32.store (i32.const 0) (i32.const 64))
    (i32.store (i32.const 4) (i32.const 16))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

#[test]
fn environment_variables_are_the_plans_and_no_others() {
    let second = Attempt::of("flaky").env("STINT_TRY", "2");
    assert_eq!(second.run().outcome, Outcome::Exited { code: 75 });
    let third = Attempt::of("flaky").env("A", "b").env("STINT_TRY", "3");
    assert_eq!(third.run().outcome, Outcome::Succeeded);
    assert_eq!(third.stdout(), "third try\n");

    let none = Attempt::of_text(
        r#"(module
             (import "wasi_snapshot_preview1" "environ_sizes_get"
               (func $sizes (param i32 i32) (result i32)))
             (memory (export "memory") 1)
             (func (export "_start")
               (drop (call $sizes (i32.const 0) (i32.const 4)))
               (if (i32.load (i32.const 0)) (then unreachable))))"#,
    );
    assert_eq!(none.run().outcome, Outcome::Succeeded);
}

#[test]
fn files_are_written_where_writing_is_allowed() {
    let attempt = Attempt::of("files").dir("out", Access::Write);
    let ran = attempt.run();
    assert_eq!(ran.outcome, Outcome::Succeeded);
    assert_eq!((ran.read, ran.written), (Bytes(0), Bytes(8)));
    let read = |name| fs::read_to_string(attempt.path("out").join(name)).unwrap();
    assert_eq!(
        (read("one.txt"), read("two.txt")),
        ("one\n".into(), "two\n".into())
    );
}

#[test]
fn nothing_is_written_where_only_reading_is_allowed() {
    let attempt = Attempt::of("write-in").dir("in", Access::Read);
    let outcome = attempt.run().outcome;
    assert!(
        matches!(outcome, Outcome::Exited { code: 63 | 69 | 76 }),
        "{outcome}"
    );
    assert_eq!(fs::read_dir(attempt.path("in")).unwrap().count(), 0);
}

#[test]
fn no_path_leads_out_of_a_directory() {
    let text = CAT.replace(
        r#"(data (i32.const 64) "data")"#,
        r#"(data (i32.const 64) "../x")"#,
    );
    let attempt = Attempt::of_text(&text).dir("in", Access::Read);
    fs::write(attempt.path("x"), "secret").unwrap();
    assert_eq!(attempt.run().outcome.reason(), "trapped");

    let attempt = Attempt::of_text(CAT).dir("in", Access::Read);
    fs::write(attempt.path("secret"), "secret").unwrap();
    std::os::unix::fs::symlink(attempt.path("secret"), attempt.path("in/data")).unwrap();
    assert_eq!(attempt.run().outcome.reason(), "trapped");
    assert_eq!(attempt.stdout(), "");
}

#[test]
fn an_input_is_read_and_what_is_read_and_written_is_counted() {
    let attempt = Attempt::of_text(CAT).dir("in", Access::Read);
    let text = "one line, and another. ".repeat(5_000);
    fs::write(attempt.path("in/data"), &text).unwrap();
    let ran = attempt.run();
    assert_eq!(ran.outcome, Outcome::Succeeded);
    assert_eq!(attempt.stdout(), text);
    let all = Bytes(text.len() as u64);
    assert_eq!((ran.read, ran.written), (all, all));
}

#[test]
fn of_a_log_that_passes_its_cap_beginning_and_end_are_kept() {
    let attempt = Attempt::of("log-flood");
    let ran = attempt.run();
    assert_eq!(ran.outcome, Outcome::Succeeded);
    let kept = attempt.plan.log_bytes_max;
    let file = fs::File::open(&attempt.plan.stdout).unwrap();
    assert!(file.metadata().unwrap().len() <= kept + 8);
    assert_eq!(ran.logs_dropped_bytes, 20 * MEBI - kept);
    let cut = LogFile::new(kept).cut(&file).unwrap().unwrap();
    assert_eq!(cut.missing, ran.logs_dropped_bytes);
    assert!(cut.last.ends_with(b"..\n"), "the last line is there");
}

#[test]
fn a_log_goes_on_where_the_file_ends() {
    let attempt = Attempt::of("hello");
    fs::write(&attempt.plan.stdout, "before\n").unwrap();
    attempt.run();
    assert_eq!(attempt.stdout(), "before\nhello\n");
}

#[test]
fn a_log_that_the_disk_does_not_take_ends_no_program() {
    let mut attempt = Attempt::of("hello");
    attempt.plan.stdout = "/dev/full".into();
    let ran = attempt.run();
    assert_eq!(ran.outcome, Outcome::Succeeded);
    assert_eq!(ran.logs_dropped_bytes, 6);
}

#[test]
fn no_two_attempts_see_the_same_chance() {
    let [one, other] = [(); 2].map(|()| {
        let attempt = Attempt::of_text(DICE);
        assert_eq!(attempt.run().outcome, Outcome::Succeeded);
        fs::read(&attempt.plan.stdout).unwrap()
    });
    assert_eq!((one.len(), other.len()), (16, 16));
    assert_ne!(one, other);
}

#[test]
fn chance_fills_any_size_and_ends_where_memory_ends() {
    let attempt = Attempt::of("random").memory(128 * MEBI);
    let outcome = attempt.run().outcome;
    assert_eq!(attempt.stdout(), "given\n");
    match outcome {
        Outcome::Trapped { kind, .. } => assert_eq!(kind, "memory-out-of-bounds"),
        other => panic!("{other}"),
    }
}

#[test]
fn a_guest_that_sleeps_until_a_moment_wakes() {
    let ran = Attempt::of("sleep-until").run();
    assert_eq!(ran.outcome, Outcome::Succeeded);
    assert_eq!(ran.written, Bytes(0));
}
