//! `stint explain`: why a job waits, with figures.

use clap::Args;
use stint_api::id::JobId;

use crate::args::{Format, Global};
use crate::{connect, show};

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The job, for example default.42
    job: JobId,
}

pub(crate) async fn perform(global: Global, args: ExplainArgs) -> anyhow::Result<()> {
    let why = connect::required(&global)?.explain(&args.job).await?;
    if global.format() == Format::Json {
        return show::json(&why);
    }
    let state = show::job_state(why.state);
    let nothing = || format!("no task of it waits; the job is {state}");
    show::line(&why.summary.unwrap_or_else(nothing))?;
    Ok(())
}
