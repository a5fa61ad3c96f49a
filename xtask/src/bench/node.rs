//! `cargo xtask bench node`: a node alone, below its scheduler. The measuring is done
//! by a program of `runtime`, which is keeper and workers itself; here it is built,
//! and its peers are found.

use std::process::Command;

use anyhow::Result;

use super::crun;
use super::figures;
use crate::command::{command, line, run};
use crate::layout::Layout;

/// How much our own crates are optimised; what they depend on is so in any case.
const OPT_LEVEL: (&str, &str) = ("CARGO_PROFILE_DEV_OPT_LEVEL", "3");

/// Measures and prints the tables.
///
/// # Errors
/// Something could not be built or started, or an attempt ended otherwise than it should.
pub(crate) fn node(layout: &Layout) -> Result<()> {
    // As everything is built, so that the engine is not built again for it; what is
    // ours alone is built once more, as much optimised as the engine.
    let args = ["build", "--workspace", "--examples", "--locked"];
    let mut build = command(&layout.root, "cargo", &args);
    build.env(OPT_LEVEL.0, OPT_LEVEL.1);
    println!("$ {}={} {}", OPT_LEVEL.0, OPT_LEVEL.1, line(&build));
    run(&mut build)?;
    let crun = crun::get(layout)?;
    println!("{}", figures::machine(OPT_LEVEL.1));
    let mut bench = Command::new(layout.example("bench_node"));
    bench
        .arg(layout.target.join("bench/node"))
        .arg(layout.example("like_wasmtime_run"));
    match crun {
        Ok(crun) => drop(bench.arg(crun.program).arg(crun.libraries)),
        Err(missing) => {
            println!("bench: SKIPPED, there is no crun to stand beside: {missing}")
        }
    }
    run(&mut bench)
}
