//! What must stay absent, checked as an ordinary test: the walls of the house,
//! the purity of the hearts, the budget of files and functions, the words.
//!
//! Every rule is a function from sources or dependencies to breaches, and has a
//! test that it finds one. This folder names what it forbids, and is therefore
//! the one place that the rules about words do not read.

mod source;
mod text;

mod budget;
mod documents;
mod fences;
mod habits;
mod hearts;
mod manifests;
mod unsafe_code;
mod walls;
mod words;

/// Fails with every breach, one a line.
fn assert_none(rule: &str, breaches: &[String]) {
    assert!(breaches.is_empty(), "{rule}:\n  {}", breaches.join("\n  "));
}
