//! `stint logs`: what a job wrote.

use clap::Args;
use serde::Serialize;
use stint_api::client::{Follow, LogChoice};
use stint_api::id::{AttemptId, JobId, TaskIndex};
use stint_api::link::Stream;

use crate::args::{Format, Global};
use crate::connect;
use crate::show;
use crate::writer::{Target, Writer};

#[derive(Debug, Args)]
#[command(
    after_help = "The program's standard output goes to stdout, its standard error to \
stderr; with --stderr its standard error alone goes to stdout. Lines of several tasks begin with \
[task]."
)]
pub(crate) struct LogsArgs {
    /// The job, for example default.42
    job: JobId,

    /// Wait for more until the job is over
    #[arg(short, long)]
    follow: bool,

    /// One task's only
    #[arg(long, value_name = "I")]
    task: Option<TaskIndex>,

    /// The standard error only
    #[arg(long)]
    stderr: bool,
}

/// A piece of output for a program; bytes that are not UTF-8 are replaced.
#[derive(Debug, Serialize)]
struct Piece<'a> {
    attempt: &'a AttemptId,
    stream: Stream,
    text: &'a str,
}

pub(crate) async fn perform(global: Global, args: LogsArgs) -> anyhow::Result<()> {
    let client = connect::required(&global)?;
    let tasks = match args.task {
        Some(_) => 1,
        None => client.job(&args.job).await?.tasks.total,
    };
    let choice = LogChoice {
        task: args.task,
        stream: args.stderr.then_some(Stream::Stderr),
        follow: if args.follow {
            Follow::UntilOver
        } else {
            Follow::No
        },
    };
    let target = if args.stderr {
        Target::Stdout
    } else {
        Target::Same
    };
    let mut writer = Writer::new(target, tasks);
    let mut logs = client.logs(&args.job, choice);
    while let Some(log) = logs.next().await? {
        match global.format() {
            Format::Text => writer.write(&log)?,
            Format::Json => show::json(&Piece {
                attempt: &log.attempt,
                stream: log.stream,
                text: &String::from_utf8_lossy(&log.bytes),
            })?,
        }
    }
    Ok(writer.finish()?)
}
