//! When two answers are the same to a reader: how long something took and how much memory
//! it had differ from run to run, and so does the width of columns.

/// Units of what differs.
const UNITS: [&str; 9] = ["ns", "µs", "ms", "s", "m", "h", "Ki", "Mi", "Gi"];
/// How lines begin that come only when a machine is busy.
const BUSY: [&str; 2] = ["waiting: ", "here: "];

/// An answer without what differs.
pub(crate) fn gist(answer: &str) -> String {
    let lines = answer.lines().map(str::trim);
    let lines =
        lines.filter(|line| !line.is_empty() && !BUSY.iter().any(|busy| line.starts_with(busy)));
    lines.map(|line| line_gist(line) + "\n").collect()
}

fn line_gist(line: &str) -> String {
    // What an attempt used: of these figures, some are told only where they are not nothing.
    let (line, used) = match line.find("wall ") {
        Some(at) => (&line[..at], " wall"),
        None => (line, ""),
    };
    let words = line.split_whitespace().map(|word| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        match is_measured(bare) {
            true => word.replace(bare, "~"),
            false => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ") + used
}

/// Whether it is a number with a unit, or several: `1.5s`, `12.3Mi`, `1m11s`.
fn is_measured(word: &str) -> bool {
    let mut rest = word;
    while !rest.is_empty() {
        let number = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let unit = number
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(number.len());
        if number.len() == rest.len() || !UNITS.contains(&&number[..unit]) {
            return false;
        }
        rest = &number[unit..];
    }
    !word.is_empty()
}

#[test]
fn measures_are_left_out_and_results_are_not() {
    let [one, other] = [
        "wall 1.5s, cpu 85.0ms\n\na   3",
        "wall 1m11s,   cpu 2s\na 3\nwaiting: for a node",
    ]
    .map(gist);
    assert_eq!(one, other);
    assert_ne!(gist("mean 3.7"), gist("mean 3.8"));
    assert_ne!(gist("task 0"), gist("task 1"));
}
