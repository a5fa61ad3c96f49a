//! What a node costs, below its scheduler: starts, deadlines, ends for want of memory,
//! seen from a node's end of its keeper's socket. `cargo xtask bench node` builds
//! and runs it; its peers take turns with it, in one run.
//!
//! This binary is keeper, zygote and worker too.

#![allow(
    clippy::print_stdout,
    reason = "what a benchmark does is to tell a person"
)]

mod ends;
mod figures;
mod guests;
mod keeper;
mod peers;
mod share;
mod starts;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use figures::Table;
use keeper::Site;
use peers::Peers;
use stint_runtime::keeper::client::BERTHS;

/// Whatever goes wrong ends the benchmark.
type Fault = Box<dyn Error>;

/// Turns that all sides take.
const ROUNDS: usize = 20;
/// Another number of them, to look at something in particular.
const ROUNDS_VARIABLE: &str = "STINT_BENCH_ROUNDS";
/// Kinds of rows to which the benchmark is narrowed down, separated by commas.
const ONLY: &str = "STINT_BENCH_ONLY";

fn main() -> ExitCode {
    if let Some(code) = stint_runtime::enter() {
        return code;
    }
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|verb| verb == peers::STARTER_VERB) {
        return peers::starter();
    }
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(dir), Some(like_wasmtime)) = (args.next(), args.next()) else {
        println!("bench_node DIRECTORY LIKE_WASMTIME_RUN [CRUN LIBRARIES]");
        return ExitCode::from(2);
    };
    let crun = args.next().zip(args.next());
    match measure(&dir, like_wasmtime, crun) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("bench node: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether rows of this kind are asked for: all are, unless [`ONLY`] names some.
fn wanted(rows: &str) -> bool {
    let only = std::env::var(ONLY).unwrap_or_default();
    only.is_empty() || only.split(',').any(|wanted| wanted == rows)
}

fn measure(
    dir: &std::path::Path,
    like_wasmtime: PathBuf,
    crun: Option<(PathBuf, PathBuf)>,
) -> Result<(), Fault> {
    let rounds = std::env::var(ROUNDS_VARIABLE).ok();
    let rounds = rounds.and_then(|rounds| rounds.parse().ok());
    let rounds = rounds.unwrap_or(ROUNDS);
    let mut peers = Peers::new(dir, like_wasmtime, crun)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut table = Table::default();
        let mut site = Site::open(&dir.join("warm"), BERTHS).await?;
        println!(
            "limits: {}; jail: {}; {rounds} rounds",
            site.limits(),
            site.jail()
        );
        // Where nobody may wait.
        let mut cold = Site::open(&dir.join("cold"), 0).await?;
        // What a shared worker has used is counted when it goes, in the midst of something
        // else: so it has a keeper of its own.
        let mut shared = Site::open(&dir.join("shared"), BERTHS).await?;
        for _ in 0..rounds {
            peers.starts(&mut table)?;
            if wanted("starts") {
                starts::warm(&mut site, &mut table).await?;
                starts::cold(&mut cold, &mut table).await?;
                starts::burst(&mut cold, &mut table).await?;
            }
            if wanted("packed") {
                starts::packed(&mut shared, &mut table).await?;
            }
            if wanted("runs") {
                starts::run(&mut shared, &mut table).await?;
            }
            if wanted("deadlines") {
                ends::deadlines(&mut site, &mut table).await?;
            }
            if wanted("memory") {
                ends::out_of_memory(&mut site, &mut table).await?;
            }
            if wanted("failures") {
                ends::again(&mut site, &mut table).await?;
                ends::readopted(&mut site, &mut table).await?;
            }
        }
        if wanted("shares") {
            share::cpu(&mut site, &mut table).await?;
            share::memory(&mut site, &mut table).await?;
        }
        table.print(peers::BASE);
        site.close().await?;
        shared.close().await?;
        cold.close().await
    })
}
