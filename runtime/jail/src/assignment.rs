//! Stage two: the job is there, its files are open and its code is mapped; before
//! the guest's first instruction everything goes that was needed for that.

use rustix::process::Resource;

use crate::berth::Berthed;
use crate::layer::{Layer, Layers};
use crate::ledger::{ArmError, Named as _, Refusal};
use crate::tree::Tree;
use crate::{bounds, filter, raw, rules, trap};

/// What an assignment brings.
#[derive(Debug, Default)]
pub struct Assignment {
    /// Directories that came over a socket, beside those that the berth brought;
    /// whoever sent them made them with [`Tree::detached`].
    pub trees: Vec<Tree>,
    /// Whether other attempts of the same job come after it, whose directories are
    /// received when the jail is closed: it is without [`Layer::LandlockFiles`] then.
    pub more: bool,
    /// The largest file that it may write; a write beyond is an error.
    pub file_bytes_max: Option<u64>,
    /// The most memory that it may write to, where no cgroup holds it.
    pub data_bytes_max: Option<u64>,
}

/// A process whose jail is closed.
#[derive(Debug)]
pub struct Armed {
    /// Which layers are in force.
    pub layers: Layers,
    /// To close a mount of one's own is to unmount it, which takes the kernel a
    /// while: when the process ends is early enough.
    _trees: Vec<Tree>,
}

impl Berthed {
    /// Closes the jail.
    ///
    /// # Errors
    /// A layer that is needed is not to be had; the process must end.
    pub fn arm(self, assignment: Assignment) -> Result<Armed, ArmError> {
        let (mut ledger, mut trees) = self.into_parts();
        trees.extend(assignment.trees);
        ledger.hold(Layer::DetachedTrees, || {
            let all = trees.iter().all(|tree| tree.detached);
            all.then_some(()).ok_or(Refusal::Without(
                "a directory came that is no mount of its own",
            ))
        })?;
        if assignment.more {
            ledger.forgo(Layer::LandlockFiles, "other directories are to come");
        }
        rules::enforce(&mut ledger, &trees)?;
        if let Some(bytes) = assignment.file_bytes_max {
            trap::ignore_file_size_signal().map_err(ArmError::Step)?;
            bounds::lower(Resource::Fsize, bytes).map_err(ArmError::Step)?;
        }
        if let Some(bytes) = assignment.data_bytes_max {
            bounds::lower(Resource::Data, bytes).map_err(ArmError::Step)?;
        }
        ledger.hold(Layer::WriteXorExecute, || {
            raw::refuse_exec_gain().named("refuse executable memory")
        })?;
        ledger.hold(Layer::SmallFilter, || {
            filter::install_small(assignment.more)
        })?;
        Ok(Armed {
            layers: ledger.layers,
            _trees: trees,
        })
    }
}
