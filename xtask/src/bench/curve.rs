//! `cargo xtask bench curve`: what a task of one array costs, end to end and durable, as arrays
//! grow to a million tasks: time, CPU of each side, memory at its most, and bytes on the disk.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::cluster::{Cluster, Spent};
use super::figures;
use crate::layout::Layout;
use crate::product;
use crate::site::Site;

/// Sizes of arrays: what a task costs is to stay the same.
const ARRAYS: [usize; 4] = [1_000, 10_000, 30_000, 100_000];
/// The largest job there is; it takes minutes, so it is asked for.
const MILLION: usize = 1_000_000;

/// Whether the largest job is measured too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upto {
    /// A hundred thousand tasks.
    HundredThousand,
    /// A million.
    Million,
}

/// Measures and prints.
///
/// # Errors
/// Something could not be built or started, or a job did not succeed.
pub(crate) fn curve(layout: &Layout, upto: Upto) -> Result<()> {
    product::build(layout)?;
    let dir = layout.target.join("bench");
    let site = Site::new(&layout.stint(), &dir.join("site"))?;
    site.during(|| {
        let cluster = started(layout, &site, &dir)?;
        print(&cluster, upto)
    })
}

/// A cluster that knows the module, and what it runs on, said.
///
/// # Errors
/// It does not start.
pub(super) fn started(layout: &Layout, site: &Site, dir: &Path) -> Result<Cluster> {
    let cluster = Cluster::start(layout, site, dir)?;
    cluster.one_task()?;
    println!("{}", figures::machine("1"));
    println!("limits: {}\n", cluster.limits());
    Ok(cluster)
}

/// One row an array.
///
/// # Errors
/// A job did not succeed.
pub(super) fn print(cluster: &Cluster, upto: Upto) -> Result<()> {
    println!(
        "\n{:<30} {:>9} {:>9} {:>10} {:>9} {:>9} {:>10} {:>9} {:>9}",
        "no-ops of one array, durable",
        "a second",
        "CPU each",
        "scheduler",
        "node",
        "keeper …",
        "scheduler",
        "node",
        "disk"
    );
    for tasks in ARRAYS {
        row(tasks, &cluster.packed(tasks)?);
    }
    if upto == Upto::Million {
        row(MILLION, &cluster.packed(MILLION)?);
    }
    Ok(())
}

fn row(tasks: usize, spent: &Spent) {
    let each = |cpu: Duration| format!("{:.0} µs", cpu.as_secs_f64() * 1e6 / tasks as f64);
    let mebi = |kib: u64| format!("{} MiB", kib / 1024);
    println!(
        "{:<30} {:>9.0} {:>9} {:>10} {:>9} {:>9} {:>10} {:>9} {:>9}",
        format!("{tasks} tasks"),
        tasks as f64 / spent.took.as_secs_f64(),
        each(spent.cpu()),
        each(spent.scheduler),
        each(spent.node),
        each(spent.kept),
        mebi(spent.scheduler_peak_kib),
        mebi(spent.node_peak_kib),
        format!("{} B", spent.disk_bytes / tasks as u64),
    );
}
