//! `stint events`: what happens to a job, as it happens.

use clap::Args;
use stint_api::id::JobId;

use crate::args::{Format, Global};
use crate::{connect, progress, show};

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// The job, for example default.42
    job: JobId,
}

pub(crate) async fn perform(global: Global, args: EventsArgs) -> anyhow::Result<()> {
    let client = connect::required(&global)?;
    let mut events = client.events(&args.job);
    while let Some(event) = events.next().await? {
        match global.format() {
            Format::Text => {
                let at = show::moment(event.at);
                show::line(&format!("{at}  {}", progress::line(&event)))?;
            }
            Format::Json => show::json(&event)?,
        }
    }
    Ok(())
}
