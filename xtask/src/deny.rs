//! `cargo xtask deny`: the rules of `deny.toml`, checked by `cargo-deny`, which
//! is installed into the target directory where the machine lacks it.

use std::path::PathBuf;

use anyhow::Result;

use crate::command::{ask, command, run};
use crate::layout::Layout;

/// The version that the rules are written for.
const VERSION: &str = "0.20.2";

/// Checks bans, licences and sources. Advisories need a database that is fetched.
///
/// # Errors
/// A rule is broken, or cargo-deny cannot be had.
pub(crate) fn deny(layout: &Layout) -> Result<()> {
    let tool = tool(layout)?;
    let args = ["--workspace", "check", "bans", "licenses", "sources"];
    run(&mut command(&layout.root, &tool.to_string_lossy(), &args))
}

fn tool(layout: &Layout) -> Result<PathBuf> {
    let own = layout.target.join("tools");
    let ours = own.join("bin/cargo-deny");
    for candidate in [PathBuf::from("cargo-deny"), ours.clone()] {
        let asked = ask(
            command(&layout.root, &candidate.to_string_lossy(), &["--version"]).env_remove("CARGO"),
        );
        if asked.is_some_and(|text| text.trim().ends_with(VERSION)) {
            return Ok(candidate);
        }
    }
    // Unoptimised: it runs for a second, and builds in a third of the time.
    println!("deny: installing cargo-deny {VERSION} into target/tools (two minutes, once)");
    let root = own.to_string_lossy().into_owned();
    let args = [
        "install",
        "--quiet",
        "--locked",
        "--debug",
        "--version",
        VERSION,
        "--root",
        &root,
        "cargo-deny",
    ];
    let build = own.join("build");
    run(command(&layout.root, "cargo", &args).env("CARGO_TARGET_DIR", &build))?;
    // A gigabyte that nothing needs any more.
    std::fs::remove_dir_all(&build)?;
    Ok(ours)
}
