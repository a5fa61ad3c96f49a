//! `cargo xtask bench`: what a start costs and how many there are a second, beside
//! what plain processes cost on the same machine at the same time.
//!
//! Both sides take turns within one run, because absolute times do not travel
//! from machine to machine, nor from one hour to the next; ratios do.

mod authors;
mod cluster;
mod crun;
mod curve;
mod figures;
mod http;
mod node;
mod peers;
mod plain;
mod scheduler;
mod scripts;
mod staging;

pub(crate) use authors::authors;
pub(crate) use curve::{Upto, curve};
pub(crate) use node::node;
pub(crate) use scheduler::scheduler;

use anyhow::Result;

use crate::layout::Layout;
use crate::product;
use crate::site::Site;
use cluster::Cluster;
use figures::{Figures, Rate};
use plain::Plain;

/// Both sides take turns this often.
const ROUNDS: usize = 10;
/// Starts of `true` in a row; enough for a tick of CPU time to be small beside them.
const SPAWNS: usize = 100;
/// Jobs of one task in a row.
const JOBS: usize = 20;
/// Both sides take turns this often where throughput is measured.
const ARRAYS: usize = 3;
/// Tasks of one array, and starts of `true` that it is held beside.
const TASKS: usize = 2_000;

/// Measures and prints one table.
///
/// # Errors
/// Something could not be built or started, or a job did not succeed.
pub(crate) fn bench(layout: &Layout) -> Result<()> {
    product::build(layout)?;
    let dir = layout.target.join("bench");
    let site = Site::new(&layout.stint(), &dir.join("site"))?;
    site.during(|| measure(layout, &site, &dir))
}

fn measure(layout: &Layout, site: &Site, dir: &std::path::Path) -> Result<()> {
    let programs = Plain::all(dir);
    let cluster = Cluster::start(layout, site, dir)?;
    println!(
        "bench: {ROUNDS} rounds of {SPAWNS} starts of each `true` and {JOBS} jobs of one no-op task"
    );
    let mut starts: Vec<Figures> = programs.iter().map(Plain::figures).collect();
    let mut jobs = Figures::new("job of one no-op task: submitted → known to have succeeded");
    let mut attempts = Figures::new("  of that, in the worker: plan received → guest ended");
    // The first job compiles the module; what is measured is a node that knows it.
    cluster.one_task()?;
    for _ in 0..ROUNDS {
        for (program, figures) in programs.iter().zip(&mut starts) {
            program.spawn_in_a_row(SPAWNS, figures)?;
        }
        cluster.one_task_jobs(JOBS, &mut jobs, &mut attempts)?;
    }
    println!("bench: {ARRAYS} rounds of {TASKS} starts of `true` and one array of {TASKS} tasks");
    let mut plain = Rate::new("`true`, dynamic, on every core");
    let mut array = Rate::new("tasks of one array, end to end");
    for _ in 0..ARRAYS {
        Plain::spawn_on_every_core(TASKS, &mut plain)?;
        cluster.array(TASKS, &mut array)?;
    }
    let Some(true_) = starts.first() else {
        return Ok(());
    };
    println!("\n{}", figures::machine("1"));
    println!("limits: {}\n", cluster.limits());
    let mut all: Vec<&Figures> = starts.iter().collect();
    all.extend([&jobs, &attempts]);
    figures::print_starts(&all, true_);
    figures::print_rates(&[&plain, &array], &plain);
    Ok(())
}
