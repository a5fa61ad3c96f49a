//! `stint node`: a node, until it is told to stop.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;
use stint_api::client::Client;
use stint_api::id::NodeId;
use stint_api::quantity::Resources;
use stint_objects::{Allowed, Reach};
use stint_runtime::node::{Config, KeeperLifetime, Node, SandboxChoice, ScratchChoice, StartError};

use crate::args::{Format, Global};
use crate::capacity::Capacity;
use crate::failure::{hinted, hinted_because};
use crate::interrupt::Interrupts;
use crate::job_args::Pair;
use crate::limits::{LimitsArgs, without_cgroups};
use crate::{connect, places, show};

#[derive(Debug, Args)]
#[command(
    after_help = "The node may be killed or upgraded at any moment: what it runs goes on, and \
`stint node` with the same --dir finds it again. Ctrl-C or SIGTERM gives its tasks back."
)]
pub(crate) struct NodeArgs {
    /// The scheduler to work for [default: --server, or STINT_SERVER]
    #[arg(long, value_name = "URL")]
    join: Option<String>,

    /// The node's name, unique in its cluster [default: the name of this machine]
    #[arg(long, value_name = "NAME")]
    name: Option<NodeId>,

    /// Where it keeps modules, files and what it runs [default: stint/node-NAME in XDG_DATA_HOME]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Labels, for people and for placement
    #[arg(long, value_name = "K=V", value_delimiter = ',')]
    labels: Vec<Pair>,

    /// What jobs may take together; what is left out is what the machine has
    #[arg(long, value_name = "cpu=2,memory=4Gi,scratch=10Gi")]
    capacity: Option<Capacity>,

    #[command(flatten)]
    pub(crate) allow: AllowArgs,

    #[command(flatten)]
    limits: LimitsArgs,

    /// What holds a job to its --scratch: looking several times a second, or besides that a disk of its own for each attempt (root only)
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    scratch_by: ScratchBy,

    /// Work even if jobs cannot be kept from the machine by every layer of the jail; their outcomes say so
    #[arg(long)]
    allow_weaker_sandbox: bool,
}

// Without docs of its own each, so that help stays one line a flag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ScratchBy {
    #[default]
    Measure,
    Disk,
}

impl ScratchBy {
    const fn choice(self) -> ScratchChoice {
        match self {
            Self::Measure => ScratchChoice::Measured,
            Self::Disk => ScratchChoice::Disk,
        }
    }
}

/// The flag that says what jobs may read.
pub(crate) const INPUTS: &str = "--allow-inputs";
/// The flag that says where their outputs may go.
pub(crate) const OUTPUTS: &str = "--allow-outputs";

/// What jobs may name.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct AllowArgs {
    /// Let jobs read what is below this: /dir, https://host/path/, https:// (all public hosts), s3://bucket/prefix/; may be given more than once
    #[arg(long, value_name = "DIR|URL")]
    pub(crate) allow_inputs: Vec<Allowed>,

    /// Let jobs publish outputs below this: /dir, s3://bucket/prefix/; may be given more than once
    #[arg(long, value_name = "DIR|URL")]
    pub(crate) allow_outputs: Vec<Allowed>,
}

/// What a program is told when the node has started.
#[derive(Debug, Serialize)]
struct Working<'a> {
    node: &'a NodeId,
    server: &'a str,
    dir: &'a Path,
    capacity: Resources,
    limits: &'a str,
    jail: &'a str,
}

pub(crate) async fn perform(global: Global, args: NodeArgs) -> anyhow::Result<()> {
    let mut interrupts = Interrupts::new()?;
    let config = configure(&global, args)?;
    let (name, dir, server) = (
        config.name.clone(),
        config.dir.clone(),
        config.server.clone(),
    );
    let node = Node::start(config).await.map_err(started)?;
    if let Some(why) = without_cgroups(node.limits()) {
        tracing::warn!(why, "no cgroups: memory and time hold, CPU does not");
    }
    tracing::info!(
        node = %name, %server, dir = %dir.display(), limits = node.limits(), jail = node.jail(),
        capacity = %show::resources(&node.capacity()), "started"
    );
    if global.format() == Format::Json {
        show::json(&Working {
            node: &name,
            server: server.as_str(),
            dir: &dir,
            capacity: node.capacity(),
            limits: node.limits(),
            jail: node.jail(),
        })?;
    }
    let work = |stop| async {
        let told = async {
            let _ = stop.await;
        };
        Ok(node.run(told).await?)
    };
    interrupts.stop_work(work).await
}

/// What to do about a node that does not start.
fn started(error: StartError) -> anyhow::Error {
    match error {
        StartError::Sandbox { .. } => hinted(
            error.to_string(),
            "run it as root on Linux 6.2 or newer; or, for jobs that you trust, --allow-weaker-sandbox",
        ),
        other => other.into(),
    }
}

fn configure(global: &Global, args: NodeArgs) -> anyhow::Result<Config> {
    let server = args.join.or_else(|| global.server.clone());
    let server = server.filter(|server| !server.is_empty()).ok_or_else(|| {
        hinted(
            "no scheduler is named to work for",
            "give --join URL, for example --join http://127.0.0.1:7070",
        )
    })?;
    let token = connect::token(global)?;
    // The client knows what an address is, and says what is wrong with another.
    let server = Client::new(&server, token.clone())?.server().parse()?;
    let name = match args.name {
        Some(name) => name,
        None => own_name()?,
    };
    let dir = match args.dir {
        Some(dir) => dir,
        None => places::data(&format!("node-{name}"), "--dir")?,
    };
    let capacity = args.capacity.map(|named| named.or_detected(&dir));
    Ok(Config {
        server,
        token,
        artifacts: dir.join("artifacts"),
        dir,
        name,
        labels: labels(args.labels)?,
        capacity,
        allow_inputs: reach("node", INPUTS, args.allow.allow_inputs)?,
        allow_outputs: reach("node", OUTPUTS, args.allow.allow_outputs)?,
        exe: "/proc/self/exe".into(),
        keeper: KeeperLifetime::Outlives,
        limits: args.limits.choice(),
        scratch: args.scratch_by.choice(),
        sandbox: match args.allow_weaker_sandbox {
            true => SandboxChoice::Weaker,
            false => SandboxChoice::Whole,
        },
    })
}

fn labels(pairs: Vec<Pair>) -> anyhow::Result<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    for pair in pairs {
        if labels.insert(pair.key.clone(), pair.value).is_some() {
            return Err(hinted(
                format!("the label `{}` is there twice", pair.key),
                "a label has one value",
            ));
        }
    }
    Ok(labels)
}

/// What jobs may reach by the word of a flag; directories of it must be there.
pub(crate) fn reach(
    who: &'static str,
    flag: &'static str,
    allowed: Vec<Allowed>,
) -> anyhow::Result<Reach> {
    let mut real_ones = Vec::new();
    for one in allowed {
        match one {
            Allowed::Dir(dir) => {
                let dirs = real(vec![dir], flag)?;
                real_ones.extend(dirs.into_iter().map(Allowed::Dir));
            }
            urls @ Allowed::Urls(_) => real_ones.push(urls),
        }
    }
    Ok(Reach::new(who, flag, real_ones))
}

/// Directories that must be there, without the links that lead to them.
fn real(dirs: Vec<PathBuf>, flag: &str) -> anyhow::Result<Vec<PathBuf>> {
    let real = |dir: PathBuf| {
        let path = dir.canonicalize().map_err(|error| {
            hinted_because(
                format!("{flag}: cannot find `{}`", dir.display()),
                "name a directory that is there",
                error,
            )
        })?;
        if path.is_dir() {
            Ok(path)
        } else {
            Err(hinted(
                format!("{flag}: `{}` is not a directory", dir.display()),
                "name a directory; everything below it may be used",
            ))
        }
    };
    dirs.into_iter().map(real).collect()
}

/// The machine's name, as far as it is one for a node.
fn own_name() -> anyhow::Result<NodeId> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim().to_ascii_lowercase();
    name.parse().map_err(|error| {
        hinted_because(
            "the name of this machine cannot be a node's",
            "give one with --name NAME",
            anyhow::Error::new(error),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Shown;

    #[test]
    fn an_allowed_directory_must_be_there() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        for (path, why) in [(dir.path().join("x"), "cannot find"), (file, "is not a")] {
            let refused = Shown::new(&real(vec![path], "--allow-inputs").unwrap_err());
            assert!(refused.message.contains(why), "{refused}");
        }
        assert_eq!(real(vec![dir.path().into()], "").unwrap().len(), 1);
    }

    #[test]
    fn a_label_has_one_value() {
        let pair = |value: &str| Pair {
            key: "zone".into(),
            value: value.into(),
        };
        assert_eq!(labels(vec![pair("a")]).unwrap()["zone"], "a");
        assert!(labels(vec![pair("a"), pair("b")]).is_err());
    }
}
