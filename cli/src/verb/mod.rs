//! One file a verb. Each says what it understands, and does it.

pub(crate) mod cancel;
pub(crate) mod completions;
pub(crate) mod cordon;
pub(crate) mod dev;
pub(crate) mod doctor;
pub(crate) mod drain;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod jobs;
pub(crate) mod kit;
pub(crate) mod logs;
pub(crate) mod module;
pub(crate) mod namespace;
pub(crate) mod node;
pub(crate) mod nodes;
pub(crate) mod rerun;
pub(crate) mod results;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod status;
pub(crate) mod submit;
pub(crate) mod suspend;

use std::future::Future;
use std::process::ExitCode;

use crate::args::{Cli, Verb};
use crate::telemetry;

/// Verbs that only ask need one thread; those that serve get one for each core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Threads {
    One,
    EachCore,
}

/// Does what the command line asks for.
pub(crate) fn perform(cli: Cli) -> anyhow::Result<ExitCode> {
    let Cli { global, verb } = cli;
    let serves = matches!(verb, Verb::Serve(_) | Verb::Node(_) | Verb::Dev(_));
    // `dev` is watched by the person who started it, the others by whoever looks later.
    let watched = matches!(verb, Verb::Dev(_));
    telemetry::start(&global, if serves && !watched { "info" } else { "warn" })?;
    let threads = match verb {
        Verb::Run(_) | Verb::Doctor(_) => Threads::EachCore,
        _ if serves => Threads::EachCore,
        _ => Threads::One,
    };
    let done = |result: anyhow::Result<()>| result.map(|()| ExitCode::SUCCESS);
    match verb {
        Verb::Run(args) => Ok(block_on(threads, run::perform(global, args))?),
        Verb::Submit(args) => done(block_on(threads, submit::perform(global, args))?),
        Verb::Jobs(args) => done(block_on(threads, jobs::perform(global, args))?),
        Verb::Status(args) => done(block_on(threads, status::perform(global, args))?),
        Verb::Logs(args) => done(block_on(threads, logs::perform(global, args))?),
        Verb::Results(args) => done(block_on(threads, results::perform(global, args))?),
        Verb::Events(args) => done(block_on(threads, events::perform(global, args))?),
        Verb::Explain(args) => done(block_on(threads, explain::perform(global, args))?),
        Verb::Cancel(args) => done(block_on(threads, cancel::perform(global, args))?),
        Verb::Suspend(args) => done(block_on(threads, suspend::suspend(global, args))?),
        Verb::Resume(args) => done(block_on(threads, suspend::resume(global, args))?),
        Verb::Rerun(args) => done(block_on(threads, rerun::perform(global, args))?),
        Verb::Namespace(verb) => done(block_on(threads, namespace::perform(global, verb))?),
        Verb::Nodes(args) => done(block_on(threads, nodes::perform(global, args))?),
        Verb::Cordon(args) => done(block_on(threads, cordon::cordon(global, args))?),
        Verb::Uncordon(args) => done(block_on(threads, cordon::uncordon(global, args))?),
        Verb::Drain(args) => done(block_on(threads, drain::perform(global, args))?),
        Verb::Module(verb) => done(block_on(threads, module::perform(global, verb))?),
        Verb::Kit(verb) => done(block_on(threads, kit::perform(global, verb))?),
        Verb::Serve(args) => done(block_on(threads, serve::perform(global, args))?),
        Verb::Node(args) => done(block_on(threads, node::perform(global, args))?),
        Verb::Dev(args) => done(block_on(threads, dev::perform(global, args))?),
        Verb::Doctor(args) => block_on(threads, doctor::perform(global, args))?,
        Verb::Completions(args) => done(completions::perform(&args)),
    }
}

fn block_on<T>(threads: Threads, work: impl Future<Output = T>) -> std::io::Result<T> {
    let mut builder = match threads {
        Threads::One => tokio::runtime::Builder::new_current_thread(),
        Threads::EachCore => tokio::runtime::Builder::new_multi_thread(),
    };
    Ok(builder.enable_all().build()?.block_on(work))
}
