//! `cargo xtask test-v2`: what must hold on cgroups v2, on a kernel that has
//! them, in a virtual machine without acceleration. Most machines where this is
//! tested mount v1 or give no group away; the machine is made of Debian packages
//! that are unpacked under `target/vm`, nothing is installed.

mod image;
mod machine;
mod packages;

use anyhow::{Context as _, Result, bail};

use crate::guests::{self, Toolchain};
use crate::layout::Layout;
use crate::product;
use packages::Had;

/// The last line of a machine in which everything went well.
const OK: &str = "V2-OK";
/// Begins a line that names what went wrong.
const FAILED: &str = "V2-FAILED";

/// Runs the tests of cgroups, and jobs, on a v2 kernel. Where the machine cannot
/// be had it says so and is content.
///
/// # Errors
/// Something that must hold does not, or did not end in time.
pub(crate) fn run(layout: &Layout) -> Result<()> {
    let parts = match packages::get(layout)? {
        Had::Parts(parts) => parts,
        Had::Missing(what) => {
            println!("vm: SKIPPED, cgroups v2 were NOT tested: {what}");
            return Ok(());
        }
    };
    guests::guests(layout, Toolchain::Any)?;
    product::build(layout)?;
    let image = image::build(layout, &parts)?;
    let console = machine::run(layout, &parts, &image)?;
    for line in console.lines().filter(|line| is_telling(line)) {
        println!("vm: {line}");
    }
    let failed: Vec<&str> = console
        .lines()
        .filter(|line| line.starts_with(FAILED))
        .collect();
    if !failed.is_empty() || !console.lines().any(|line| line == OK) {
        println!("{console}");
        let what = match failed.as_slice() {
            [] => "the machine ended early".to_owned(),
            lines => lines.join(", "),
        };
        bail!("on cgroups v2: {what} (the console is above)");
    }
    Ok(())
}

fn is_telling(line: &str) -> bool {
    ["Linux ", "== ", "test result: ", OK, FAILED]
        .iter()
        .any(|start| line.starts_with(start))
}

/// `path` for a command that takes text.
fn text(path: &std::path::Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("{} is not UTF-8", path.display()))
}
