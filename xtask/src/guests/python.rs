//! The guest that is a large component: CPython with its library and a program, put
//! together by `componentize-py` from PyPI, by its pinned version and hash.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::command::{command, line, run_silent};
use crate::layout::Layout;

/// What makes it, as `pip` reads it; the wheel is that of x86-64 Linux.
const TOOL: &str = "componentize-py==0.25.1 \
     --hash=sha256:8623cd8cab8453cb0cd8bf03f3c7103420d06f2f3d360186a280a70a1ca5e89f\n";
/// The guest, and where its sources are.
const PROGRAM: (&str, &str) = ("python-component", "tests/jobs/python-component");

/// Of these.
const SOURCES: [&str; 2] = ["wit/job.wit", "app.py"];
/// Where they are copied to, beside the tool.
const COPY: &str = "sources";

/// Builds it into `target/guests/`, unless it is there and its sources have not changed.
/// Everything else works without: where it cannot be had, that is said, and said
/// again by the test that wants to run it.
pub(super) fn build(layout: &Layout) {
    match make(layout) {
        Ok(()) => println!("guests: {}", line(&componentize(layout))),
        Err(error) => println!(
            "guests: MISSING {}, the large component: it needs Python with `venv`, and PyPI once: {error:#}",
            PROGRAM.0
        ),
    }
}

fn make(layout: &Layout) -> Result<()> {
    let (name, from) = PROGRAM;
    let home = home(layout);
    let stamp = home.join("made-from");
    let guest = layout.guest(name);
    let texts = SOURCES.map(|file| {
        let path = layout.root.join(from).join(file);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    });
    let texts: Vec<String> = texts.into_iter().collect::<Result<_>>()?;
    let made_from = format!("{TOOL}{}", texts.concat());
    if guest.exists() && fs::read_to_string(&stamp).is_ok_and(|made| made == made_from) {
        return Ok(());
    }
    // A build that fails does not leave the one before for the tests to run.
    drop(fs::remove_file(&guest));
    fs::create_dir_all(home.join(COPY).join("wit"))?;
    for (file, text) in SOURCES.iter().zip(&texts) {
        fs::write(home.join(COPY).join(file), text)?;
    }
    let venv = home.join("venv");
    if !venv.join("bin/pip").exists() {
        run_silent(command(&home, "python3", &["-m", "venv"]).arg(&venv))?;
    }
    let wanted = home.join("requirements.txt");
    fs::write(&wanted, TOOL)?;
    let mut install = Command::new(venv.join("bin/pip"));
    install.args(["install", "--quiet", "--disable-pip-version-check"]);
    install.args(["--require-hashes", "--no-deps", "--only-binary=:all:", "-r"]);
    run_silent(install.arg(&wanted))?;
    run_silent(&mut componentize(layout))?;
    fs::write(&stamp, made_from)?;
    Ok(())
}

fn home(layout: &Layout) -> PathBuf {
    layout.target.join("guests").join(PROGRAM.0)
}

/// From a copy of the sources: Python leaves files beside them.
fn componentize(layout: &Layout) -> Command {
    let home = home(layout);
    let tool = home.join("venv/bin/componentize-py");
    let copy = home.join(COPY);
    let mut componentize = Command::new(tool);
    componentize.current_dir(&layout.root);
    componentize.arg("-d").arg(layout.short(&copy.join("wit")));
    componentize.args(["-w", "wasi:cli/job", "componentize", "-p"]);
    componentize.arg(layout.short(&copy)).args(["app", "-o"]);
    componentize.arg(layout.short(&layout.guest(PROGRAM.0)));
    componentize
}
