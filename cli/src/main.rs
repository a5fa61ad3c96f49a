//! The one binary: parses, wires, prints.
//!
//! The hidden verbs are looked for before anything else happens: the keeper
//! and what it starts must be entered while the process has one thread.

mod args;
mod capacity;
mod connect;
mod embedded;
mod failure;
mod follow;
mod hidden;
mod hints;
mod interrupt;
mod job;
mod job_args;
mod job_file;
mod kit;
mod limits;
mod local;
mod places;
mod progress;
mod random;
mod report;
mod show;
mod sweep;
mod telemetry;
mod urls;
mod verb;
mod writer;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Cli, Format};
use failure::Shown;

fn main() -> ExitCode {
    if let Some(code) = hidden::enter() {
        return code;
    }
    let cli = Cli::parse();
    let format = cli.global.format();
    match verb::perform(cli) {
        Ok(code) => code,
        // Whoever read us has had enough: that is no failure.
        Err(error) if failure::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let shown = Shown::new(&error);
            if format == Format::Json {
                let _ = show::json(&serde_json::json!({ "error": shown }));
            }
            show::note(&shown.to_string());
            ExitCode::FAILURE
        }
    }
}
