//! What the scan says of good modules, wrong files and hostile ones.

use super::*;

const HELLO: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2)
  (table 4 funcref)
  (global (mut i32) (i32.const 0))
  (elem (i32.const 0) $main)
  (data (i32.const 16) "hello\n")
  (func $main (export "_start") (local i32 i64 i64)
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// A module of `inside` and an empty program.
fn program(inside: &str) -> Vec<u8> {
    wasm(&format!("(module {inside} (func (export \"_start\")))"))
}

fn refused(bytes: &[u8]) -> String {
    scan(bytes).unwrap_err().to_string()
}

#[track_caller]
fn refuses(bytes: &[u8], parts: &[&str]) {
    let message = refused(bytes);
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn a_program_yields_what_placement_and_compiling_ask_for() {
    let bytes = wasm(HELLO);
    let facts = scan(&bytes).unwrap();
    assert_eq!(facts.size, bytes.len() as u64);
    assert_eq!(facts.digest, <[u8; 32]>::from(Sha256::digest(&bytes)));
    assert_eq!(facts.entry, "_start");
    assert_eq!(facts.memory_min_bytes, 2 * 65_536);
    assert_eq!(facts.profile, Profile::Plain);
    assert_eq!(
        facts.imports[0].to_string(),
        "wasi_snapshot_preview1.fd_write"
    );
    assert_eq!(facts.imports[0].signature, "(i32, i32, i32, i32) -> (i32)");
    assert_eq!(facts.imports[1].signature, "(i32) -> ()");
}

#[test]
fn a_module_cut_anywhere_is_refused_and_never_panics() {
    let bytes = wasm(HELLO);
    let mut whole = 0;
    for cut in 0..bytes.len() {
        match scan(&bytes[..cut]) {
            Ok(_) => whole += 1,
            // Cut between two sections, what is there is a module that lacks something.
            Err(why) => assert!(
                matches!(
                    why,
                    Rejection::Empty
                        | Rejection::Truncated { .. }
                        | Rejection::NoEntry
                        | Rejection::Malformed { .. }
                ),
                "cut at {cut}: {why}"
            ),
        }
    }
    // The last two sections, data and names, may be missing: what is left is a program.
    assert_eq!(whole, 2);
}

#[test]
fn a_module_with_any_byte_changed_never_panics() {
    let bytes = wasm(HELLO);
    for at in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff, 0x40] {
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            let _ = scan(&changed);
        }
    }
}

#[test]
fn a_cut_section_is_said_to_be_cut() {
    let bytes = wasm(HELLO);
    let cut = bytes.len() - 3;
    refuses(&bytes[..cut], &["cut off", &format!("byte {cut}")]);
    refuses(b"\0as", &["cut off at byte 3"]);
    refuses(b"\0asm\x01", &["cut off at byte 5"]);
}

#[test]
fn a_type_error_in_a_body_is_left_to_the_compiler() {
    let bytes =
        wasm("(module (func (export \"_start\") (drop (i32.add (i64.const 1) (f32.const 2)))))");
    scan(&bytes).unwrap();
}

#[test]
fn other_files_are_called_what_they_are() {
    refuses(b"", &["empty"]);
    refuses(b"(module)", &["WebAssembly text", "wat2wasm"]);
    refuses(b"  ;; a comment\n(module)", &["WebAssembly text"]);
    refuses(b"\n(; x ;) (module)", &["WebAssembly text"]);
    refuses(b"\x7fELF\x02\x01\x01\x00rest", &["native program"]);
    refuses(
        b"\x7fELF\x02\x01\x01\xc8rest",
        &[".cwasm", "it was compiled from"],
    );
    refuses(b"\0asm\x0d\x00\x01\x00", &["component", "wasi:cli/run"]);
    refuses(b"\0asm\x0e\x00\x01\x00", &["unknown version"]);
    refuses(b"\0asm\x07\x00\x00\x00", &["unknown version 7"]);
    refuses(b"\x1f\x8b\x08", &["gzip", "unpack"]);
    refuses(b"PK\x03\x04....", &["zip"]);
    refuses(b"#!/usr/bin/python", &["script"]);
    refuses(b"import numpy", &["starts with `import n`"]);
    refuses(&[0xff, 0x00], &["starts with ff 00"]);
}

#[test]
fn unknown_imports_are_named_ten_at_most() {
    let import = |n: usize| format!("(import \"env\" \"f{n}\" (func))");
    let two = program(&(0..2).map(import).collect::<String>());
    refuses(&two, &["`env.f0`, `env.f1`;", "wasm32-wasip1"]);
    let twelve = program(&(0..12).map(import).collect::<String>());
    refuses(&twelve, &["`env.f9` and 2 more"]);
    refuses(
        &program(r#"(import "wasi_unstable" "fd_write" (func))"#),
        &["wasi_unstable.fd_write"],
    );
    refuses(
        &program(r#"(import "a\nb" "c\1b[31m" (func))"#),
        &[r"`a\nb.c\u{1b}[31m`"],
    );
}

#[test]
fn the_entry_must_be_there_and_be_a_program() {
    refuses(&wasm("(module)"), &["no function `_start`"]);
    refuses(
        &wasm("(module (func (export \"_initialize\")))"),
        &["not a library"],
    );
    refuses(
        &wasm("(module (memory (export \"_start\") 1))"),
        &["`_start` is a memory"],
    );
    refuses(
        &wasm("(module (func (export \"_start\") (param i32)))"),
        &["`_start` is (i32) -> ()"],
    );
}

#[test]
fn a_module_that_calls_the_host_shows_its_memory() {
    let fd_close =
        r#"(import "wasi_snapshot_preview1" "fd_close" (func (param i32) (result i32)))"#;
    refuses(&program(fd_close), &["exports no memory"]);
    let proc_exit = r#"(import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))"#;
    scan(&program(proc_exit)).unwrap();
}

#[test]
fn what_no_task_has_is_refused_with_its_name() {
    refuses(&program("(memory 1 1 shared)"), &["threads"]);
    refuses(
        &program("(import \"env\" \"memory\" (memory 1 1 shared))"),
        &["threads"],
    );
    refuses(&program("(memory i64 1)"), &["memory64"]);
    refuses(&program("(table i64 1 funcref)"), &["memory64"]);
    refuses(&program("(memory 1 (pagesize 1))"), &["64 KiB"]);
    refuses(
        &program("(memory 32769)"),
        &["2147549184 bytes of memory", "let it grow"],
    );
    refuses(
        &program("(memory 20000) (memory 20000)"),
        &["2621440000 bytes"],
    );
    refuses(&program("(type (struct))"), &["malformed", "gc"]);
}

#[test]
fn objects_and_shared_libraries_are_sent_to_the_linker() {
    refuses(&program("(@custom \"linking\" \"\")"), &["an object file"]);
    refuses(
        &program("(@custom \"dylink.0\" \"\")"),
        &["a shared library"],
    );
}

#[test]
fn tags_and_exception_references_ask_for_the_exceptions_profile() {
    let profile = |inside: &str| scan(&program(inside)).unwrap().profile;
    assert_eq!(profile("(tag (param i32))"), Profile::Exceptions);
    assert_eq!(profile("(type (func (param exnref)))"), Profile::Exceptions);
    assert_eq!(profile("(func (local exnref))"), Profile::Exceptions);
    assert_eq!(profile("(table 1 exnref)"), Profile::Exceptions);
    assert_eq!(profile("(table 1 funcref)"), Profile::Plain);
}

#[test]
fn counts_have_limits_of_their_own() {
    let many = |n: u64, what: &str| program(&what.repeat(usize::try_from(n).unwrap()));
    scan(&many(limits::MEMORIES_MAX, "(memory 0)")).unwrap();
    refuses(
        &many(limits::MEMORIES_MAX + 1, "(memory 0)"),
        &["9 memories, at most 8"],
    );
    refuses(
        &many(limits::TABLES_MAX + 1, "(table 0 funcref)"),
        &["17 tables, at most 16"],
    );
    refuses(&many(limits::TAGS_MAX + 1, "(tag)"), &["1001 tags"]);
    refuses(
        &many(limits::IMPORTS_MAX + 1, "(import \"a\" \"b\" (func))"),
        &["1001 imports"],
    );
    refuses(
        &many(limits::GLOBALS_MAX + 1, "(global i32 (i32.const 0))"),
        &["50001 globals"],
    );
    refuses(
        &many(limits::DATA_MAX + 1, "(data \"\")"),
        &["50001 data segments"],
    );
    refuses(&program("(table 1000001 funcref)"), &["1000001 elements"]);
    let locals = format!("(func (local{}))", " i32".repeat(20_001));
    refuses(&program(&locals), &["20001 locals"]);
    let body = format!("(func {})", "nop ".repeat(5 << 20));
    refuses(&program(&body), &["bytes, at most 4194304"]);
}

#[test]
fn a_count_that_lies_about_its_section_is_refused() {
    // A function section that says 4,294,967,295 functions in six bytes.
    let mut lie = b"\0asm\x01\0\0\0".to_vec();
    lie.extend([3, 5, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    refuses(&lie, &["4294967295 functions, at most 100000"]);
    // Locals that say four billion, twice.
    let mut lie = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0".to_vec();
    lie.extend([10, 16, 1, 14, 2]);
    lie.extend([
        0xff, 0xff, 0xff, 0xff, 0x0f, 0x7f, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7f, 0x0b,
    ]);
    refuses(&lie, &["locals"]);
}

#[test]
fn a_module_of_a_kit_is_entered_as_the_kit_says() {
    let text = r#"(module
        (import "host" "call" (func (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
        (func (export "run") (result i32) i32.const 0))"#;
    let module = wat::parse_str(text).unwrap();
    let entry = |export: &'static str, returns_code, name: &'static str| Entry {
        export,
        returns_code,
        stubs: vec![Stub {
            module: "host",
            name,
        }],
    };
    let facts = scan_for(&module, &entry("run", true, "call")).unwrap();
    assert_eq!(facts.entry, "run");
    assert_eq!(facts.imports.len(), 2);
    let refused = |entry: &Entry<'_>| scan_for(&module, entry).unwrap_err().to_string();
    assert!(refused(&entry("run", true, "other")).contains("`host.call`"));
    assert!(refused(&entry("go", true, "call")).contains("no function `go`"));
    assert!(refused(&entry("run", false, "call")).contains("its kit says () -> ()"));
    assert!(matches!(
        scan(&module),
        Err(Rejection::UnknownImport { .. })
    ));
}

#[test]
fn a_constant_stands_for_no_function_that_returns_something_else() {
    for result in ["", "(result i64)", "(result i32 i32)"] {
        let text =
            format!(r#"(module (import "host" "call" (func {result})) (func (export "_start")))"#);
        let entry = Entry {
            stubs: vec![Stub {
                module: "host",
                name: "call",
            }],
            ..Entry::COMMAND
        };
        let refused = scan_for(&wat::parse_str(text).unwrap(), &entry);
        assert!(
            matches!(refused, Err(Rejection::UnknownImport { .. })),
            "{result}"
        );
    }
}
