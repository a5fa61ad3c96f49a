//! Builds the product, in the one way in which every step builds it.

use anyhow::Result;

use crate::command::{command, line, run};
use crate::layout::Layout;

/// Builds the whole workspace: with the features of all of it, so that the engine
/// is compiled once, whichever step comes first.
///
/// # Errors
/// It does not build.
pub(crate) fn build(layout: &Layout) -> Result<()> {
    let args = ["build", "--workspace", "--locked"];
    let mut build = command(&layout.root, "cargo", &args);
    println!("$ {}", line(&build));
    run(&mut build)
}
