//! What it takes until an input is there that is on no node yet, from a web server on
//! this machine, beside `cp` of the same bytes.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::cluster::NO_OP;
use super::figures::{Figures, print_starts_beside};
use crate::command::run_silent;
use crate::layout::Layout;
use crate::site::wait_for;

/// Both sides take turns this often.
const ROUNDS: usize = 5;
/// Large beside everything that a job without an input takes.
const INPUT_MIB: usize = 1_024;
/// Longest that the web server may take to be there.
const READY_BOUND: Duration = Duration::from_secs(20);

/// A web server that ends with its owner.
struct Web(Child);

impl Drop for Web {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Measures and prints one table.
///
/// # Errors
/// There is no Python, no room on the disk, or a job does not succeed.
pub(super) fn staging(layout: &Layout) -> Result<()> {
    let dir = layout.target.join("bench/staging");
    fs::create_dir_all(&dir)?;
    let measured = measure(layout, &dir);
    fs::remove_dir_all(&dir)?;
    measured
}

fn measure(layout: &Layout, dir: &Path) -> Result<()> {
    let (source, copy, module) = (dir.join("input"), dir.join("copy"), dir.join("no-op.wasm"));
    let mut file = File::create(&source)?;
    for mib in 0..INPUT_MIB {
        file.write_all(&[mib.to_le_bytes()[0]; 1 << 20])?;
    }
    drop(file);
    fs::write(&module, NO_OP)?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let _web = serve(dir, port)?;
    let input = format!("input=http://127.0.0.1:{port}/input");
    let job = |flags: &[&str]| {
        let mut command = Command::new(layout.stint());
        command.args(["run", "--cpu", "1"]).args(flags);
        command.arg(&module).env_remove("STINT_SERVER");
        timed(&mut command)
    };
    println!("bench: {ROUNDS} rounds of {INPUT_MIB} MiB, by `cp` and as an input");
    let mut rows = [
        Figures::new(format!("`cp` of {INPUT_MIB} MiB")),
        Figures::new("`stint run` of a no-op without it"),
        Figures::new("what it takes more with it, from a web server"),
    ];
    for _ in 0..ROUNDS {
        let copied = timed(Command::new("cp").arg(&source).arg(&copy))?;
        fs::remove_file(&copy)?;
        let without = job(&[])?;
        let with = job(&["--input", &input])?;
        let took = [copied, without, with.saturating_sub(without)];
        rows.iter_mut()
            .zip(took)
            .for_each(|(row, took)| row.add(took));
    }
    println!();
    let all: Vec<&Figures> = rows.iter().collect();
    print_starts_beside(&all, &rows[0], "× cp");
    Ok(())
}

fn serve(dir: &Path, port: u16) -> Result<Web> {
    let child = Command::new("python3")
        .args([
            "-m",
            "http.server",
            "--bind",
            "127.0.0.1",
            &port.to_string(),
        ])
        .arg("--directory")
        .arg(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start python3, whose web server gives the input")?;
    let web = Web(child);
    wait_for("the web server", READY_BOUND, || {
        Ok(TcpStream::connect(("127.0.0.1", port)).ok())
    })?;
    Ok(web)
}

fn timed(command: &mut Command) -> Result<Duration> {
    let start = Instant::now();
    run_silent(command)?;
    Ok(start.elapsed())
}
