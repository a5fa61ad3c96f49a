//! What the scan says of components.

use super::*;

const RUN: &str = r#"(core module $P (func (export "run") (result i32) (i32.const 0)))
    (core instance $p (instantiate $P))
    (func $run (result (result)) (canon lift (core func $p "run")))
    (instance (export "wasi:cli/run@0.2.6") (export "run" (func $run)))"#;

/// A component of `inside` and an empty program.
fn program(inside: &str) -> Vec<u8> {
    wat::parse_str(format!("(component {inside} {RUN})")).unwrap()
}

#[track_caller]
fn refuses(bytes: &[u8], parts: &[&str]) {
    let message = scan(bytes).unwrap_err().to_string();
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn a_component_yields_what_placement_and_compiling_ask_for() {
    let bytes = program(
        r#"(import "wasi:cli/stdin@0.2.0" (instance))
           (import "wasi:io/poll@0.2.9" (instance))
           (core module (memory 2)) (core module (memory 3))
           (core module (import "env" "memory" (memory 100)))"#,
    );
    let facts = scan(&bytes).unwrap();
    assert_eq!(facts.kind, Kind::Component);
    assert_eq!(facts.size, bytes.len() as u64);
    assert_eq!(facts.entry, "wasi:cli/run@0.2.6");
    assert_eq!(facts.memory_min_bytes, 5 * 65_536);
    assert_eq!(facts.profile, Profile::Plain);
    let imports: Vec<String> = facts.imports.iter().map(ToString::to_string).collect();
    assert_eq!(imports, ["wasi:cli/stdin@0.2.0", "wasi:io/poll@0.2.9"]);
    let throws = program("(core module (tag) (func))");
    assert_eq!(scan(&throws).unwrap().profile, Profile::Exceptions);
}

#[test]
fn interfaces_that_nobody_gives_are_named_and_what_is_given_too() {
    refuses(
        &program(
            r#"(import "wasi:http/types@0.2.0" (instance)) (import "wasi:cli/stdout@0.2.0" (instance))
               (import "wasi:cli/stdout@0.3.0" (instance)) (import "launch" (func))"#,
        ),
        &[
            "`wasi:http/types@0.2.0`, `wasi:cli/stdout@0.3.0`, `launch`;",
            "wasi:cli/command",
        ],
    );
}

#[test]
fn a_component_that_cannot_be_run_is_refused() {
    let of = |text: &str| wat::parse_str(format!("(component {text})")).unwrap();
    refuses(
        &of(""),
        &["does not export `wasi:cli/run` of WASI 0.2; build a command"],
    );
    refuses(
        &of(&RUN.replace("0.2.6", "0.3.0")),
        &["but `wasi:cli/run@0.3.0`"],
    );
    refuses(
        &of(&RUN.replace("\"run\" (func $run)", "\"walk\" (func $run)")),
        &["function `run`"],
    );
    let number = RUN.replace("(result (result))", "(result u32)");
    refuses(&of(&number), &["() -> result"]);
}

#[test]
fn a_kit_is_no_component() {
    let kit = Entry {
        export: "go",
        ..Entry::COMMAND
    };
    let refused = scan_for(&program(""), &kit).unwrap_err().to_string();
    assert!(refused.contains("`go`"), "{refused}");
}

#[test]
fn what_a_module_may_not_have_no_module_in_a_component_may() {
    refuses(&program("(core module (memory 1 1 shared))"), &["threads"]);
    refuses(&program("(core module (memory i64 1))"), &["memory64"]);
    refuses(
        &program("(component (core module (memory 32769)))"),
        &["bytes of memory"],
    );
    let many = "(core module (memory 20000)) ".repeat(2);
    refuses(&program(&many), &["bytes of memory"]);
    let many = "(core module (memory 0) (memory 0) (memory 0) (memory 0)) ".repeat(21);
    refuses(
        &program(&many),
        &["the component has 84 memories", "at most 80"],
    );
    let locals = format!("(core module (func (local {})))", "i32 ".repeat(20_001));
    refuses(&program(&locals), &["20001 locals"]);
}

#[test]
fn a_bomb_in_a_component_is_one() {
    // Functions of a hundred loops around a hundred changes, in ten modules.
    let sets: String = (0..100)
        .map(|at| format!("(local.set {at} (i32.const 1))"))
        .collect();
    let code = format!("{}{sets}{}", "(loop ".repeat(100), ")".repeat(100));
    let function = format!("(func (local {}) {code})", "i32 ".repeat(100));
    let module = format!("(core module {function} {function})");
    scan(&program(&module)).unwrap();
    refuses(
        &program(&module.repeat(10)),
        &["changes of locals in loops"],
    );
}

#[test]
fn instances_are_counted_as_often_as_they_are_made() {
    let one = "(core module $M) (core instance (instantiate $M))";
    // Each makes two of the one before it: 2 to the 12th in all.
    let doubled = (1..=12).fold(format!("(component $c0 {one})"), |text, n| {
        let before = n - 1;
        format!(
            "{text} (component $c{n} (alias outer 1 $c{before} (component $c))
               (instance (instantiate $c)) (instance (instantiate $c)))"
        )
    });
    refuses(
        &program(&doubled),
        &["1024 instances of its modules", "at most 1000"],
    );
    let handed = r#"(component (import "c" (component $c)) (instance (instantiate $c)))"#;
    refuses(&program(handed), &["components that it is handed"]);
    let nested = format!("{}{}", "(component ".repeat(8), ")".repeat(8));
    refuses(
        &program(&nested),
        &["9 components in each other", "at most 8"],
    );
}

#[test]
fn a_component_cut_or_changed_anywhere_never_panics() {
    let bytes = program("(component (core module (func) (memory 1)))");
    let mut whole = 0;
    for at in 0..bytes.len() {
        match scan(&bytes[..at]) {
            Ok(_) => whole += 1,
            Err(why) => assert!(
                !matches!(why, Rejection::UnknownInterface { .. }),
                "cut at {at}: {why}"
            ),
        }
        for flip in [0x01, 0x80, 0xff, 0x40] {
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            drop(scan(&changed));
        }
    }
    // The last section holds names: without it the program is whole.
    assert_eq!(whole, 1);
}
