//! The hearts decide, and do nothing else: no runtime, socket, file, clock, thread,
//! seedless chance or map without an order, neither in what they name nor in what
//! they depend on.

use std::process::Command;

use crate::source::{self, Source};
use crate::text;

/// Each heart's package and folder.
const HEARTS: [(&str, &str); 2] = [
    ("stint-cluster", "scheduler/cluster"),
    ("stint-supervisor", "runtime/supervisor"),
];
/// Packages that bring a runtime, a socket, a file, an engine or a database along.
const FOREIGN: [&str; 20] = [
    "async-std",
    "axum",
    "cgroups-rs",
    "getrandom",
    "hyper",
    "mio",
    "nix",
    "rand",
    "reqwest",
    "rusqlite",
    "rustix",
    "smol",
    "socket2",
    "tempfile",
    "tokio",
    "tokio-util",
    "tower",
    "tracing-subscriber",
    "wasmtime",
    "wasmtime-wasi",
];
/// Modules of the standard library that see the world outside.
const MODULES: [&str; 8] = [
    "std::env",
    "std::fs",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::time",
    "std::random",
];
/// Names that mean a clock, a thread, or an order that changes from run to run.
const NAMES: [&str; 9] = [
    "HashMap",
    "HashSet",
    "Instant",
    "Mutex",
    "RandomState",
    "SystemTime",
    "spawn",
    "thread_local",
    "thread_rng",
];

/// What a heart's source names and must not.
fn impure(source: &Source) -> Vec<String> {
    // Its tests are held to the same: they need no world either.
    let code = text::split(&source.text).code;
    let mut found: Vec<String> = text::paths(&code)
        .into_iter()
        .filter(|path| is_worldly(path) || is_chance(path))
        .collect();
    found.extend(
        text::names(&code)
            .filter(|name| NAMES.contains(name))
            .map(str::to_owned),
    );
    found.sort_unstable();
    found.dedup();
    found
        .into_iter()
        .map(|name| format!("{}: `{name}`", source.path))
        .collect()
}

fn is_worldly(path: &str) -> bool {
    MODULES.iter().any(|module| {
        path.strip_prefix(module)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    })
}

/// Chance that nobody gave a seed for: all of `fastrand` but a generator with one.
fn is_chance(path: &str) -> bool {
    let allowed = ["fastrand", "fastrand::Rng", "fastrand::Rng::with_seed"];
    path == "Rng::new" || (path.starts_with("fastrand") && !allowed.contains(&path))
}

/// The foreign packages in a tree, as `cargo tree --prefix none` prints it.
fn foreign(tree: &str) -> Vec<String> {
    let mut found: Vec<String> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|package| FOREIGN.contains(package))
        .map(str::to_owned)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// All that a package is built with, itself included.
fn tree(package: &str) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package", package, "--edges", "normal,build"])
        .args(["--prefix", "none", "--offline"])
        // The features of the whole workspace would be those of everybody else.
        .env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION")
        .env_remove("CARGO_UNSTABLE_FEATURE_UNIFICATION")
        .current_dir(source::root())
        .output()
        .expect("cargo");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn hearts_are_built_with_nothing_that_acts() {
    for (package, _) in HEARTS {
        let tree = tree(package);
        assert!(tree.contains(package), "{tree}");
        crate::assert_none(package, &foreign(&tree));
    }
}

#[test]
fn hearts_name_nothing_of_the_world() {
    for (package, folder) in HEARTS {
        let sources: Vec<Source> = source::rust()
            .into_iter()
            .filter(|source| source.is_in(folder))
            .collect();
        assert!(!sources.is_empty(), "{folder} is gone");
        let breaches: Vec<String> = sources.iter().flat_map(impure).collect();
        crate::assert_none(package, &breaches);
    }
}

#[test]
fn a_heart_that_acts_is_found() {
    let found = |text| impure(&Source::made_up("a.rs", text)).len();
    assert_eq!(found("use std::{collections::BTreeMap, fs::File};"), 1);
    assert_eq!(found("use std::time::{Duration, Instant};"), 3);
    assert_eq!(found("std::thread::spawn(f)"), 2);
    assert_eq!(found("let a: std::collections::HashMap<u8, u8>;"), 1);
    assert_eq!(found("fastrand::u32(..)"), 1);
    assert_eq!(found("fastrand::Rng::new()"), 1);
    assert_eq!(found("let rng = fastrand::Rng::with_seed(7);"), 0);
    assert_eq!(found("use stint_api::time::Time; // std::fs"), 0);
    let tree = "stint-cluster v0.1.0 (/x)\nserde v1.0.0\ntokio v1.0.0 (*)\n";
    assert_eq!(foreign(tree), ["tokio"]);
    // That the tree is read at all: the shell above is built with a runtime.
    assert!(foreign(&self::tree("stint-scheduler")).contains(&"tokio".to_owned()));
}
