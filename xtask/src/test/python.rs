//! The Python client's own tests: its types, what it does alone, and what it does with a
//! real scheduler and node. What they need comes from PyPI, each by version and digest.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::counts::{self, Counts};
use crate::command::{command, line, run, run_silent};
use crate::layout::Layout;

/// What is installed, in the client's directory.
const REQUIREMENTS: &str = "requirements.txt";

/// Checks the types, then runs the tests.
///
/// # Errors
/// There is no Python of 3.11 or later with pip, or a check or a test failed.
pub(super) fn test(layout: &Layout, counts: &mut Counts) -> Result<()> {
    let client = layout.root.join("sdk/python");
    let python = environment(layout)?;
    let python = python.to_string_lossy();
    let cache = layout.target.join("tools/mypy");
    let mut types = command(&client, &python, &["-m", "mypy"]);
    types.arg("--cache-dir").arg(&cache);
    println!("$ {}", line(&types));
    run(&mut types)?;
    let kits = layout.target.join("kits");
    let mut tests = command(&client, &python, &["tests/run.py"]);
    tests
        .env("PYTHONPATH", client.join("src"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("STINT_BINARY", layout.stint())
        // Where the tests of scripts have compiled the kit already.
        .env("XDG_CACHE_HOME", kits.join("cache"))
        .env("XDG_DATA_HOME", kits.join("data"));
    counts::run(&mut tests, counts)
}

/// The interpreter of an environment with what is required, made where it is missing or old.
fn environment(layout: &Layout) -> Result<PathBuf> {
    let client = layout.root.join("sdk/python");
    let wanted = std::fs::read_to_string(client.join(REQUIREMENTS))?;
    let place = layout.target.join("tools/python");
    let (python, stamp) = (place.join("bin/python"), place.join(REQUIREMENTS));
    if python.exists() && std::fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
        return Ok(python);
    }
    println!("python: installing what the client's tests need into target/tools/python");
    let shown = place.to_string_lossy();
    let mut make = command(&client, "python3", &["-m", "venv", "--clear", &shown]);
    run_silent(&mut make).context("the client's tests need Python 3.11 or later, with venv")?;
    install(&mut command(&client, &python.to_string_lossy(), &[]))?;
    std::fs::write(&stamp, wanted)?;
    Ok(python)
}

fn install(python: &mut Command) -> Result<()> {
    let pip = python
        .args(["-m", "pip", "--disable-pip-version-check", "install"])
        .args(["--quiet", "--no-deps", "--only-binary", ":all:"])
        .args(["--require-hashes", "--requirement", REQUIREMENTS]);
    run_silent(pip)
}
