//! `stint cancel`: stops a job; one that is over stays as it is.

use clap::Args;
use stint_api::id::JobId;

use crate::args::{Format, Global};
use crate::report::Report;
use crate::{connect, show};

#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// The job, for example default.42
    job: JobId,
}

pub(crate) async fn perform(global: Global, args: CancelArgs) -> anyhow::Result<()> {
    let client = connect::required(&global)?;
    client.cancel(&args.job).await?;
    let job = client.job(&args.job).await?;
    match global.format() {
        Format::Json => show::json(&Report::of(&job)),
        Format::Text => {
            show::note(&format!("{} is {}", job.id, show::job_state(job.state)));
            Ok(())
        }
    }
}
