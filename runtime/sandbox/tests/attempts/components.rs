//! Components: what core modules get, they get too.

use std::fs;

use stint_api::outcome::{DeadlineScope, Outcome};
use stint_sandbox::{Access, CompileError, compile};

use crate::{Attempt, MEBI};

/// A component whose function `run` is `$run` of `module`, the insides of a core module.
fn running(module: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(component
             (core module $Program {module})
             (core instance $program (instantiate $Program))
             (func $run (result (result)) (canon lift (core func $program "run")))
             (instance (export "wasi:cli/run@0.2.0") (export "run" (func $run))))"#
    ))
    .unwrap()
}

/// The same, where `code` is all of the function.
fn doing(code: &str) -> Attempt {
    let module = format!(r#"(memory 1) (func $run (export "run") (result i32) {code})"#);
    Attempt::of_wasm(&running(&module))
}

#[test]
fn a_component_has_arguments_streams_directories_and_clocks() {
    let attempt = Attempt::of("component")
        .dir("in", Access::Read)
        .dir("out", Access::Write)
        .arg("one")
        .arg("two");
    let ran = attempt.run();
    assert_eq!(ran.outcome, Outcome::Exited { code: 3 });
    assert_eq!(attempt.stdout(), "guest\none\ntwo\n");
    assert!(attempt.path("out/made").is_dir());
    assert!(!attempt.path("in/made").exists());
    assert_eq!(ran.peak_guest_memory.0, 64 << 10);
    assert_eq!(ran.written.0, attempt.stdout().len() as u64);
}

#[test]
fn a_component_ends_with_what_it_returns() {
    assert_eq!(doing("i32.const 0").run().outcome, Outcome::Succeeded);
    let failed = doing("i32.const 1").run().outcome;
    assert_eq!(failed, Outcome::Exited { code: 1 });
}

#[test]
fn a_component_that_traps_is_told_with_its_frames() {
    let module = r#"(func $inner unreachable)
        (func $run (export "run") (result i32) (call $inner) (i32.const 0))"#;
    match Attempt::of_wasm(&running(module)).run().outcome {
        Outcome::Trapped { kind, backtrace } => {
            assert_eq!(kind, "unreachable");
            let frames: Vec<&str> = backtrace.lines().collect();
            assert_eq!(frames.len(), 2, "{backtrace}");
            assert!(frames[0].ends_with("!inner"), "{backtrace}");
            assert!(frames[1].ends_with("!run"), "{backtrace}");
        }
        other => panic!("{other}"),
    }
    match doing("(call $run)").run().outcome {
        Outcome::Trapped { kind, .. } => assert_eq!(kind, "stack-overflow"),
        other => panic!("{other}"),
    }
}

#[test]
fn a_component_is_held_to_its_memory_over_all_its_modules() {
    let attempt = doing(
        "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable",
    );
    let ran = attempt.memory(8 * MEBI).run();
    match ran.outcome {
        Outcome::GuestMemoryLimit { limit, trap, .. } => {
            assert_eq!(limit.0, 8 * MEBI);
            assert_eq!(trap.as_deref(), Some("unreachable"));
        }
        other => panic!("{other}"),
    }
    assert!(ran.peak_guest_memory.0 > 7 * MEBI);
    // Eight modules with a MiB each, of which seven may be.
    let instances = "(core instance (instantiate $Memory)) ".repeat(8);
    let wasm = wat::parse_str(format!(
        r#"(component (core module $Memory (memory 16)) {instances}
             (core module $Program (func (export "run") (result i32) (i32.const 0)))
             (core instance $program (instantiate $Program))
             (func $run (result (result)) (canon lift (core func $program "run")))
             (instance (export "wasi:cli/run@0.2.0") (export "run" (func $run))))"#
    ));
    let attempt = Attempt::of_wasm(&wasm.unwrap());
    assert_eq!(attempt.run().outcome, Outcome::Succeeded);
    let ran = attempt.memory(7 * MEBI).run();
    assert_eq!(
        ran.outcome.reason(),
        "guest-memory-limit",
        "{}",
        ran.outcome
    );
}

#[test]
fn a_component_past_its_deadline_does_not_begin() {
    let attempt = doing("(loop $for_ever (br $for_ever)) unreachable");
    let interrupt = attempt.interrupt();
    interrupt.raise();
    let ran = crate::run(&attempt.plan, &interrupt);
    let scope = DeadlineScope::Attempt;
    assert_eq!(ran.outcome, Outcome::Deadline { scope });
}

#[test]
fn a_component_that_hands_over_nonsense_is_trapped_and_told_why() {
    let wasm = wat::parse_str(
        r#"(component
             (import "wasi:random/random@0.2.3" (instance $random
               (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
             (core module $Memory (memory (export "memory") 1)
               (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
             (core instance $memory (instantiate $Memory))
             (alias core export $memory "memory" (core memory $all))
             (alias core export $memory "realloc" (core func $realloc))
             (core func $random (canon lower (func $random "get-random-bytes")
               (memory $all) (realloc $realloc)))
             (core module $Program (import "host" "random" (func $random (param i64 i32)))
               (func (export "run") (result i32)
                 (call $random (i64.const 32) (i32.const 8))
                 (call $random (i64.const 5000000) (i32.const 8)) (i32.const 0)))
             (core instance $program (instantiate $Program
               (with "host" (instance (export "random" (func $random))))))
             (func $run (result (result)) (canon lift (core func $program "run")))
             (instance (export "wasi:cli/run@0.2.3") (export "run" (func $run))))"#,
    );
    match Attempt::of_wasm(&wasm.unwrap()).run().outcome {
        Outcome::Trapped { kind, backtrace } => {
            assert_eq!(kind, "host-call-malformed");
            assert!(
                backtrace.starts_with("5000000 random bytes at once"),
                "{backtrace}"
            );
        }
        other => panic!("{other}"),
    }
}

#[test]
fn what_an_interface_has_not_is_said_when_it_is_linked() {
    let wasm = wat::parse_str(
        r#"(component
             (import "wasi:cli/exit@0.2.99" (instance (export "exit-in-style" (func))))
             (core module $Program (func (export "run") (result i32) (i32.const 0)))
             (core instance $program (instantiate $Program))
             (func $run (result (result)) (canon lift (core func $program "run")))
             (instance (export "wasi:cli/run@0.2.0") (export "run" (func $run))))"#,
    );
    let outcome = Attempt::of_wasm(&wasm.unwrap()).run().outcome;
    assert_eq!(outcome.reason(), "module-rejected");
    assert!(outcome.to_string().contains("exit-in-style"), "{outcome}");
}

#[test]
fn a_component_whose_artifact_was_changed_is_not_loaded() {
    let attempt = Attempt::of("component");
    let mut artifact = fs::read(&attempt.plan.artifact).unwrap();
    let middle = artifact.len() / 2;
    artifact[middle] ^= 1;
    fs::write(&attempt.plan.artifact, artifact).unwrap();
    let outcome = attempt.run().outcome;
    assert_eq!(outcome.reason(), "start-failed");
    assert!(outcome.to_string().contains("sha-256"), "{outcome}");
}

#[test]
fn a_component_that_no_compiler_would_take_is_refused_before_it() {
    let bad_code = r#"(func $run (export "run") (result i32) (i64.const 0))"#;
    let failed = compile(&running(bad_code)).unwrap_err();
    assert!(matches!(failed, CompileError::Failed { .. }), "{failed}");
    let component = wat::parse_str("(component)").unwrap();
    let refused = compile(&component).unwrap_err();
    assert!(matches!(refused, CompileError::Rejected(_)), "{refused}");
}
