//! `stint run`: submits a job, follows it, and says how it ended. With no
//! scheduler named it brings its own, which goes when the job is over.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use stint_api::client::Client;
use stint_api::id::JobId;

use super::{results, submit};
use crate::args::{Format, Global};
use crate::embedded::Embedded;
use crate::failure::{Shown, hinted};
use crate::follow::{Followed, Follower};
use crate::interrupt::Interrupts;
use crate::job::Draft;
use crate::job_args::JobArgs;
use crate::kit::Library;
use crate::limits::{self, LimitsArgs};
use crate::progress::Progress;
use crate::report::{self, Report, code};
use crate::writer::{Target, Writer};
use crate::{connect, places, random, show};

#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: the task's own, 0 to 123; 124 when time ran out; 125 for \
anything else, a refused job or a lost scheduler too; 130 after Ctrl-C, which cancels; 2 when the \
command line itself is wrong.\n\nWithout --server or STINT_SERVER the job runs on a scheduler and a \
node of its own, in this process, which may read and write every file that you may."
)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,

    /// Print the job's id and leave it running
    #[arg(long, help_heading = None::<&str>)]
    pub(crate) detach: bool,

    /// Write what the tasks returned to FILE: a table if it is named x.csv, else a line of JSON each
    #[arg(long, value_name = "FILE", conflicts_with = "detach", help_heading = None::<&str>)]
    pub(crate) results: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) limits: LimitsArgs,
}

/// What is made of a run beside its output.
#[derive(Clone, Copy, Debug)]
struct Wanted<'a> {
    format: Format,
    /// Where the results go.
    results: Option<&'a Path>,
}

/// How a run ended, as far as it came.
#[derive(Debug)]
struct Ended {
    report: Report,
    code: u8,
    /// The lines for people.
    text: String,
}

pub(crate) async fn perform(global: Global, args: RunArgs) -> ExitCode {
    let format = global.format();
    let ended = match attempt(&global, &args).await {
        Ok(Some(ended)) => ended,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => Ended::failed(None, &error),
    };
    if format == Format::Json {
        let _ = show::json(&ended.report);
    }
    show::note(&ended.text);
    ExitCode::from(ended.code)
}

/// Nothing comes back for a job that was left running.
async fn attempt(global: &Global, args: &RunArgs) -> anyhow::Result<Option<Ended>> {
    let draft = Draft::new(&args.job)?;
    if let Some(path) = &args.results {
        results::writable(path)?;
    }
    let wanted = Wanted {
        format: global.format(),
        results: args.results.as_deref(),
    };
    let named = connect::configured(global)?;
    let mut interrupts = Interrupts::new()?;
    if args.detach {
        let client = named.ok_or_else(|| {
            hinted(
                "--detach needs a scheduler that stays",
                "give --server URL, or set STINT_SERVER; for one on this machine: `stint dev`",
            )
        })?;
        let id = submit::submit(&client, draft).await?;
        submit::print(&client, &id, global.format()).await?;
        return Ok(None);
    }
    let Some(client) = named else {
        let embedded = tokio::select! {
            embedded = Embedded::start(args.limits) => embedded?,
            () = interrupts.next() => return Ok(Some(Ended::interrupted())),
        };
        if let Some(warning) = limits::warning(embedded.limits()) {
            show::note(warning);
        }
        return Ok(Some(
            follow_and_stop(embedded, draft, wanted, &mut interrupts).await,
        ));
    };
    Ok(Some(follow(&client, draft, wanted, &mut interrupts).await))
}

/// Runs a small module to see whether jobs run here. Output and progress are not shown.
pub(crate) async fn trial(limits: LimitsArgs, module: &[u8]) -> anyhow::Result<Report> {
    let dir = tempfile::tempdir_in(places::temporary())?;
    let file = dir.path().join("trial.wasm");
    std::fs::write(&file, module)?;
    let draft = Draft::new(&JobArgs {
        file,
        ..JobArgs::default()
    })?;
    let mut interrupts = Interrupts::new()?;
    let wanted = Wanted {
        format: Format::Json,
        results: None,
    };
    let ended = match Embedded::start(limits).await {
        Ok(embedded) => follow_and_stop(embedded, draft, wanted, &mut interrupts).await,
        Err(error) => Ended::failed(None, &error),
    };
    Ok(ended.report)
}

/// Runs the job on a scheduler and a node that go with it.
async fn follow_and_stop(
    embedded: Embedded,
    draft: Draft,
    wanted: Wanted<'_>,
    interrupts: &mut Interrupts,
) -> Ended {
    let offered = match draft.may_be_script() {
        true => offer(&embedded, &draft).await,
        false => Ok(()),
    };
    let mut ended = match offered {
        Ok(()) => follow(embedded.client(), draft, wanted, interrupts).await,
        Err(error) => Ended::failed(None, &error),
    };
    ended.report.limits = Some(embedded.limits().to_owned());
    tokio::select! {
        stopped = embedded.stop() => if let Err(error) = stopped {
            // What became of the job is known, and stays so.
            tracing::warn!("{}", Shown::new(&error).message);
        },
        () = interrupts.next() => {}
    }
    ended
}

/// Gives the scheduler that goes with a job the kits of this user.
async fn offer(embedded: &Embedded, draft: &Draft) -> anyhow::Result<()> {
    let library = Library::open()?;
    library.offer(embedded.client(), draft.namespace()).await
}

/// Submits the job and follows it to its end.
async fn follow(
    client: &Client,
    draft: Draft,
    wanted: Wanted<'_>,
    interrupts: &mut Interrupts,
) -> Ended {
    let spec = tokio::select! {
        spec = draft.push(client) => spec,
        () = interrupts.next() => return Ended::interrupted(),
    };
    let submitted = match (spec, random::hex()) {
        // Not to be dropped half-way: the job may be there already.
        (Ok(spec), Ok(key)) => client
            .submit(&spec, &key)
            .await
            .map(|submitted| (submitted.id, spec.tasks))
            .map_err(anyhow::Error::from),
        (Err(error), _) => Err(error),
        (_, Err(error)) => Err(error.into()),
    };
    let (id, tasks) = match submitted {
        Ok(submitted) => submitted,
        Err(error) => return Ended::failed(None, &error),
    };
    let progress = Progress::new(tasks);
    let target = match wanted.format {
        Format::Text => Target::Same,
        Format::Json => Target::Stderr,
    };
    let follower = Follower {
        client,
        id: &id,
        progress: &progress,
        writer: Writer::new(target, tasks),
    };
    let followed = follower.follow(interrupts).await;
    progress.finish();
    let ended = match followed {
        Ok(followed) => Ended::followed(&followed),
        Err(error) => return Ended::failed(Some(id), &error.into()),
    };
    let Some(path) = wanted.results else {
        return ended;
    };
    match results::write_to(client, &id, path).await {
        Ok(()) => ended,
        Err(error) => ended.without_results(&error),
    }
}

impl Ended {
    fn followed(followed: &Followed) -> Self {
        let (job, code) = match followed {
            Followed::Over(job) => (job, report::exit_code(job)),
            Followed::Interrupted(job) => (job, code::INTERRUPTED),
        };
        Self {
            report: Report::of(job),
            code,
            text: report::summary(job),
        }
    }

    fn failed(id: Option<JobId>, error: &anyhow::Error) -> Self {
        Self {
            text: Shown::new(error).to_string(),
            report: Report::of_error(id, error),
            code: code::OTHER,
        }
    }

    /// The job is what it is, but who asked for its results does not have them.
    fn without_results(mut self, error: &anyhow::Error) -> Self {
        let shown = Shown::new(error);
        self.text = format!("{}\n{shown}", self.text);
        self.report.error.get_or_insert(shown);
        if self.code == 0 {
            self.code = code::OTHER;
        }
        self
    }

    fn interrupted() -> Self {
        Self {
            report: Report::interrupted(),
            code: code::INTERRUPTED,
            text: "interrupted before the job was submitted".to_owned(),
        }
    }
}
