//! What every file has, and what none has: a reason on top; no drawers, no marks of
//! work left undone, no sleeping tests, no queues without an end.

use crate::source::{self, Source};
use crate::text;

/// Names under which things are put that nobody knows a place for.
const DRAWERS: [&str; 11] = [
    "common",
    "core",
    "helper",
    "helpers",
    "misc",
    "prelude",
    "shared",
    "types",
    "util",
    "utils",
    "utilities",
];
/// Marks of work left undone.
const MARKS: [&str; 6] = ["TODO", "FIXME", "XXX", "HACK", "todo!", "unimplemented!"];
/// Calls that make a queue without an end.
const ENDLESS: [&str; 4] = [
    "unbounded_channel",
    "std::sync::mpsc::channel",
    "mpsc::unbounded",
    "unbounded",
];

/// A file that does not open by saying why it exists.
fn no_reason(source: &Source) -> Option<String> {
    let opens = source.text.starts_with("//! ");
    (!opens).then(|| format!("{}: does not open with `//! `", source.path))
}

/// A file or folder that is a drawer.
fn drawer(source: &Source) -> Option<String> {
    let path = source.path.strip_suffix(".rs").unwrap_or(&source.path);
    let drawer = path.split('/').find(|part| DRAWERS.contains(part))?;
    Some(format!("{}: `{drawer}` is a drawer", source.path))
}

/// Lines with a mark of work left undone, or a test that is not run.
fn undone(source: &Source) -> Vec<String> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let marked = |line: &str| {
        let mark = MARKS.iter().find(|mark| {
            line.match_indices(*mark).any(|(at, _)| {
                let after = line[at + mark.len()..].starts_with(is_name);
                !line[..at].ends_with(is_name) && !after
            })
        });
        mark.copied()
            .or_else(|| line.trim().starts_with("#[ignore").then_some("#[ignore]"))
    };
    let numbered = source.text.lines().enumerate();
    numbered
        .filter_map(|(at, line)| {
            let mark = marked(line)?;
            Some(format!("{}:{}: {mark}", source.path, at + 1))
        })
        .collect()
}

/// A test that waits for a length of time.
fn sleeps(source: &Source) -> Option<String> {
    let code = text::split(&source.text).code;
    let names: Vec<&str> = text::names(&code).collect();
    let found = source.is_test() && source.is_in("tests/tests") && names.contains(&"sleep");
    found.then(|| format!("{}: sleeps; wait for what you mean", source.path))
}

/// A queue without an end; what a test puts into one, the test ends.
fn endless(source: &Source) -> Option<String> {
    if source.is_test() {
        return None;
    }
    let paths = text::paths(&source.code());
    let found = paths.iter().find(|path| {
        ENDLESS
            .iter()
            .any(|call| path == call || path.ends_with(&format!("::{call}")))
    })?;
    Some(format!("{}: `{found}` has no end", source.path))
}

#[test]
fn every_file_opens_with_why_it_exists() {
    let breaches: Vec<String> = source::rust().iter().filter_map(no_reason).collect();
    crate::assert_none("reasons", &breaches);
}

#[test]
fn there_are_no_drawers() {
    let breaches: Vec<String> = source::all(&[".rs", "Cargo.toml"])
        .iter()
        .filter_map(drawer)
        .collect();
    crate::assert_none("drawers", &breaches);
}

#[test]
fn nothing_is_marked_as_undone_or_ignored() {
    let mut sources = source::rust();
    sources.extend(source::all(&[".md", ".toml", ".sh"]));
    let breaches: Vec<String> = sources.iter().flat_map(undone).collect();
    crate::assert_none("undone", &breaches);
}

#[test]
fn end_to_end_tests_wait_for_conditions() {
    let breaches: Vec<String> = source::rust().iter().filter_map(sleeps).collect();
    crate::assert_none("sleeping tests", &breaches);
}

#[test]
fn every_queue_has_an_end() {
    let breaches: Vec<String> = source::rust().iter().filter_map(endless).collect();
    crate::assert_none("endless queues", &breaches);
}

#[test]
fn each_habit_is_missed_where_it_lacks() {
    let file = Source::made_up;
    assert!(no_reason(&file("a.rs", "/// A.\nfn a() {}")).is_some());
    assert!(drawer(&file("api/src/utils.rs", "")).is_some());
    assert!(drawer(&file("api/src/common/mod.rs", "")).is_some());
    assert!(drawer(&file("api/src/typesetting.rs", "")).is_none());
    assert_eq!(
        undone(&file(
            "a.rs",
            "// TODO: b\n#[ignore]\nfn c() { todo!() }\nMYTODOS"
        ))
        .len(),
        3
    );
    let sleeping = "fn a() { std::thread::sleep(b); }";
    assert!(sleeps(&file("tests/tests/a.rs", sleeping)).is_some());
    assert!(sleeps(&file("tests/src/wait.rs", sleeping)).is_none());
    assert!(endless(&file("a.rs", "let a = mpsc::unbounded_channel();")).is_some());
    assert!(endless(&file("a.rs", "use std::sync::mpsc::{self, channel};")).is_some());
}
