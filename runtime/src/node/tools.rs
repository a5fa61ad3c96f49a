//! What the tasks of a node share: each part does its own work and decides nothing.

use tokio::sync::watch;

use stint_api::time::Time;

use super::checkpoints::Checkpoints;
use super::dir::Dir;
use super::happened::Teller;
use super::keeping::Keeper;
use super::kits::Kits;
use super::modules::Modules;
use super::publish::Publisher;
use super::staging::Staging;
use crate::keeper::clock::Clock;
use crate::keeper::protocol::BootTime;

/// Shared by the driver, the attempts and the jobs of the node.
#[derive(Debug)]
pub(crate) struct Tools {
    /// The node's directory.
    pub(crate) dir: Dir,
    /// Tells the driver.
    pub(crate) teller: Teller,
    /// Orders for the keeper.
    pub(crate) keeper: Keeper,
    /// From a digest to a compiled module.
    pub(crate) modules: Modules,
    /// From a kit's digests to its files.
    pub(crate) kits: Kits,
    /// From a URL to an input.
    pub(crate) staging: Staging,
    /// What attempts that failed left for the next.
    pub(crate) checkpoints: Checkpoints,
    /// Whether each attempt gets a disk of its own.
    pub(crate) disks: bool,
    /// From `/out` to a URL.
    pub(crate) publisher: Publisher,
    /// Bytes of reports that the scheduler does not have yet, as the driver counts them.
    pub(crate) unsaid: watch::Receiver<usize>,
    /// Tells the time.
    pub(crate) clock: Clock,
}

impl Tools {
    /// This moment, never before an earlier one.
    pub(crate) fn now(&self) -> Time {
        self.clock.time_at(BootTime::now())
    }
}
