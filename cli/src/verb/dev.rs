//! `stint dev`: a scheduler and its nodes in one process, for one machine. Jobs
//! and what became of them are there again after the next start.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use stint_api::id::{Namespace, NodeId};
use stint_api::quantity::{Bytes, Millicores, Resources};
use stint_api::time::Span;
use stint_objects::{Allowed, Reach};
use stint_runtime::node::{
    Config, KeeperLifetime, SandboxChoice, ScratchChoice, capacity_detected,
};

use super::node::{AllowArgs, INPUTS, OUTPUTS, reach};
use super::serve;
use crate::args::{Format, Global};
use crate::failure::Shown;
use crate::interrupt::Interrupts;
use crate::kit::Library;
use crate::limits::{self, LimitsArgs};
use crate::local::{Local, Plan};
use crate::{connect, places, show};

/// All ends of the links are in one process, which only a machine that sleeps silences.
const LEASE: Span = Span::from_secs(10);
/// More would not run more: they share one machine.
const NODES_MAX: i64 = 64;

#[derive(Debug, Args)]
#[command(
    after_help = "Jobs may read and write below the directory in which it was started, or below \
those of --allow-inputs and --allow-outputs."
)]
pub(crate) struct DevArgs {
    /// How many nodes share this machine
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=NODES_MAX))]
    nodes: u32,

    /// Where to listen; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7070", value_parser = serve::address)]
    listen: SocketAddr,

    /// Where everything is kept [default: stint/dev in XDG_DATA_HOME]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    #[command(flatten)]
    allow: AllowArgs,

    #[command(flatten)]
    limits: LimitsArgs,
}

/// What a program is told when all is ready.
#[derive(Debug, Serialize)]
struct Ready<'a> {
    server: &'a str,
    nodes: u32,
    limits: &'a str,
    data_dir: &'a Path,
}

pub(crate) async fn perform(global: Global, args: DevArgs) -> anyhow::Result<()> {
    let mut interrupts = Interrupts::new()?;
    let token = connect::token(&global)?;
    let listener = serve::listen(args.listen, token.as_deref()).await?;
    let data_dir = match &args.data_dir {
        Some(dir) => dir.clone(),
        None => places::data("dev", "--data-dir")?,
    };
    serve::make(&data_dir)?;
    let library = Library::open().ok();
    let mut local = Local::start(Plan {
        listener,
        data_dir: data_dir.join("scheduler"),
        lease: LEASE,
        token,
        library: library.as_ref().and_then(Library::files_dir),
        allow_inputs: allowed_inputs("scheduler", &args)?,
    })
    .await?;
    for config in nodes(&local, &args, &data_dir)? {
        local.add(config).await?;
    }
    local.ready().await?;
    if let Some(library) = library {
        // As `run` without a scheduler has them; who has no scripts goes on without.
        let offered = library.offer(local.client(), &Namespace::default()).await;
        if let Err(error) = offered {
            show::note(&format!("no kits: {}", Shown::new(&error)));
        }
    }
    tell(&global, &local, args.nodes, &data_dir)?;
    let work = |stop| async {
        tokio::select! {
            ended = local.ended() => ended?,
            _ = stop => {}
        }
        local.stop().await
    };
    interrupts.stop_work(work).await
}

fn nodes(local: &Local, args: &DevArgs, data_dir: &Path) -> anyhow::Result<Vec<Config>> {
    let allow_inputs = allowed_inputs("node", args)?;
    let allow_outputs = match args.allow.allow_outputs.is_empty() {
        true => vec![Allowed::Dir(std::env::current_dir()?)],
        false => args.allow.allow_outputs.clone(),
    };
    let allow_outputs = reach("node", OUTPUTS, allow_outputs)?;
    let capacity = share(capacity_detected(data_dir), args.nodes);
    let config = |number: u32| {
        let name: NodeId = format!("dev-{number}").parse()?;
        Ok(Config {
            server: local.url().clone(),
            token: local.token(),
            dir: data_dir.join(name.as_str()),
            artifacts: places::artifacts().unwrap_or_else(|| data_dir.join("artifacts")),
            name,
            labels: BTreeMap::new(),
            capacity: Some(capacity),
            allow_inputs: allow_inputs.clone(),
            allow_outputs: allow_outputs.clone(),
            exe: "/proc/self/exe".into(),
            keeper: KeeperLifetime::DiesWithNode,
            limits: args.limits.choice(),
            scratch: ScratchChoice::default(),
            // The jobs are the user's own.
            sandbox: SandboxChoice::Weaker,
        })
    };
    (1..=args.nodes).map(config).collect()
}

/// What jobs may read: what is below the directory of the command, unless told otherwise.
fn allowed_inputs(who: &'static str, args: &DevArgs) -> anyhow::Result<Reach> {
    let allowed = match args.allow.allow_inputs.is_empty() {
        true => vec![Allowed::Dir(std::env::current_dir()?)],
        false => args.allow.allow_inputs.clone(),
    };
    reach(who, INPUTS, allowed)
}

/// An equal share of a machine for each of its nodes.
fn share(machine: Resources, nodes: u32) -> Resources {
    Resources {
        cpu: Millicores(machine.cpu.0 / nodes),
        memory: Bytes(machine.memory.0 / u64::from(nodes)),
        scratch: Bytes(machine.scratch.0 / u64::from(nodes)),
    }
}

fn tell(global: &Global, local: &Local, nodes: u32, data_dir: &Path) -> anyhow::Result<()> {
    let server = local.client().server();
    if let Some(warning) = limits::warning(local.limits()) {
        show::note(warning);
    }
    if global.format() == Format::Json {
        return show::json(&Ready {
            server,
            nodes,
            limits: local.limits(),
            data_dir,
        });
    }
    let count = match nodes {
        1 => "1 node".to_owned(),
        nodes => format!("{nodes} nodes"),
    };
    show::note(&format!(
        "ready: a scheduler and {count}, limits by {}, data in {}\n\
         in another terminal:\n    export STINT_SERVER={server}\n    stint run x.wasm",
        local.limits(),
        data_dir.display()
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_of_one_machine_share_it() {
        let machine = Resources {
            cpu: Millicores(2000),
            memory: Bytes::mebi(3),
            scratch: Bytes::mebi(6),
        };
        let each = share(machine, 3);
        assert_eq!((each.cpu, each.memory), (Millicores(666), Bytes::mebi(1)));
        assert_eq!(each.times_in(&machine), 3);
    }
}
