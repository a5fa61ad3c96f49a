//! What becomes an artifact, and which artifact is run.

use std::fs;

use sha2::{Digest as _, Sha256};
use stint_api::outcome::Outcome;
use stint_sandbox::{CompileError, Interrupt, Profile, compile};

use crate::{Attempt, job, run};

#[track_caller]
fn refused(wasm: &[u8]) -> Outcome {
    compile(wasm).unwrap_err().into()
}

#[test]
fn an_artifact_that_was_changed_is_not_loaded() {
    let attempt = Attempt::of("hello");
    let good = fs::read(&attempt.plan.artifact).unwrap();
    for at in [0, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&attempt.plan.artifact, &bad).unwrap();
        let outcome = attempt.run().outcome;
        assert_eq!(outcome.reason(), "start-failed");
        assert!(outcome.to_string().contains("sha-256"), "{outcome}");
    }
    fs::write(&attempt.plan.artifact, &good[..good.len() - 1]).unwrap();
    assert_eq!(attempt.run().outcome.reason(), "start-failed");
    fs::remove_file(&attempt.plan.artifact).unwrap();
    assert_eq!(attempt.run().outcome.reason(), "start-failed");
}

#[test]
fn what_is_no_artifact_is_not_loaded_even_if_its_hash_is_right() {
    let mut attempt = Attempt::of("hello");
    let wasm = job("hello");
    fs::write(&attempt.plan.artifact, &wasm).unwrap();
    attempt.plan.artifact_sha256 = Sha256::digest(&wasm).into();
    let outcome = attempt.run().outcome;
    assert_eq!(outcome.reason(), "start-failed");
}

#[test]
fn an_artifact_of_another_profile_is_not_loaded() {
    let mut attempt = Attempt::of("caught");
    let plain = Interrupt::new(Profile::Plain).unwrap();
    let outcome = run(&attempt.plan, &plain).outcome;
    assert_eq!(outcome.reason(), "start-failed");
    assert!(outcome.to_string().contains("profile"), "{outcome}");
    // The plan lies too: then the artifact itself says what its engine must have.
    attempt.plan.profile = Profile::Plain;
    let outcome = attempt.run().outcome;
    assert_eq!(outcome.reason(), "start-failed");
    assert!(outcome.to_string().contains("does not fit"), "{outcome}");
}

#[test]
fn an_artifact_is_not_a_module() {
    let artifact = compile(&job("hello")).unwrap();
    let outcome = refused(&artifact);
    assert_eq!(outcome.reason(), "module-rejected");
    assert!(outcome.to_string().contains(".cwasm"), "{outcome}");
}

#[test]
fn what_no_node_can_run_is_rejected_with_its_reason() {
    for (wasm, named) in [
        (b"(module)".to_vec(), "text"),
        (job("bad-import"), "launch_missiles"),
        (job("no-start"), "_start"),
        (wat::parse_str("(component)").unwrap(), "component"),
        (
            wat::parse_str(r#"(module (memory i64 1) (func (export "_start")))"#).unwrap(),
            "memory64",
        ),
        (
            wat::parse_str(r#"(module (memory 1 1 shared) (func (export "_start")))"#).unwrap(),
            "threads",
        ),
        (job("hello")[..40].to_vec(), "cut off"),
    ] {
        let outcome = refused(&wasm);
        assert_eq!(outcome.reason(), "module-rejected");
        assert!(outcome.to_string().contains(named), "{outcome}");
    }
}

#[test]
fn a_host_function_of_another_type_is_named_with_both_types() {
    let outcome = refused(&job("wrong-import-type"));
    assert_eq!(outcome.reason(), "module-rejected");
    for part in [
        "wasi_snapshot_preview1.fd_write",
        "(i64) -> (i64)",
        "(i32, i32, i32, i32) -> (i32)",
    ] {
        assert!(outcome.to_string().contains(part), "{outcome}");
    }
}

#[test]
fn a_body_that_is_not_valid_does_not_compile() {
    let outcome = refused(&job("bad-body"));
    assert_eq!(outcome.reason(), "compile-failed");
    assert!(outcome.to_string().contains("type mismatch"), "{outcome}");
}

#[test]
fn what_no_module_needs_is_off() {
    for text in [
        // Garbage-collected structures, also where exceptions are on.
        r#"(module (type $s (struct (field i32))) (func (export "_start") (drop (struct.new_default $s))))"#,
        r#"(module (tag $t) (type $s (struct)) (func (export "_start") (drop (struct.new_default $s))))"#,
        // Exceptions in a module that declares none.
        r#"(module (func (export "_start") (try_table (catch_all 0))))"#,
        // Typed function references.
        r#"(module (type $f (func)) (func (export "_start") (call_ref $f (ref.null $f))))"#,
        r#"(module (func (export "_start") (drop (i64.add128 (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0))) drop))"#,
    ] {
        let error = compile(&wat::parse_str(text).unwrap()).unwrap_err();
        assert!(
            matches!(
                error,
                CompileError::Failed { .. } | CompileError::Rejected(_)
            ),
            "{error}"
        );
    }
}

#[test]
fn vectors_and_tail_calls_are_on() {
    let ran = Attempt::of_text(
        r#"(module
             (func $end (param $n i32) (result i32)
               (if (result i32) (local.get $n)
                 (then (return_call $end (i32.sub (local.get $n) (i32.const 1))))
                 (else (i32x4.extract_lane 2 (v128.const i32x4 1 2 3 4)))))
             (func (export "_start")
               (if (i32.ne (call $end (i32.const 1000000)) (i32.const 3)) (then unreachable))))"#,
    )
    .run();
    assert_eq!(ran.outcome, Outcome::Succeeded);
}
