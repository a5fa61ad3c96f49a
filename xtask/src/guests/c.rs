//! The guest that is written in C: with the clang and the C library for WASI that the
//! machine has, or with Debian's.

use std::process::Command;

use super::debian;
use crate::command::{command, line, run_silent};
use crate::layout::Layout;

/// What Debian calls the compiler, its linker, what it calls for missing instructions, and the library.
const PACKAGES: [&str; 4] = ["clang", "lld", "libclang-rt-dev-wasm32", "wasi-libc"];
/// The program, and its source below `examples/`.
const PROGRAM: (&str, &str) = ("logistic", "c-logistic/logistic.c");

/// Builds it into `target/guests/`. Everything else works without: where there is no
/// compiler, that is said, and said again by the tests that want to run it.
pub(super) fn build(layout: &Layout) {
    // A build that fails does not leave the one before for the tests to run.
    let _ = std::fs::remove_file(layout.guest(PROGRAM.0));
    let built = run_silent(&mut compile(layout)).or_else(|_| {
        debian::install(layout, &PACKAGES)?;
        run_silent(&mut compile(layout))
    });
    match built {
        Ok(()) => println!("guests: {}", line(&compile(layout))),
        Err(error) => println!(
            "guests: MISSING {}, the example in C: it needs clang and a C library for WASI: {error:#}",
            PROGRAM.0
        ),
    }
}

fn compile(layout: &Layout) -> Command {
    let (program, source) = PROGRAM;
    let to = layout.guest(program);
    let args = ["--target=wasm32-wasi", "-O2", "-s", "-Wall", "-Wextra"];
    let mut clang = command(&layout.root, "clang", &args);
    clang
        .args(["-Werror", "-o"])
        .arg(layout.short(&to))
        .arg(format!("examples/{source}"));
    clang
}
