//! What is named in one room only: the engine, the web server, the database,
//! the kernel's files for cgroups, and printing.

use crate::source::{self, Source};
use crate::text;

/// Names, and the rooms where code may hold them.
const FENCES: [(&[&str], &[&str]); 4] = [
    (
        &["wasmtime", "wasmtime_wasi", "wiggle", "cranelift"],
        &["runtime/sandbox"],
    ),
    (&["axum"], &["scheduler"]),
    (&["rusqlite"], &["scheduler/store"]),
    (&["cgroups_rs"], &["runtime/cgroup"]),
];
/// Rooms inside of rooms that are fenced out again.
const FENCED_OUT: [&str; 2] = ["scheduler/cluster", "scheduler/store"];
/// Beginnings and names of files that only the kernel gives a meaning to.
const CGROUP_FILES: [&str; 14] = [
    "/sys/fs/cgroup",
    "cgroup.controllers",
    "cgroup.events",
    "cgroup.kill",
    "cgroup.procs",
    "cgroup.subtree_control",
    "cpu.cfs_",
    "cpu.max",
    "cpuacct.usage",
    "memory.events",
    "memory.limit_in_bytes",
    "memory.max",
    "memory.oom_control",
    "pids.max",
];
/// What prints, and is for `cli` and the steps of the build alone.
const PRINTS: [&str; 5] = ["print!", "println!", "eprint!", "eprintln!", "dbg!"];

/// Names outside of their room.
fn strays(source: &Source) -> Vec<String> {
    let code = source.code();
    let mut breaches = Vec::new();
    for (names, rooms) in FENCES {
        let inside = rooms.iter().any(|room| source.is_in(room))
            && (rooms.iter().any(|room| FENCED_OUT.contains(room))
                || !FENCED_OUT.iter().any(|room| source.is_in(room)));
        // Text is not code, and a method of that name is not the crate: it stands after a dot.
        let mut found = text::paths(&code).into_iter().filter(|path| {
            let first = path.split("::").next().unwrap_or_default();
            names.contains(&first)
        });
        if let Some(path) = found.next().filter(|_| !inside) {
            breaches.push(format!(
                "{}: `{path}` outside of {}",
                source.path,
                rooms.join(", ")
            ));
        }
    }
    breaches
}

/// Names of the kernel's files outside of the one room that knows them.
fn cgroup_files(source: &Source) -> Vec<String> {
    if source.is_in("runtime/cgroup") || !source.is_product() {
        return Vec::new();
    }
    let literals = source.literals();
    let known = CGROUP_FILES
        .iter()
        .filter(|file| literals.iter().any(|text| text.contains(**file)));
    known
        .map(|file| format!("{}: `{file}` outside of runtime/cgroup", source.path))
        .collect()
}

/// Printing where nobody but a library reads.
fn prints(source: &Source) -> Vec<String> {
    if source.is_in("cli") || !source.is_product() {
        return Vec::new();
    }
    let code = source.code();
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let found = PRINTS.iter().filter(|print| {
        code.match_indices(**print)
            .any(|(at, _)| !code[..at].ends_with(is_name))
    });
    found
        .map(|print| format!("{}: `{print}` outside of cli", source.path))
        .collect()
}

#[test]
fn what_is_fenced_is_named_in_its_room_only() {
    let breaches: Vec<String> = source::rust().iter().flat_map(strays).collect();
    crate::assert_none("fences", &breaches);
}

#[test]
fn only_one_room_knows_the_kernels_files() {
    let breaches: Vec<String> = source::rust().iter().flat_map(cgroup_files).collect();
    crate::assert_none("cgroup files", &breaches);
}

#[test]
fn only_the_command_line_prints() {
    let breaches: Vec<String> = source::rust().iter().flat_map(prints).collect();
    crate::assert_none("printing", &breaches);
}

#[test]
fn what_climbs_over_a_fence_is_found() {
    let strayed = |path, text| strays(&Source::made_up(path, text)).len();
    assert_eq!(strayed("runtime/src/a.rs", "use wasmtime::Engine;"), 1);
    assert_eq!(
        strayed("runtime/sandbox/src/a.rs", "use wasmtime::Engine;"),
        0
    );
    assert_eq!(strayed("scheduler/src/a.rs", "use axum::Router;"), 0);
    assert_eq!(
        strayed("scheduler/cluster/src/a.rs", "use axum::Router;"),
        1
    );
    assert_eq!(strayed("scheduler/store/src/a.rs", "use rusqlite::Row;"), 0);
    assert_eq!(strayed("scheduler/src/a.rs", "use {rusqlite::Row};"), 1);
    assert_eq!(
        strayed("cli/src/a.rs", "\"wasmtime only\" // wasmtime::Engine"),
        0
    );
    let files = |path| cgroup_files(&Source::made_up(path, "write(\"memory.max\")")).len();
    assert_eq!(
        (files("runtime/src/a.rs"), files("runtime/cgroup/src/a.rs")),
        (1, 0)
    );
    let printed = |path| prints(&Source::made_up(path, "println!(\"a\")")).len();
    assert_eq!((printed("api/src/a.rs"), printed("cli/src/a.rs")), (1, 0));
    assert_eq!(printed("runtime/tests/a.rs"), 0);
}
