//! Runs the machine, no longer than it may, and hands over what it said.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::layout::Layout;

use super::packages::Parts;

/// Many times what it takes on two cores: without acceleration everything is twenty times slower.
const LIMIT: Duration = Duration::from_secs(300);
/// How often to look whether it has ended.
const LOOK: Duration = Duration::from_millis(50);

/// Runs `image` to its end; its console.
///
/// # Errors
/// The emulator does not start, or does not end in time.
pub(super) fn run(layout: &Layout, parts: &Parts, image: &Path) -> Result<String> {
    let log = layout.target.join("vm/console.log");
    println!(
        "vm: starting, its console is {}",
        layout.short(&log).display()
    );
    let mut qemu = start(parts, image, &log)?;
    let status = wait(&mut qemu)?;
    let console = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
    let console = plain(&String::from_utf8_lossy(&console));
    match status {
        Some(status) if status.success() => Ok(console),
        Some(status) => bail!("the emulator failed ({status}):\n{console}"),
        None => bail!(
            "the machine did not end within {} s:\n{console}",
            LIMIT.as_secs()
        ),
    }
}

fn start(parts: &Parts, image: &Path, log: &Path) -> Result<Child> {
    let log = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut qemu = Command::new(parts.qemu());
    for directory in parts.data() {
        qemu.arg("-L").arg(directory);
    }
    let libraries = std::env::join_paths(parts.libraries()).context("a path with a colon")?;
    // Not -enable-kvm: where it is offered inside another machine it may hang.
    qemu.args([
        "-accel",
        "tcg,thread=multi",
        "-cpu",
        "max",
        "-m",
        "1024",
        "-smp",
        "2",
    ])
    .args(["-nographic", "-nic", "none", "-no-reboot"])
    .arg("-kernel")
    .arg(&parts.kernel)
    .arg("-initrd")
    .arg(image)
    .args(["-append", "console=ttyS0 quiet panic=-1"])
    .env("LD_LIBRARY_PATH", libraries)
    .stdin(Stdio::null())
    .stderr(log.try_clone()?)
    .stdout(log);
    qemu.spawn().context("cannot start the emulator")
}

/// How it ended; none when it had to be stopped.
fn wait(qemu: &mut Child) -> Result<Option<ExitStatus>> {
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        if let Some(status) = qemu.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(LOOK);
    }
    qemu.kill()?;
    qemu.wait()?;
    Ok(None)
}

/// A console without what only a terminal understands.
fn plain(console: &str) -> String {
    let lines = console
        .lines()
        .map(|line| line.trim_end_matches('\r'))
        .filter(|line| !line.contains('\u{1b}'));
    lines.fold(String::new(), |text, line| text + line + "\n")
}
