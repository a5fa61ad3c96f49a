//! The node process: it links to a scheduler, prepares what the supervisor wants
//! run, has the keeper run it, and says what became of it.
//!
//! ```text
//! link ──orders, answers──▶ driver (owns the supervisor) ──▶ attempt × n ──▶ keeper
//!   ◀──hello, batches──────   ▲   │                            │ logs, end
//!                             │   └──▶ preparation: staging, modules
//!                             └──── keeping: what the keeper says
//! ```
//!
//! It may die at any moment: what runs is the keeper's, and the next node
//! process finds it there.

mod acting;
mod adopting;
mod artifacts;
mod attempt;
mod cache;
mod capacity;
mod checkpoints;
mod config;
mod dir;
mod driver;
mod explain;
mod fetch;
mod happened;
mod harvest;
mod images;
mod keeping;
mod kits;
mod known;
mod last_lines;
mod link;
mod modules;
mod plan;
mod publish;
mod refused;
mod said;
mod scratch;
mod slot;
mod staging;
mod tail;
mod tools;

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::Mode;
use rustix::process::{geteuid, umask};
use stint_api::client::{self, Client};
use stint_api::id::AttemptId;
use stint_api::link::Leave;
use stint_api::quantity::Resources;
use stint_jail::{LayerSet, Layers};
use stint_supervisor::Supervisor;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::keeper::client::{ConnectError, Connection, Kept, connect_or_spawn};
use crate::keeper::clock::Clock;
use crate::keeper::protocol::name_of;

use artifacts::Artifacts;
use checkpoints::Checkpoints;
use dir::Dir;
use driver::{Driver, Stopped};
use happened::Teller;
use keeping::Keeper;
use kits::Kits;
use link::{Identity, Link};
use modules::Modules;
use publish::Publisher;
use staging::Staging;
use tools::Tools;

pub use artifacts::ArtifactsError;
pub use capacity::capacity_detected;
pub use config::{Config, KeeperLifetime, LimitsChoice, SandboxChoice, ScratchChoice};
pub use dir::DirError;

/// How long a node that leaves waits to be heard; without, its lease says the same later.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// A node could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its directory cannot be used.
    #[error(transparent)]
    Dir(#[from] DirError),
    /// The directory of compiled modules cannot be used.
    #[error(transparent)]
    Artifacts(#[from] ArtifactsError),
    /// The scheduler's address or the token cannot be used.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// There is no keeper.
    #[error(transparent)]
    Keeper(#[from] ConnectError),
    /// It could not keep strangers' code from the machine.
    #[error("the jail of this node's jobs would be too weak: {layers}")]
    Sandbox {
        /// Which layers they would have, and why not all.
        layers: Layers,
    },
    /// Nothing random can be had.
    #[error("read /dev/urandom")]
    Random(#[source] io::Error),
}

/// A node stopped that was not told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The scheduler refuses this node, and would again: a wrong token, another version.
    #[error("the scheduler refuses this node")]
    Refused(#[source] client::Error),
    /// The keeper died, and no other can be had.
    #[error("the keeper is gone")]
    Keeper(#[source] ConnectError),
}

/// A node that has its directory and its keeper.
#[derive(Debug)]
pub struct Node {
    config: Config,
    dir: Dir,
    artifacts: Artifacts,
    client: Client,
    identity: Identity,
    jail: String,
    keeper: Connection,
    seed: u64,
    disks: bool,
}

impl Node {
    /// Opens the directory, finds or starts the keeper, and removes what nobody
    /// knows any more. The scheduler need not answer yet.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: Config) -> Result<Self, StartError> {
        if geteuid().is_root() {
            // Jobs are users of their own then, who must be able to read what is made
            // for them; nobody else comes into the node's directory.
            umask(Mode::WGRP | Mode::WOTH);
        }
        let client = Client::new(config.server.as_str(), config.token.clone())?;
        let dir = Dir::open(&config.dir)?;
        let artifacts = Artifacts::open(&config.artifacts)?;
        let seed = dir::random().map_err(StartError::Random)?;
        let incarnation = dir.incarnation()?;
        let keeper = connect_or_spawn(&config.exe, &config.keeper_options()).await?;
        let layers = &keeper.kept.jail;
        let lacking = LayerSet::NEEDED.but_not(layers.held);
        if config.sandbox == SandboxChoice::Whole && !lacking.is_empty() {
            let layers = layers.clone();
            return Err(StartError::Sandbox { layers });
        }
        if let Err(error) = slot::sweep(&dir.slots(), &attempts(&keeper.kept)) {
            tracing::warn!(%error, "what dead attempts left stays");
        }
        let (disks, scratch) = scratch(config.scratch, &dir);
        let identity = Identity {
            node: config.name.clone(),
            incarnation,
            capacity: config
                .capacity
                .unwrap_or_else(|| capacity_detected(dir.root())),
            labels: config.labels.clone(),
            limits: keeper.kept.limits.clone() + &scratch,
        };
        let jail = layers.to_string();
        Ok(Self {
            config,
            dir,
            artifacts,
            client,
            identity,
            jail,
            keeper,
            seed,
            disks,
        })
    }

    /// How it holds slots to their limits: `cgroup v1`, `cgroup v2` or `wasmtime only: <why>`,
    /// and what holds their scratch when that was asked for.
    pub fn limits(&self) -> &str {
        &self.identity.limits
    }

    /// How many layers the jail of its jobs has, and which it could not have and why.
    pub fn jail(&self) -> &str {
        &self.jail
    }

    /// What its slots may take together.
    pub const fn capacity(&self) -> Resources {
        self.identity.capacity
    }

    /// Links up, trying for ever, and works until `stop` resolves; then gives its
    /// tasks back and ends the keeper, within seconds.
    ///
    /// # Errors
    /// The scheduler refuses the node for good, or no keeper can be had.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) -> Result<(), RunError> {
        let cluster = self.dir.cluster().unwrap_or_else(|error| {
            tracing::warn!(
                error = explain::explain(&error),
                "joins as if for the first time"
            );
            None
        });
        let supervisor = Supervisor::new(stint_supervisor::Config {
            capacity: self.identity.capacity,
            cluster,
            seed: self.seed,
        });
        let (teller, happened) = Teller::new();
        let (keeper_sender, keeper) = Keeper::new();
        let (unsaid_sender, unsaid) = watch::channel(0);
        let tools = Arc::new(Tools {
            modules: Modules::new(
                self.client.clone(),
                keeper.clone(),
                teller.clone(),
                self.dir.modules(),
                self.artifacts,
            ),
            kits: Kits::new(self.client.clone(), &self.dir),
            checkpoints: Checkpoints::new(self.dir.checkpoints()),
            staging: Staging::new(
                &self.dir,
                self.client.clone(),
                self.config.allow_inputs.clone(),
            ),
            disks: self.disks,
            publisher: Publisher::new(self.config.allow_outputs.clone()),
            dir: self.dir,
            teller: teller.clone(),
            keeper: keeper.clone(),
            unsaid,
            clock: Clock::start(),
        });
        let (goodbye, node) = (self.client.clone(), self.identity.node.clone());
        let link = Link {
            client: self.client,
            identity: self.identity,
            tools: Arc::clone(&tools),
        };
        let driver = Driver::new(supervisor, tools, keeper_sender, unsaid_sender);
        // Ended when this future is, whichever way.
        let mut tasks = JoinSet::new();
        let (exe, options) = (self.config.exe.clone(), self.config.keeper_options());
        tasks.spawn(keeping::hold(self.keeper, exe, options, teller));
        tasks.spawn(keeper.pass_leases());
        let ran = driver.run(happened, link.run(), stop).await;
        let generation = ran.map_err(|stopped| match stopped {
            Stopped::Refused(error) => RunError::Refused(error),
            Stopped::Keeper(error) => RunError::Keeper(error),
        })?;
        if let Some(generation) = generation {
            let leave = Leave { node, generation };
            let goodbye = goodbye.leave(&leave);
            // Unheard, the lease says it.
            if !matches!(timeout(GOODBYE_MAX, goodbye).await, Ok(Ok(()))) {
                tracing::info!("the scheduler did not hear that this node has left");
            }
        }
        Ok(())
    }
}

/// Whether attempts get disks, and what is said of it beside the other limits.
fn scratch(choice: ScratchChoice, dir: &Dir) -> (bool, String) {
    match choice {
        ScratchChoice::Measured => (false, String::new()),
        ScratchChoice::Disk => match images::try_out(&dir.slots()) {
            Ok(()) => (true, "; scratch: a disk for each attempt".to_owned()),
            Err(error) => {
                let why = explain::explain(&error);
                (false, format!("; scratch: measured only, no disks: {why}"))
            }
        },
    }
}

/// Every attempt that a keeper knows, and the names of their slots.
fn attempts(kept: &Kept) -> BTreeSet<AttemptId> {
    let running = kept.running.iter().map(|one| (&one.attempt, &one.grant));
    let spooled = kept.spooled.iter().map(|one| (&one.attempt, &one.grant));
    let named = |(attempt, grant)| [name_of(attempt, grant), AttemptId::clone(attempt)];
    running.chain(spooled).flat_map(named).collect()
}

#[cfg(test)]
mod tests;
