//! `stint submit`: hands a job over and prints its id.

use clap::Args;
use stint_api::client::Client;
use stint_api::id::JobId;

use crate::args::{Format, Global};
use crate::job::Draft;
use crate::job_args::JobArgs;
use crate::report::Report;
use crate::{connect, random, show};

#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
}

pub(crate) async fn perform(global: Global, args: SubmitArgs) -> anyhow::Result<()> {
    let draft = Draft::new(&args.job)?;
    let client = connect::required(&global)?;
    let id = submit(&client, draft).await?;
    print(&client, &id, global.format()).await
}

/// Pushes the module, submits the job, and gives its id.
pub(crate) async fn submit(client: &Client, draft: Draft) -> anyhow::Result<JobId> {
    let spec = draft.push(client).await?;
    Ok(client.submit(&spec, &random::hex()?).await?.id)
}

/// Says which job it became.
pub(crate) async fn print(client: &Client, id: &JobId, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Text => Ok(show::line(&id.to_string())?),
        Format::Json => show::json(&Report::of(&client.job(id).await?)),
    }
}
