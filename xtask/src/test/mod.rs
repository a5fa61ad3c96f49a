//! `cargo xtask test`: every check, each timed, a summary at the end.
//!
//! Every step names the whole workspace, so that one set of features holds in
//! all of them and the engine is compiled once.

mod counts;
mod python;

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::command::{command, line, run};
use crate::guests::{self, Toolchain};
use crate::layout::Layout;
use crate::{deny, product, vm};
use counts::Counts;

/// What came of one step.
struct Step {
    name: &'static str,
    took: Duration,
    verdict: Verdict,
}

enum Verdict {
    Passed,
    Failed,
    /// A step that it builds on failed.
    NotRun,
}

/// The steps so far.
#[derive(Default)]
struct Steps {
    done: Vec<Step>,
    counts: Counts,
}

/// Runs every check; one that fails does not stop the others, unless they build on it.
///
/// # Errors
/// A step failed.
pub(crate) fn test(layout: &Layout) -> Result<()> {
    let mut steps = Steps::default();
    steps.run("format", |_| format(layout));
    // Built first, because the end-to-end tests run the binary and the guests.
    let guests = steps.run("guests", |_| guests::guests(layout, Toolchain::Any));
    let built = steps.run("build", |_| product::build(layout));
    if guests && built {
        steps.run("tests", |counts| tests(layout, counts));
        steps.run("tests of the Python client", |counts| {
            python::test(layout, counts)
        });
        steps.run("cgroups v2 in a virtual machine", |_| vm::run(layout));
    } else {
        steps.skip("tests");
        steps.skip("tests of the Python client");
        steps.skip("cgroups v2 in a virtual machine");
    }
    steps.run("tests of sdk and examples", |counts| {
        tests_beside(layout, counts)
    });
    steps.run("lints", |_| lints(layout));
    steps.run("documentation", |_| documentation(layout));
    steps.run("dependency rules", |_| deny::deny(layout));
    steps.summary()
}

/// Runs the tests of the Python client alone.
///
/// # Errors
/// One failed, or what they need cannot be had.
pub(crate) fn python(layout: &Layout) -> Result<()> {
    python::test(layout, &mut Counts::default())
}

impl Steps {
    fn run(&mut self, name: &'static str, check: impl FnOnce(&mut Counts) -> Result<()>) -> bool {
        println!("\n== {name}");
        let start = Instant::now();
        let verdict = match check(&mut self.counts) {
            Ok(()) => Verdict::Passed,
            Err(error) => {
                eprintln!("{name}: {error:#}");
                Verdict::Failed
            }
        };
        let passed = matches!(verdict, Verdict::Passed);
        self.done.push(Step {
            name,
            took: start.elapsed(),
            verdict,
        });
        passed
    }

    fn skip(&mut self, name: &'static str) {
        self.done.push(Step {
            name,
            took: Duration::ZERO,
            verdict: Verdict::NotRun,
        });
    }

    fn summary(&self) -> Result<()> {
        println!("\n== summary");
        for step in &self.done {
            let verdict = match step.verdict {
                Verdict::Passed => "ok",
                Verdict::Failed => "FAILED",
                Verdict::NotRun => "NOT RUN",
            };
            println!(
                "{:>8.1} s  {:<34}{verdict}",
                step.took.as_secs_f64(),
                step.name
            );
        }
        let total: Duration = self.done.iter().map(|step| step.took).sum();
        let failed: Vec<&str> = self
            .done
            .iter()
            .filter(|step| !matches!(step.verdict, Verdict::Passed))
            .map(|step| step.name)
            .collect();
        println!(
            "{:>8.1} s  in all\n\n{} of {} steps passed; tests: {} passed, {} failed, {} ignored",
            total.as_secs_f64(),
            self.done.len() - failed.len(),
            self.done.len(),
            self.counts.passed,
            self.counts.failed,
            self.counts.ignored,
        );
        if !failed.is_empty() {
            bail!("failed: {}", failed.join(", "));
        }
        Ok(())
    }
}

fn format(layout: &Layout) -> Result<()> {
    cargo(layout, &["fmt", "--all", "--check"])?;
    for manifest in BESIDE {
        let beside = ["fmt", "--all", "--check", "--manifest-path", manifest];
        cargo(layout, &beside)?;
    }
    Ok(())
}

fn tests(layout: &Layout, counts: &mut Counts) -> Result<()> {
    let args = ["test", "--workspace", "--locked", "--no-fail-fast"];
    counts::run(&mut command(&layout.root, "cargo", &args), counts)
}

/// What stands beside the workspace, because guests and product never mix.
const BESIDE: [&str; 2] = ["sdk/rust/Cargo.toml", "examples/Cargo.toml"];

fn tests_beside(layout: &Layout, counts: &mut Counts) -> Result<()> {
    for manifest in BESIDE {
        let args = ["test", "--locked", "--manifest-path", manifest];
        counts::run(&mut beside(layout, &args), counts)?;
    }
    Ok(())
}

fn lints(layout: &Layout) -> Result<()> {
    let deny = ["--", "--deny", "warnings"];
    let args = ["clippy", "--workspace", "--all-targets", "--locked"];
    spoken(command(&layout.root, "cargo", &args).args(deny))?;
    for manifest in BESIDE {
        let args = [
            "clippy",
            "--locked",
            "--all-targets",
            "--manifest-path",
            manifest,
        ];
        spoken(beside(layout, &args).args(deny))?;
    }
    Ok(())
}

fn documentation(layout: &Layout) -> Result<()> {
    let args = ["doc", "--workspace", "--no-deps", "--locked"];
    spoken(command(&layout.root, "cargo", &args).env("RUSTDOCFLAGS", "--deny warnings"))
}

fn cargo(layout: &Layout, args: &[&str]) -> Result<()> {
    spoken(&mut command(&layout.root, "cargo", args))
}

/// Cargo on what stands beside the workspace, its output under our target directory.
fn beside(layout: &Layout, args: &[&str]) -> Command {
    let mut cargo = command(&layout.root, "cargo", args);
    cargo.env("CARGO_TARGET_DIR", layout.target.join("beside"));
    cargo
}

fn spoken(command: &mut Command) -> Result<()> {
    println!("$ {}", line(command));
    run(command)
}
