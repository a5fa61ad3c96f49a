//! `stint results`: what a job's tasks returned.

use clap::Args;
use stint_api::id::JobId;

use crate::args::Global;
use crate::{connect, show};

#[derive(Debug, Args)]
#[command(
    after_help = "Each line is {\"task\": I, \"result\": …}, ascending by task; a task that \
returned nothing has none."
)]
pub(crate) struct ResultsArgs {
    /// The job, for example default.42
    job: JobId,
}

pub(crate) async fn perform(global: Global, args: ResultsArgs) -> anyhow::Result<()> {
    let client = connect::required(&global)?;
    let mut results = client.results(&args.job).await?;
    while let Some(line) = results.next().await? {
        show::json(&line)?;
    }
    Ok(())
}
