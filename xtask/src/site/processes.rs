//! Processes that are not our children: keepers and workers, found in `/proc`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// The keeper of the node in `dir`, and all its descendants.
pub(super) fn kept_in(dir: &Path) -> Vec<u32> {
    let all: Vec<u32> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    let mut found: Vec<u32> = all.iter().copied().filter(|pid| keeps(*pid, dir)).collect();
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        let children = all.iter().filter(|pid| parent_of(**pid) == Some(parent));
        found.extend(children.copied().collect::<Vec<u32>>());
        at += 1;
    }
    found
}

/// A keeper names the directory of its node on its command line.
fn keeps(pid: u32, dir: &Path) -> bool {
    let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else {
        return false;
    };
    let mut words = line.split(|byte| *byte == 0);
    let verb = words.nth(1);
    verb == Some(b"__keeper") && words.any(|word| word == dir.as_os_str().as_encoded_bytes())
}

/// The fields of `/proc/PID/stat` from the state on.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

fn parent_of(pid: u32) -> Option<u32> {
    stat(pid)?.get(1)?.parse().ok()
}

/// Whether the process runs; one that waits to be reaped does not.
pub(super) fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| fields.first().is_some_and(|state| state != "Z"))
}

/// CPU time of the process and of its reaped children; zero when it is gone.
pub(super) fn cpu(pid: u32) -> Duration {
    /// `USER_HZ`, which Linux fixes at 100 on every architecture that we know.
    const TICK: Duration = Duration::from_millis(10);
    let fields = stat(pid).unwrap_or_default();
    let ticks: u32 = fields
        .get(11..15)
        .into_iter()
        .flatten()
        .filter_map(|field| field.parse::<u32>().ok())
        .sum();
    TICK * ticks
}

/// What of the process is in memory; none when it is gone.
pub(crate) fn resident_kib(pid: u32) -> Option<u64> {
    status_kib(pid, "VmRSS:")
}

/// The most that was, since [`reset_peak`].
pub(crate) fn peak_kib(pid: u32) -> Option<u64> {
    status_kib(pid, "VmHWM:")
}

/// Counts the most memory of the process from now on.
///
/// # Errors
/// It is gone, or not ours.
pub(crate) fn reset_peak(pid: u32) -> std::io::Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5")
}

fn status_kib(pid: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Sends a signal; a process that is gone needs none.
pub(super) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}
