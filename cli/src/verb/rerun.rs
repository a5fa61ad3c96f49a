//! `stint rerun`: submits a job once more, or those of its tasks that failed.

use clap::Args;
use stint_api::id::JobId;

use crate::args::Global;
use crate::{connect, random};

#[derive(Debug, Args)]
#[command(after_help = "It becomes a new job, whose id is printed; its tasks keep their indices.")]
pub(crate) struct RerunArgs {
    /// The job, for example default.42
    job: JobId,

    /// Only the tasks that failed; of a job that is over, all that did not succeed
    #[arg(long)]
    failed: bool,
}

pub(crate) async fn perform(global: Global, args: RerunArgs) -> anyhow::Result<()> {
    let client = connect::required(&global)?;
    let submitted = client
        .rerun(&args.job, args.failed, &random::hex()?)
        .await?;
    super::submit::print(&client, &submitted.id, global.format()).await
}
