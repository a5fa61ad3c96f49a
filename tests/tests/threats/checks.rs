//! What else must be so after a job that was a threat.

use std::path::Path;
use std::time::Duration;

use stint_api::quantity::Bytes;
use stint_tests::Site;

use crate::{Ended, NODE, STRANGER};

/// How long after its deadline of less than half a second a job may be over: its
/// worker is killed 100 ms after it, and the rest is a busy machine's.
const OVER_WITHIN: Duration = Duration::from_secs(10);
/// What is kept of a stream.
const STREAM_MAX: usize = 16 << 20;
/// More than a node process or a keeper ever needs; a flood that it held would be far more.
const RSS_MAX: u64 = 200 << 20;

pub(crate) fn nothing_more(_: &Site, _: &Ended) {}

pub(crate) fn in_time(_: &Site, ended: &Ended) {
    assert!(
        ended.took < OVER_WITHIN,
        "{:?}: {:#}",
        ended.took,
        ended.json
    );
}

pub(crate) fn peak_within_16_mebi(site: &Site, ended: &Ended) {
    let outcome = ended.outcome(site);
    let peak: Bytes = serde_json::from_value(outcome["peak"].clone()).unwrap();
    assert!(peak <= Bytes::mebi(16), "{outcome:#}");
}

fn log(site: &Site, ended: &Ended, more: &[&str]) -> Vec<u8> {
    let id = ended.json["id"].as_str().unwrap();
    let mut command = site.command(["logs", id]);
    command.args(more).output().unwrap().stdout
}

/// What is on the disk below a directory.
fn bytes_below(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = entries.filter_map(|entry| {
        let metadata = entry.metadata().ok()?;
        Some(match metadata.is_dir() {
            true => bytes_below(&entry.path()),
            false => metadata.blocks() * 512,
        })
    });
    sizes.sum()
}

/// The most that a process ever had in memory.
fn peak_rss(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibis = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibis.unwrap_or(0) << 10
}

pub(crate) fn a_flood_is_kept_within_bounds(site: &Site, ended: &Ended) {
    let kept = log(site, ended, &[]);
    assert!(kept.len() <= STREAM_MAX, "{}", kept.len());
    assert!(kept.starts_with(b"...") && kept.ends_with(b"..."));
    let said = b"bytes are left out here]";
    assert!(kept.windows(said.len()).any(|window| window == said));
    assert_eq!(log(site, ended, &["--stderr"]), b"that was all\n");
    let job = site.job(ended.json["id"].as_str().unwrap()).unwrap();
    let dropped: Bytes = serde_json::from_value(job["usage"]["logs_dropped"].clone()).unwrap();
    let all = 10 << 30;
    assert!((all - (17 << 20)..all).contains(&dropped.0), "{job:#}");
    let logs = bytes_below(&site.dir().join("scheduler/logs").join(STRANGER));
    assert!(logs < 64 << 20, "{logs} bytes of logs");
    for verb in ["__keeper", "node"] {
        for pid in site.pids(NODE, verb) {
            assert!(peak_rss(pid) < RSS_MAX, "{verb}: {} bytes", peak_rss(pid));
        }
    }
}

pub(crate) fn every_byte_is_kept(site: &Site, ended: &Ended) {
    assert_eq!(log(site, ended, &[]).len(), 200_000);
}

pub(crate) fn bytes_are_as_they_were(site: &Site, ended: &Ended) {
    let wanted = b"\0\xff\xfe\x80\x1b[2J\x1b]0;x\x07\n[7] not task seven\r\n";
    assert_eq!(log(site, ended, &[]), wanted);
}

/// At half a core for less than half a second, and a worker's start.
pub(crate) fn its_share_of_a_core_is_kept(_: &Site, ended: &Ended) {
    let cpu = ended.json["usage"]["cpu_seconds"].as_f64().unwrap();
    let wall = ended.json["usage"]["wall_seconds"].as_f64().unwrap();
    assert!(cpu > 0.0 && cpu <= 0.5 * wall + 0.3, "{:#}", ended.json);
}
