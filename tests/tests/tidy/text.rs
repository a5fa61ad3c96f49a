//! As much of Rust's grammar as the rules need: what is comment, what is text,
//! what is test. Formatting is checked elsewhere, so that indentation can be trusted.

/// A file taken apart.
#[derive(Debug, Default)]
pub(crate) struct Split {
    /// The code, line by line as it was, comments and text blanked.
    pub(crate) code: String,
    /// What stood between quotes.
    pub(crate) literals: Vec<String>,
}

/// What comes next in a file.
enum Piece<'a> {
    Code,
    /// A comment, or a character between quotes.
    Blank,
    Literal(&'a str),
}

/// Takes a file apart.
pub(crate) fn split(text: &str) -> Split {
    let mut split = Split::default();
    let mut rest = text;
    while !rest.is_empty() {
        let (length, piece) = next(rest, &split.code);
        let (taken, left) = rest.split_at(length.min(rest.len()));
        match piece {
            Piece::Code => split.code.push_str(taken),
            Piece::Blank => blank(&mut split.code, taken),
            Piece::Literal(text) => {
                split.literals.push(text.to_owned());
                blank(&mut split.code, taken);
            }
        }
        rest = left;
    }
    split
}

/// The next piece of a file that is not at its end, and its length.
fn next<'a>(rest: &'a str, before: &str) -> (usize, Piece<'a>) {
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), Piece::Blank);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), Piece::Blank);
    }
    if let Some(hashes) = raw_start(rest, before) {
        let opening = hashes + 2;
        let closing = format!("\"{}", "#".repeat(hashes));
        let body = &rest[opening..];
        let length = body.find(&closing).unwrap_or(body.len());
        let whole = opening + length + closing.len();
        return (whole, Piece::Literal(&body[..length]));
    }
    if let Some(body) = rest.strip_prefix('"') {
        let length = quoted(body);
        return (length + 2, Piece::Literal(&body[..length]));
    }
    if let Some(length) = character(rest) {
        return (length, Piece::Blank);
    }
    (rest.chars().next().map_or(1, char::len_utf8), Piece::Code)
}

/// What is no code leaves its lines, so that numbers of lines stay true.
fn blank(code: &mut String, taken: &str) {
    code.push(' ');
    code.extend(taken.chars().filter(|c| *c == '\n'));
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The number of `#` when raw text begins here; `r` must not end a name.
fn raw_start(text: &str, before: &str) -> Option<usize> {
    let body = text.strip_prefix('r')?;
    let names_end = |c: char| c.is_alphanumeric() || c == '_';
    let prefix = before.strip_suffix('b').unwrap_or(before);
    if prefix.ends_with(names_end) {
        return None;
    }
    let hashes = body.len() - body.trim_start_matches('#').len();
    body[hashes..].starts_with('"').then_some(hashes)
}

/// Length of the text before the quote that ends it.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at,
            _ => {}
        }
    }
    text.len()
}

/// Length of a character with its quotes; none when a lifetime begins here.
fn character(text: &str) -> Option<usize> {
    let mut characters = text.char_indices();
    characters.next().filter(|(_, quote)| *quote == '\'')?;
    let (_, first) = characters.next()?;
    if first != '\\' {
        let (at, second) = characters.next()?;
        return (second == '\'').then_some(at + 1);
    }
    // What is escaped may itself be a quote.
    characters.next()?;
    characters.find(|(_, c)| *c == '\'').map(|(at, _)| at + 1)
}

/// A file without its modules of tests; what they hold is no part of it.
pub(crate) fn without_tests(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut kept = String::new();
    let mut at = 0;
    while at < lines.len() {
        let next = lines.get(at + 1).copied().unwrap_or_default();
        if lines[at].trim() == "#[cfg(test)]" && next.trim_end().ends_with('{') {
            at = end_of_block(&lines, at + 1) + 1;
            continue;
        }
        kept.push_str(lines[at]);
        kept.push('\n');
        at += 1;
    }
    kept
}

/// The line that closes what begins at `start`, by its indentation.
pub(crate) fn end_of_block(lines: &[&str], start: usize) -> usize {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let own = indent(lines[start]);
    (start + 1..lines.len())
        .find(|at| lines[*at].trim_start().starts_with('}') && indent(lines[*at]) == own)
        .unwrap_or(lines.len() - 1)
}

/// The names in code, in order.
pub(crate) fn names(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|name| name.starts_with(|c: char| c.is_alphabetic() || c == '_'))
}

/// The paths that code names, `use` trees written out: `std::fs`, `std::io::Read`.
pub(crate) fn paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find(|c: char| c.is_alphabetic() || c == '_') {
        let (path, after) = take_path(&rest[at..]);
        if let Some(tree) = after.strip_prefix("::{") {
            let (inside, left) = braces(tree);
            for branch in branches(inside) {
                for below in paths_of_branch(branch) {
                    paths.push(format!("{path}::{below}"));
                }
            }
            rest = left;
        } else {
            paths.push(path);
            rest = after;
        }
    }
    paths
}

fn paths_of_branch(branch: &str) -> Vec<String> {
    match branch.trim() {
        "" => Vec::new(),
        "*" => vec!["*".to_owned()],
        branch => paths(branch),
    }
}

fn take_path(text: &str) -> (String, &str) {
    let name = |text: &str| {
        text.find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(text.len())
    };
    let mut end = name(text);
    while let Some(more) = text[end..].strip_prefix("::") {
        let length = name(more);
        if length == 0 {
            break;
        }
        end += 2 + length;
    }
    (text[..end].to_owned(), &text[end..])
}

/// What stands before the brace that closes, and what stands after it.
fn braces(text: &str) -> (&str, &str) {
    let mut depth = 1;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (&text[..at], &text[at + 1..]);
        }
    }
    (text, "")
}

/// The parts between commas that no brace encloses.
fn branches(text: &str) -> Vec<&str> {
    let mut depth = 0;
    text.split(|c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_text_are_no_code() {
        let split = split(
            "a(\"b\\\"//\", 'c', '\\'', b\"d\"); // e\nlet x: &'f str = r#\"g\"h\"#; /* i\n/* */ */ j",
        );
        let code: Vec<&str> = names(&split.code).collect();
        assert_eq!(code, ["a", "b", "let", "x", "f", "str", "j"]);
        assert_eq!(split.literals, ["b\\\"//", "d", "g\"h"]);
        assert_eq!(split.code.lines().count(), 3);
    }

    #[test]
    fn tests_are_no_part_of_a_file() {
        let text = "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {\n    }\n}\nfn c() {}\n";
        assert_eq!(without_tests(text), "fn a() {}\n\nfn c() {}\n");
        assert_eq!(
            without_tests("#[cfg(test)]\nmod tests;\n").lines().count(),
            2
        );
    }

    #[test]
    fn trees_of_imports_are_written_out() {
        let found = paths("use std::{fs::{self, File}, io}; std::net::bind(); use a::*;");
        for path in [
            "std::fs::self",
            "std::fs::File",
            "std::io",
            "std::net::bind",
        ] {
            assert!(found.iter().any(|found| found == path), "{path}: {found:?}");
        }
    }
}
