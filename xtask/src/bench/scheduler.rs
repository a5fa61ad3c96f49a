//! `cargo xtask bench scheduler`: tasks and jobs a second from end to end, durable,
//! and what a task costs as arrays grow; beside a disk that syncs, and beside Ray and
//! Dask in the same run.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::cluster::Cluster;
use super::curve::{self, Upto};
use super::figures::{self, Figures};
use super::peers;
use crate::layout::Layout;
use crate::product;
use crate::site::Site;

/// Tasks that each peer is given: enough for half a second of the fastest.
const PEER_TASKS: usize = 5_000;
/// Ours of that size and the peers take turns this often.
const ROUNDS: usize = 3;
/// Jobs of one task, in batches.
const JOBS: usize = 1_000;
/// Jobs one after the other, and pairs of syncs between them.
const SINGLES: usize = 50;
/// What is appended before each sync: a small record.
const APPENDED: [u8; 300] = [b'.'; 300];

/// Measures and prints.
///
/// # Errors
/// Something could not be built or started, or a job did not succeed.
pub(crate) fn scheduler(layout: &Layout, upto: Upto) -> Result<()> {
    product::build(layout)?;
    let dir = layout.target.join("bench");
    let site = Site::new(&layout.stint(), &dir.join("site"))?;
    let peers = peers::all(&dir)?;
    site.during(|| measure(layout, &site, &dir, &peers, upto))
}

fn measure(
    layout: &Layout,
    site: &Site,
    dir: &Path,
    peers: &[peers::Peer],
    upto: Upto,
) -> Result<()> {
    let cluster = curve::started(layout, site, dir)?;
    singles(&cluster, dir)?;
    curve::print(&cluster, upto)?;
    let (accepted, done, cpu) = cluster.batches(JOBS)?;
    println!(
        "\n{:<60} {:>9} {:>9}",
        "jobs of one task each, by batch", "a second", "CPU"
    );
    row("accepted, durable", JOBS, accepted, None);
    row("executed", JOBS, done, Some(cpu));
    if let Some(kib) = cluster.scheduler_rss_kib() {
        println!("\nscheduler, after all this: {} MiB resident", kib / 1024);
    }
    beside(&cluster, peers)
}

/// One small job after the other, with pairs of syncs between.
fn singles(cluster: &Cluster, dir: &Path) -> Result<()> {
    let mut jobs = Figures::new("job of one no-op task: submitted → known to have succeeded");
    let mut syncs = Figures::new("two appends of 300 bytes, each with its fdatasync");
    let mut attempts = Figures::new("");
    let mut file = File::create(dir.join("synced"))?;
    for _ in 0..SINGLES {
        let start = Instant::now();
        for _ in 0..2 {
            file.write_all(&APPENDED)?;
            file.sync_data()?;
        }
        syncs.add(start.elapsed());
        cluster.one_task_jobs(1, &mut jobs, &mut attempts)?;
    }
    figures::print_starts_beside(&[&syncs, &jobs], &syncs, "× syncs");
    Ok(())
}

/// Ours and the peers', in turns.
fn beside(cluster: &Cluster, peers: &[peers::Peer]) -> Result<()> {
    let mut ours = Vec::new();
    let mut theirs = vec![Vec::new(); peers.len()];
    for _ in 0..ROUNDS {
        ours.push(cluster.packed(PEER_TASKS)?.took);
        for (peer, took) in peers.iter().zip(&mut theirs) {
            took.push(peer.run(PEER_TASKS)?);
        }
    }
    println!(
        "\n{:<60} {:>9} {:>9}",
        format!("{PEER_TASKS} no-ops, in turns"),
        "a second",
        "ours ×"
    );
    let ours = median(ours);
    row("ours: isolated, and durable", PEER_TASKS, ours, None);
    for (peer, took) in peers.iter().zip(theirs) {
        let took = median(took);
        let ratio = took.as_secs_f64() / ours.as_secs_f64();
        let rate = PEER_TASKS as f64 / took.as_secs_f64();
        println!("{:<60} {rate:>9.0} {ratio:>9.1}", peer.what);
    }
    Ok(())
}

fn row(what: &str, count: usize, took: Duration, cpu: Option<Duration>) {
    let rate = count as f64 / took.as_secs_f64();
    let each = |cpu: Duration| format!("{:.0} µs", cpu.as_secs_f64() * 1e6 / count as f64);
    let cpu = cpu.map_or_else(String::new, each);
    println!("{what:<60} {rate:>9.0} {cpu:>9}");
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}
