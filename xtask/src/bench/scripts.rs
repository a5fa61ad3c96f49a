//! What somebody waits for who runs a Python script: from the command to the script's
//! first line, beside the same in the machine's own Python.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};

use super::figures::{Figures, print_starts_beside};
use crate::command::{run, run_silent};
use crate::layout::Layout;
use crate::site::Site;

/// All take turns this often.
const ROUNDS: usize = 10;
/// Says when it ran, in nanoseconds of the machine's clock, which a guest sees as it is.
const FIRST_LINE: &str = "import time; print(time.time_ns())";
/// The same after what data scientists import first.
const AFTER_IMPORTS: &str = "import numpy, pandas\nimport time; print(time.time_ns())";

/// Makes the kit be there, compiled, and the node to come find it so; the first time
/// that takes minutes.
///
/// # Errors
/// The kit cannot be had, or does not compile.
pub(super) fn prepare(layout: &Layout, node: &Path) -> Result<()> {
    run(&mut stint(layout, &["kit", "add", "python"]))?;
    let script = written(layout, "nothing.py", "")?;
    run_silent(stint(layout, &["run"]).arg(script))?;
    fs::create_dir_all(node)?;
    let artifacts = layout.target.join("kits/cache/stint/artifacts");
    symlink(artifacts, node.join("artifacts")).context("cannot share what is compiled")
}

/// Measures and prints one table.
///
/// # Errors
/// Something could not be started, or a script did not succeed.
pub(super) fn scripts(layout: &Layout, site: &Site) -> Result<()> {
    let url = site.url();
    run(stint(layout, &["kit", "add", "python"]).env("STINT_SERVER", &url))?;
    let first = written(layout, "first_line.py", FIRST_LINE)?;
    let imports = written(layout, "after_imports.py", AFTER_IMPORTS)?;
    let ours = |script: &Path| {
        let mut command = stint(layout, &["run"]);
        command.arg(script).env("STINT_SERVER", &url);
        command
    };
    let python = interpreter()?;
    let native = || {
        let mut command = Command::new(&python);
        command.arg(&first);
        command
    };
    println!("bench: {ROUNDS} rounds of scripts, natively and as jobs");
    let mut rows = [
        Figures::new("`python3`: command → first line"),
        Figures::new("`stint run`, on a cluster: command → first line"),
        Figures::new("`stint run`, on a cluster: command → its end"),
        Figures::new("`stint run`: command → first line after numpy and pandas"),
    ];
    // The first of each finds files that are not in memory.
    for round in 0..=ROUNDS {
        let took = [
            until_first_line(&mut native())?.0,
            until_first_line(&mut ours(&first))?.0,
            until_first_line(&mut ours(&first))?.1,
            until_first_line(&mut ours(&imports))?.0,
        ];
        if round > 0 {
            for (row, took) in rows.iter_mut().zip(took) {
                row.add(took);
            }
        }
    }
    println!();
    let all: Vec<&Figures> = rows.iter().collect();
    print_starts_beside(&all, &rows[0], "× python3");
    Ok(())
}

/// The machine's Python itself: what stands in PATH may be a script that looks for it.
fn interpreter() -> Result<String> {
    let mut which = Command::new("python3");
    let output = which
        .args(["-c", "import sys; print(sys.executable)"])
        .output();
    let output = output.context("cannot start python3, which is measured beside ours")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a script that says when it ran: how long after the command that was, and how
/// long all of it took.
fn until_first_line(command: &mut Command) -> Result<(Duration, Duration)> {
    let (clock, start) = (SystemTime::now(), Instant::now());
    let output = command.output().context("cannot start a script")?;
    let whole = start.elapsed();
    ensure!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let said = String::from_utf8_lossy(&output.stdout);
    let nanos: u64 = said.trim().parse().context("the time of the first line")?;
    let ran = UNIX_EPOCH + Duration::from_nanos(nanos);
    Ok((ran.duration_since(clock)?, whole))
}

/// A `stint` command that knows the kit of this checkout, and what it was compiled to.
fn stint(layout: &Layout, args: &[&str]) -> Command {
    let kits = layout.target.join("kits");
    let mut command = Command::new(layout.stint());
    command
        .args(args)
        .env_remove("STINT_SERVER")
        .env("XDG_CACHE_HOME", kits.join("cache"))
        .env("XDG_DATA_HOME", kits.join("data"));
    command
}

fn written(layout: &Layout, name: &str, text: &str) -> Result<PathBuf> {
    let dir = layout.target.join("bench");
    fs::create_dir_all(&dir)?;
    let path = dir.join(name);
    fs::write(&path, text)?;
    Ok(path)
}
