//! Exit codes, traps and exceptions.

use std::fs;

use stint_api::outcome::Outcome;

use crate::Attempt;

/// The kind and the frames of a trap.
fn trap(attempt: &Attempt) -> (String, Vec<String>) {
    match attempt.run().outcome {
        Outcome::Trapped { kind, backtrace } => {
            (kind, backtrace.lines().map(str::to_owned).collect())
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_guest_that_returns_has_succeeded() {
    let attempt = Attempt::of("hello");
    let ran = attempt.run();
    assert_eq!(ran.outcome, Outcome::Succeeded);
    assert_eq!(attempt.stdout(), "hello\n");
    assert_eq!(ran.peak_guest_memory.0, 64 << 10);
    assert_eq!(ran.refused_growth.0, 0);
    assert_eq!(ran.logs_dropped_bytes, 0);
}

#[test]
fn an_exit_code_is_exact_whatever_it_is() {
    let attempt = Attempt::of("exit-code");
    for code in [1, 42, 123, 124, 125, 126, 127, 137, 255, 256, u32::MAX] {
        let mut plan = attempt.plan.clone();
        plan.args.push(code.to_string());
        let ran = crate::run(&plan, &attempt.interrupt());
        assert_eq!(ran.outcome, Outcome::Exited { code });
    }
    assert_eq!(attempt.arg("0").run().outcome, Outcome::Succeeded);
}

#[test]
fn a_trap_is_told_with_the_names_of_its_frames() {
    let (kind, frames) = trap(&Attempt::of("unreachable"));
    assert_eq!(kind, "unreachable");
    let names: Vec<&str> = frames
        .iter()
        .map(|frame| frame.rsplit(' ').next().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "unreachable!inner",
            "unreachable!middle",
            "unreachable!start"
        ]
    );
}

#[test]
fn each_trap_has_its_kind() {
    for (guest, expected) in [
        ("division", "integer-division-by-zero"),
        ("stack", "stack-overflow"),
        ("trap-at-start", "memory-out-of-bounds"),
        ("bad-pointer", "host-call-out-of-bounds"),
        ("exception", "uncaught-exception"),
    ] {
        let (kind, _) = trap(&Attempt::of(guest));
        assert_eq!(kind, expected, "{guest}");
    }
}

#[test]
fn the_backtrace_of_an_endless_recursion_ends() {
    let (_, frames) = trap(&Attempt::of("stack"));
    assert_eq!(frames.len(), 64);
    assert!(frames[0].ends_with("!deeper"), "{}", frames[0]);
}

#[test]
fn names_cannot_make_frames_of_their_own() {
    let (_, frames) = trap(&Attempt::of_text(
        r#"(module (func $a (@name "first\0a   9: forged!frame") unreachable)
                   (func (export "_start") (call $a)))"#,
    ));
    assert_eq!(frames.len(), 2, "{frames:#?}");
    assert!(frames[0].ends_with("<wasm function 0>"), "{frames:#?}");
}

#[test]
fn a_name_that_is_endless_hides_no_other_frame() {
    let endless = "é".repeat(20_000);
    let text = format!(
        r#"(module (func $a (@name "{endless}") unreachable) (func $outer (export "_start") (call $a)))"#
    );
    let (_, frames) = trap(&Attempt::of_text(&text));
    assert_eq!(frames.len(), 2);
    assert!(frames[0].ends_with("é…") && frames[0].len() < 1_000);
    assert!(frames[1].ends_with("!outer"), "{}", frames[1]);
}

#[test]
fn an_exception_that_is_caught_is_none() {
    let outcome = Attempt::of("caught").run().outcome;
    assert_eq!(outcome, Outcome::Exited { code: 7 });
}

#[test]
fn stderr_is_kept_apart() {
    let attempt = Attempt::of("stderr-then-fail");
    assert_eq!(attempt.run().outcome, Outcome::Exited { code: 1 });
    let stderr = fs::read_to_string(&attempt.plan.stderr).unwrap();
    assert_eq!(stderr, "the flux capacitor is empty\n");
    assert_eq!(attempt.stdout(), "");
}

#[test]
fn an_attempt_that_cannot_be_prepared_says_at_which_step() {
    let mut attempt = Attempt::of("hello").dir("in", stint_sandbox::Access::Read);
    fs::remove_dir(attempt.path("in")).unwrap();
    let outcome = attempt.run().outcome;
    assert_eq!(outcome.reason(), "start-failed");
    assert!(outcome.to_string().contains("/in"), "{outcome}");

    attempt = Attempt::of("hello");
    attempt.plan.stdout = attempt.path("missing/stdout");
    let outcome = attempt.run().outcome;
    assert_eq!(outcome.reason(), "start-failed");
    assert!(outcome.to_string().contains("missing/stdout"), "{outcome}");
}
