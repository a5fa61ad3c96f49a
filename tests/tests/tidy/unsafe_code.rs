//! Where the compiler's word is not enough: these files and no others.

use crate::source::{self, Source};
use crate::text;

/// Each file that may hold `unsafe`, and why nothing safe would do.
const ALLOWED: [(&str, &str); 11] = [
    (
        "runtime/sandbox/src/artifact.rs",
        "the engine cannot check what it maps; the digest that the keeper holds has",
    ),
    (
        "runtime/sandbox/src/stack.rs",
        "the engine runs on memory that is mapped by hand, or maps its own anew each time",
    ),
    (
        "runtime/sandbox/src/withdrawal.rs",
        "no library takes the rights to a guest's memory away",
    ),
    (
        "runtime/src/keeper/bell.rs",
        "a signal handler has to be installed; it only writes to a pipe",
    ),
    (
        "runtime/src/worker/deadline.rs",
        "a signal handler has to be installed; it only raises the guest's interrupt",
    ),
    (
        "runtime/src/zygote/fork.rs",
        "no library forks so that another becomes the parent, which the keeper has to be",
    ),
    (
        "runtime/jail/src/descriptors.rs",
        "descriptors are closed by number: all that were not named",
    ),
    (
        "runtime/jail/src/raw.rs",
        "system calls that no library has as safe functions",
    ),
    (
        "runtime/jail/src/trap.rs",
        "a signal handler has to be installed, and answers a stopped call in its registers",
    ),
    (
        "runtime/sandbox/examples/like_wasmtime_run.rs",
        "a peer of the benchmark maps what it has compiled itself, as others do",
    ),
    (
        "runtime/jail/tests/breach/call.rs",
        "what the jail must stop is done by nothing that is safe",
    ),
];

fn holds_unsafe(source: &Source) -> bool {
    text::names(&source.code()).any(|name| name == "unsafe")
}

#[test]
fn unsafe_code_stands_where_it_must_and_nowhere_else() {
    let sources = source::rust();
    let mut breaches: Vec<String> = sources
        .iter()
        .filter(|source| holds_unsafe(source))
        .filter(|source| !ALLOWED.iter().any(|(path, _)| *path == source.path))
        .map(|source| format!("{}: unsafe, and not in the list", source.path))
        .collect();
    let stale = ALLOWED.iter().filter(|(path, _)| {
        !sources
            .iter()
            .any(|source| source.path == *path && holds_unsafe(source))
    });
    breaches.extend(stale.map(|(path, _)| format!("{path}: in the list, and nothing unsafe")));
    crate::assert_none("unsafe", &breaches);
}

#[test]
fn unsafe_code_is_found_and_its_lint_is_not_taken_for_it() {
    let found = |text| holds_unsafe(&Source::made_up("a.rs", text));
    assert!(found("fn a() { unsafe { b() } }"));
    assert!(!found("#![deny(unsafe_code)] // unsafe\n"));
}
