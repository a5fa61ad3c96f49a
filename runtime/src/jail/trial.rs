//! The trial: a process of this binary that jails itself, as well as it can, and
//! says how well. What it could not have, no worker of this user on this machine can.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use rustix::process::geteuid;
use rustix::stdio::stdout;
use stint_jail::{Assignment, Berth, Identity, Layer, LayerSet, Layers, Missing, Source, Tree};

use crate::JAIL_VERB;
use crate::child::DESCRIPTORS_MAX;

/// Whom a trial becomes: of the slots' users the last, whom no slot gets.
const IDENTITY: Identity = Identity::of_slot(u16::MAX);

/// The trial cannot be held.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrialError {
    /// Its process cannot be started.
    #[error("try the jail: start a process")]
    Spawn(#[source] io::Error),
    /// It ended without saying what it has.
    #[error("try the jail: the process ended with {0}")]
    Died(std::process::ExitStatus),
    /// What it said is no account of layers.
    #[error("try the jail: its account")]
    Account(#[source] serde_json::Error),
}

/// Holds a trial with the binary `exe`: which layers a child of this process can have.
pub(crate) fn run(exe: &Path) -> Result<Layers, TrialError> {
    let output = Command::new(exe)
        .arg0("stint")
        .arg(JAIL_VERB)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .map_err(TrialError::Spawn)?;
    if !output.status.success() {
        return Err(TrialError::Died(output.status));
    }
    let layers: Layers = serde_json::from_slice(&output.stdout).map_err(TrialError::Account)?;
    Ok(with_trees(layers))
}

/// Directories are brought by whoever starts a worker, so it is tried here.
fn with_trees(mut layers: Layers) -> Layers {
    let source = Source {
        path: Path::new("/"),
        access: stint_jail::Access::Read,
    };
    let layer = Layer::DetachedTrees;
    match Tree::detached(source) {
        Ok(_) => layers.held = layers.held.with(layer),
        Err(why) => layers.missing.push(Missing {
            layer,
            why: why.to_string(),
        }),
    }
    layers
}

/// The process that is tried.
pub(crate) fn main() -> ExitCode {
    match jailed().and_then(|layers| serde_json::to_vec(&layers).ok()) {
        Some(account) if rustix::io::write(stdout(), &account) == Ok(account.len()) => {
            ExitCode::SUCCESS
        }
        _ => ExitCode::FAILURE,
    }
}

fn jailed() -> Option<Layers> {
    let berth = Berth {
        want: LayerSet::ALL.without(Layer::DetachedTrees),
        need: LayerSet::NONE,
        inherited: LayerSet::NONE,
        identity: identity(),
        parent: None,
        sources: &[],
        keep: &[],
        descriptors_max: DESCRIPTORS_MAX,
        confession: None,
    };
    let armed = berth.enter().ok()?.arm(Assignment::default()).ok()?;
    Some(armed.layers)
}

/// Whom a child may be; a process that is not root cannot give anybody away.
fn identity() -> Option<Identity> {
    geteuid().is_root().then_some(IDENTITY)
}
