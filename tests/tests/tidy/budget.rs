//! Small files and small functions: median, nine of ten, and longest.

use crate::source::{self, Source};
use crate::text;

/// Lines of the file in the middle.
const MEDIAN_MAX: usize = 150;
/// Lines that nine of ten files do not pass.
const NINE_OF_TEN_MAX: usize = 350;
/// Lines that no file passes.
const FILE_MAX: usize = 500;
/// Lines that no function passes.
const FUNCTION_MAX: usize = 70;

/// Files that are too long, each and all together.
fn long_files(sources: &[Source]) -> Vec<String> {
    let mut sizes: Vec<(usize, &str)> = sources
        .iter()
        .map(|source| (source.without_tests().lines().count(), &*source.path))
        .collect();
    sizes.sort_unstable();
    let mut breaches: Vec<String> = sizes
        .iter()
        .filter(|(lines, _)| *lines > FILE_MAX)
        .map(|(lines, path)| format!("{path} has {lines} lines, at most {FILE_MAX}"))
        .collect();
    let at = |part: usize| {
        let rank = (sizes.len() * part).div_ceil(100).saturating_sub(1);
        sizes.get(rank).map_or(0, |(lines, _)| *lines)
    };
    for (name, lines, most) in [
        ("the median file", at(50), MEDIAN_MAX),
        ("nine of ten files", at(90), NINE_OF_TEN_MAX),
    ] {
        if lines > most {
            breaches.push(format!("{name}: {lines} lines, at most {most}"));
        }
    }
    breaches
}

/// Functions that are too long.
fn long_functions(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut breaches = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else {
            continue;
        };
        // A signature may itself take lines; one without a body ends in `;`.
        let Some(open) = (at..lines.len()).find(|at| lines[*at].ends_with(['{', ';', '}'])) else {
            continue;
        };
        if !lines[open].ends_with('{') {
            continue;
        }
        let long = text::end_of_block(&lines, at) + 1 - at;
        if long > FUNCTION_MAX {
            let path = &source.path;
            let line = at + 1;
            breaches.push(format!(
                "{path}:{line}: `{name}` has {long} lines, at most {FUNCTION_MAX}"
            ));
        }
    }
    breaches
}

/// The function that a line begins.
fn function_name(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let words = ["pub", "const", "async", "unsafe", "extern", "default"];
    let is_head = before
        .split_whitespace()
        .all(|word| words.iter().any(|known| word.starts_with(known)) || word.ends_with(')'));
    is_head.then(|| after.split(['(', '<']).next())?
}

#[test]
fn files_stay_within_their_budget() {
    crate::assert_none("files", &long_files(&source::rust()));
}

#[test]
fn functions_stay_within_their_budget() {
    let breaches: Vec<String> = source::rust().iter().flat_map(long_functions).collect();
    crate::assert_none("functions", &breaches);
}

#[test]
fn a_file_that_is_too_long_is_found_and_its_tests_do_not_count() {
    let long = Source::made_up("a.rs", &"let a = 1;\n".repeat(FILE_MAX + 1));
    assert_eq!(long_files(&[long]).len(), 3);
    let tests = format!(
        "#[cfg(test)]\nmod tests {{\n{}}}\n",
        "    let a = 1;\n".repeat(FILE_MAX)
    );
    assert!(long_files(&[Source::made_up("a.rs", &tests)]).is_empty());
}

#[test]
fn a_function_that_is_too_long_is_found() {
    let of = |lines: usize| {
        let body = "        let a = 1;\n".repeat(lines);
        let text = format!(
            "impl A {{\n    pub(crate) async fn long<T>(\n        a: T,\n    ) {{\n{body}    }}\n}}\n"
        );
        long_functions(&Source::made_up("a.rs", &text)).len()
    };
    assert_eq!((of(FUNCTION_MAX), of(FUNCTION_MAX - 4)), (1, 0));
}
