//! `cargo xtask guests`: gets a WebAssembly target and builds the examples for it.

mod c;
mod debian;
mod python;

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::command::{ask, command, run};
use crate::layout::Layout;

/// What guests are built for.
const TARGET: &str = "wasm32-wasip1";
/// The programs that the packages of `examples/` build.
const PROGRAMS: [&str; 8] = [
    "flights",
    "kernels",
    "montecarlo",
    "wordcount",
    "hog",
    "spin",
    "flaky",
    "steady",
];

/// Where the compiler and the standard library of guests come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Toolchain {
    /// From rustup where it can, else from Debian's packages.
    Any,
    /// From Debian's packages.
    Debian,
}

impl Toolchain {
    /// Reads the words after the verb.
    ///
    /// # Errors
    /// There is another word than `--debian`.
    pub(crate) fn asked(words: &[&str]) -> Result<Self> {
        match words {
            [] => Ok(Self::Any),
            ["--debian"] => Ok(Self::Debian),
            _ => bail!("unexpected arguments {words:?}; there is only --debian"),
        }
    }
}

/// Builds every guest into `target/guests/NAME.wasm`.
///
/// # Errors
/// No target can be had, or the build fails.
pub(crate) fn guests(layout: &Layout, toolchain: Toolchain) -> Result<()> {
    let mut build = match toolchain {
        Toolchain::Any if rustup_has_target(layout) => rustup_build(layout),
        Toolchain::Any | Toolchain::Debian => debian::build(layout)?,
    };
    println!("guests: building examples/ for {TARGET} into target/guests");
    run(&mut build)?;
    let built = build
        .get_envs()
        .find_map(|(name, value)| (name == "CARGO_TARGET_DIR").then_some(value?))
        .map(|directory| layout.root.join(directory))
        .context("the build has a target directory")?;
    for program in PROGRAMS {
        let from = built
            .join(TARGET)
            .join("release")
            .join(program)
            .with_extension("wasm");
        let to = layout.guest(program);
        fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    println!("guests: {}", PROGRAMS.join(", "));
    c::build(layout);
    python::build(layout);
    Ok(())
}

/// Whether rustup has the target, or can get it.
fn rustup_has_target(layout: &Layout) -> bool {
    let mut list = command(&layout.root, "rustup", &["target", "list", "--installed"]);
    let Some(installed) = ask(&mut list) else {
        println!("guests: there is no rustup");
        return false;
    };
    if installed.lines().any(|target| target == TARGET) {
        println!("guests: rustup has {TARGET}");
        return true;
    }
    println!("guests: rustup target add {TARGET}");
    let added = ask(&mut command(
        &layout.root,
        "rustup",
        &["target", "add", TARGET],
    ));
    if added.is_none() {
        println!("guests: rustup cannot get it here");
    }
    added.is_some()
}

fn rustup_build(layout: &Layout) -> Command {
    let mut build = cargo_build(layout);
    build.env("CARGO_TARGET_DIR", layout.target.join("guests/rustup"));
    build
}

/// The part of the build that both toolchains share.
fn cargo_build(layout: &Layout) -> Command {
    let args = [
        "build",
        "--quiet",
        "--release",
        "--locked",
        "--target",
        TARGET,
    ];
    command(&layout.root.join("examples"), "cargo", &args)
}
