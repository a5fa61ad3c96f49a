//! `stint jobs`: the jobs of a namespace, newest first.

use clap::Args;
use stint_api::id::Namespace;
use stint_api::view::{JobList, JobView};

use crate::args::{Format, Global};
use crate::connect;
use crate::report;
use crate::show::{self, Table};

/// Most jobs that are asked for at once.
const PAGE_JOBS: u32 = 100;

#[derive(Debug, Args)]
pub(crate) struct JobsArgs {
    /// Whose jobs
    #[arg(long, default_value = "default")]
    namespace: Namespace,

    /// Most jobs to list
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,

    /// Go on where a list ended: the `next` of its --json
    #[arg(long)]
    cursor: Option<String>,
}

pub(crate) async fn perform(global: Global, args: JobsArgs) -> anyhow::Result<()> {
    let client = connect::required(&global)?;
    let mut list = JobList {
        jobs: Vec::new(),
        next: args.cursor,
    };
    let mut left = args.limit;
    loop {
        let limit = left.min(PAGE_JOBS);
        let page = client
            .jobs(&args.namespace, list.next.as_deref(), limit)
            .await?;
        left = left.saturating_sub(u32::try_from(page.jobs.len()).unwrap_or(u32::MAX));
        let empty = page.jobs.is_empty();
        list.jobs.extend(page.jobs);
        list.next = page.next;
        if left == 0 || empty || list.next.is_none() {
            break;
        }
    }
    if global.format() == Format::Json {
        return show::json(&list);
    }
    let mut table = Table::new([
        "JOB",
        "NAME",
        "STATE",
        "REASON",
        "TASKS",
        "ATTEMPTS",
        "WALL",
        "SUBMITTED",
    ]);
    for job in &list.jobs {
        table.row(row(job));
    }
    table.print()?;
    if list.next.is_some() {
        show::note("there are more; see --limit");
    }
    Ok(())
}

fn row(job: &JobView) -> [String; 8] {
    let reason = match report::outcome_of(job) {
        Some(outcome) if job.first_failure.is_some() => outcome.reason().to_owned(),
        _ => String::new(),
    };
    [
        job.id.to_string(),
        job.spec.name.clone().unwrap_or_default(),
        show::job_state(job.state).to_owned(),
        reason,
        format!("{}/{}", job.tasks.succeeded, job.tasks.total),
        job.attempts.to_string(),
        show::span(job.usage.wall),
        show::moment(job.submitted_at),
    ]
}
