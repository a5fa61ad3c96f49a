//! What a node is told at its start.

use std::collections::BTreeMap;
use std::path::PathBuf;

use stint_api::id::NodeId;
use stint_api::quantity::Resources;
use stint_objects::Reach;
use url::Url;

use crate::keeper::client::{BERTHS, Lifetime, LimitsMode, Options};

/// Everything that a node is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// The scheduler, for example `http://127.0.0.1:7070`.
    pub server: Url,
    /// What to say to it as `Authorization: Bearer`.
    pub token: Option<String>,
    /// The node's directory: made where it is missing, for this user alone. One
    /// node process at a time.
    pub dir: PathBuf,
    /// Compiled modules. Nodes of one user may share it; nobody else may write to it.
    pub artifacts: PathBuf,
    /// The node's name, unique in its cluster.
    pub name: NodeId,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What its slots may take together; [`super::capacity_detected`] when absent.
    pub capacity: Option<Resources>,
    /// What inputs of jobs may be.
    pub allow_inputs: Reach,
    /// Where outputs of jobs may go.
    pub allow_outputs: Reach,
    /// The binary that keeper, worker and compiler are; `/proc/self/exe` for this one.
    pub exe: PathBuf,
    /// Whether attempts outlive the node process.
    pub keeper: KeeperLifetime,
    /// What holds slots to their limits.
    pub limits: LimitsChoice,
    /// What holds attempts to the room on the disk that they asked for.
    pub scratch: ScratchChoice,
    /// Which jail is good enough.
    pub sandbox: SandboxChoice,
}

/// Which jail is good enough for jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxChoice {
    /// One that has every layer that strangers' code needs around it; else there is no node.
    Whole,
    /// Whatever this machine and this user can have; every outcome says so.
    Weaker,
}

/// Whether attempts outlive the node process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeeperLifetime {
    /// The keeper goes on without it, until the lease is over; the next node process re-adopts.
    Outlives,
    /// The keeper and what it runs go with it.
    DiesWithNode,
}

/// What holds slots to their limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitsChoice {
    /// Cgroups where they can be written, else wasmtime's own limits.
    Auto,
    /// Wasmtime's own limits.
    WasmtimeOnly,
}

/// What holds attempts to the room on the disk that they asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScratchChoice {
    /// It is measured a few times a second: between two of them an attempt can pass its limit
    /// by what the disk takes in that time.
    #[default]
    Measured,
    /// A disk for each attempt as well, a file system in a file: it ends where the limit is.
    /// Takes root, and tens of milliseconds for each attempt.
    Disk,
}

impl Config {
    /// What the keeper is started with.
    pub(crate) fn keeper_options(&self) -> Options {
        Options {
            dir: self.dir.clone(),
            limits: match self.limits {
                LimitsChoice::Auto => LimitsMode::Auto,
                LimitsChoice::WasmtimeOnly => LimitsMode::Off,
            },
            lifetime: match self.keeper {
                KeeperLifetime::Outlives => Lifetime::Outlives,
                KeeperLifetime::DiesWithNode => Lifetime::WithNode,
            },
            berths: BERTHS,
        }
    }
}
