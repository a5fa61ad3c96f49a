//! `stint suspend` and `stint resume`: whether more of a job is started.

use clap::Args;
use stint_api::client::Client;
use stint_api::id::JobId;

use crate::args::{Format, Global};
use crate::report::Report;
use crate::{connect, show};

#[derive(Debug, Args)]
#[command(
    after_help = "What runs may end; nothing more is started, and tasks that a node has not begun come \
back from it. Timeouts go on."
)]
pub(crate) struct SuspendArgs {
    /// The job, for example default.42
    job: JobId,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The job, for example default.42
    job: JobId,
}

pub(crate) async fn suspend(global: Global, args: SuspendArgs) -> anyhow::Result<()> {
    let client = connect::required(&global)?;
    client.suspend(&args.job).await?;
    tell(&client, &args.job, global.format()).await
}

pub(crate) async fn resume(global: Global, args: ResumeArgs) -> anyhow::Result<()> {
    let client = connect::required(&global)?;
    client.resume(&args.job).await?;
    tell(&client, &args.job, global.format()).await
}

async fn tell(client: &Client, id: &JobId, format: Format) -> anyhow::Result<()> {
    let job = client.job(id).await?;
    match format {
        Format::Json => show::json(&Report::of(&job)),
        Format::Text => {
            let suspended = if job.suspended_at.is_some() {
                ", suspended"
            } else {
                ""
            };
            let state = show::job_state(job.state);
            show::note(&format!("{} is {state}{suspended}", job.id));
            Ok(())
        }
    }
}
