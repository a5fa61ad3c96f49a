//! `stint status`: all there is to know about one job.

use clap::Args;
use serde::Serialize;
use stint_api::id::{JobId, TaskIndex};
use stint_api::job::JobSpec;
use stint_api::time::Time;
use stint_api::view::{AttemptView, JobView, TaskRun, TaskSaid, TasksView};

use crate::args::{Format, Global};
use crate::connect;
use crate::report::{self, Report};
use crate::show::{self, Table};

/// Most lines of tasks, and of history, for people; `--json` has more.
const LINES_MAX: u32 = 50;
/// Most runs of tasks, and attempts, in JSON: as many as are kept of attempts.
const JSON_MAX: u32 = 10_000;

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The job, for example default.42
    job: JobId,
}

/// What `run` says, and more.
#[derive(Debug, Serialize)]
struct Status<'a> {
    #[serde(flatten)]
    report: Report,
    spec: &'a JobSpec,
    submitted_at: Time,
    started_at: Option<Time>,
    ended_at: Option<Time>,
    waiting: Option<&'a str>,
    runs: &'a [TaskRun],
    history: &'a [AttemptView],
    said: &'a [TaskSaid],
    truncated: bool,
    /// The first task that is not in `runs`, if they are too many.
    next: Option<TaskIndex>,
}

pub(crate) async fn perform(global: Global, args: StatusArgs) -> anyhow::Result<()> {
    let client = connect::required(&global)?;
    let job = client.job(&args.job).await?;
    let is_json = global.format() == Format::Json;
    let most = if is_json { JSON_MAX } else { LINES_MAX };
    let tasks = client.tasks(&args.job, 0, most, most).await?;
    if is_json {
        return show::json(&Status {
            report: Report::of(&job),
            spec: &job.spec,
            submitted_at: job.submitted_at,
            started_at: job.started_at,
            ended_at: job.ended_at,
            waiting: job.waiting.as_deref(),
            runs: &tasks.runs,
            history: &tasks.history,
            said: &tasks.said,
            truncated: tasks.truncated,
            next: tasks.next,
        });
    }
    print_job(&job)?;
    print_tasks(&job.id, &tasks)
}

fn print_job(job: &JobView) -> anyhow::Result<()> {
    show::line(&report::summary(job))?;
    print_last_words(job)?;
    if let Some(name) = &job.spec.name {
        show::line(&format!("name       {name}"))?;
    }
    show::line(&format!("module     {}", job.spec.module))?;
    let limits = job.spec.resources();
    show::line(&format!(
        "limits     cpu {}, memory {}, scratch {}, timeout {}, retries {}",
        limits.cpu, limits.memory, limits.scratch, job.spec.timeout, job.spec.retries
    ))?;
    let counts = &job.tasks;
    show::line(&format!(
        "tasks      {}: {} pending, {} granted, {} succeeded, {} failed",
        counts.total, counts.pending, counts.granted, counts.succeeded, counts.failed
    ))?;
    let moments = [
        ("submitted", Some(job.submitted_at)),
        ("started  ", job.started_at),
        ("ended    ", job.ended_at),
    ];
    for (name, moment) in moments {
        if let Some(moment) = moment {
            show::line(&format!("{name}  {}", show::moment(moment)))?;
        }
    }
    if let Some(why) = &job.waiting {
        show::line(&format!("waiting    {why}"))?;
    }
    Ok(())
}

/// What the first task that failed said last. `run` has shown it already, and does not again.
fn print_last_words(job: &JobView) -> anyhow::Result<()> {
    let said = job.first_failure.as_ref();
    let Some(said) = said.and_then(|first| first.stderr_tail.as_deref()) else {
        return Ok(());
    };
    show::line("its standard error ends with")?;
    for line in said.lines() {
        // A stranger's words, on somebody's terminal.
        let shown = line.replace(|c: char| c.is_control() && c != '\t', "\u{fffd}");
        show::line(&format!("    {shown}"))?;
    }
    Ok(())
}

fn print_tasks(id: &JobId, tasks: &TasksView) -> anyhow::Result<()> {
    show::line("")?;
    let mut table = Table::new(["TASKS", "STATE", "NODE"]);
    for run in &tasks.runs {
        table.row([
            run.tasks.clone(),
            show::task_state(run.state).to_owned(),
            run.node
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        ]);
    }
    table.print()?;
    if let Some(next) = tasks.next {
        show::note(&format!(
            "tasks from {next} on are not shown; --json has more, and GET /v1/jobs/{id}/tasks?from={next} the next"
        ));
    }
    if !tasks.said.is_empty() {
        show::line("")?;
        let mut table = Table::new(["TASK", "SAYS", "AT"]);
        for one in &tasks.said {
            let task = one.attempt.task.to_string();
            table.row([task, show::said(&one.said), show::moment(one.at)]);
        }
        table.print()?;
    }
    if tasks.history.is_empty() {
        return Ok(());
    }
    show::line("")?;
    let mut table = Table::new(["TASKS", "TRY", "NODE", "WALL", "CPU", "MEMORY", "OUTCOME"]);
    for entry in &tasks.history {
        table.row(attempt_row(entry));
    }
    table.print()?;
    if tasks.truncated {
        show::note("older attempts are not shown; --json has what is kept");
    }
    Ok(())
}

fn attempt_row(entry: &AttemptView) -> [String; 7] {
    let first = entry.attempt.task;
    let tasks = match entry.tasks {
        0 | 1 => first.to_string(),
        count => format!("{first}-{}", first + count - 1),
    };
    // What a compiler says may have more lines; `--json` has them.
    let outcome = entry.outcome.to_string();
    [
        tasks,
        format!("{}.{}", entry.attempt.grant.0, entry.attempt.try_number),
        entry.node.to_string(),
        show::span(entry.usage.wall),
        show::span(entry.usage.cpu),
        show::bytes(entry.usage.peak_memory),
        outcome.lines().next().unwrap_or_default().to_owned(),
    ]
}
