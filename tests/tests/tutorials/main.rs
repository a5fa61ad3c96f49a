//! The tutorials: every command in them is run as it stands there, and answers what is shown.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod page;
mod reader;

mod same;

use reader::Reader;
use stint_tests::kit::python;

#[test]
fn what_a_data_scientist_types_answers_as_the_tutorial_shows() {
    python();
    Reader::new(&["examples"]).follow("tutorial-data-scientist.md");
}

#[test]
fn what_a_platform_engineer_types_answers_as_the_tutorial_shows() {
    let guests = ["hog", "steady", "flights"].map(|name| format!("target/guests/{name}.wasm"));
    let mut needs = vec!["examples"];
    needs.extend(guests.iter().map(String::as_str));
    Reader::new(&needs).follow("tutorial-platform-engineer.md");
}
