//! `cargo xtask soak`: ten thousand starts, kills and crashes, after which nothing may
//! be left. The same test runs in `cargo xtask test`, with some hundred.

use anyhow::Result;

use crate::command::{command, line, run};
use crate::layout::Layout;
use crate::product;

/// How many attempts.
const STARTS: &str = "10000";

/// Builds the product and wears it out.
///
/// # Errors
/// Something is left, or did not go as it should.
pub(crate) fn soak(layout: &Layout) -> Result<()> {
    product::build(layout)?;
    let args = [
        "test",
        "--workspace",
        "--locked",
        "--test",
        "soak",
        "--",
        "--nocapture",
    ];
    let mut test = command(&layout.root, "cargo", &args);
    test.env("STINT_SOAK", STARTS);
    println!("$ STINT_SOAK={STARTS} {}", line(&test));
    run(&mut test)
}
