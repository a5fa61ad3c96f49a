//! Landlock: whatever path leads to a file, it is opened only below a directory
//! of the job, and only as that directory allows.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, Scope, make_bitflags,
};
use std::os::fd::AsFd as _;

use crate::layer::Layer;
use crate::ledger::{ArmError, Ledger, Refusal};
use crate::tree::{Access, Tree};

/// The newest version of the interface that this was tested with; what an older
/// kernel does not know is left out of the rules.
const TESTED: ABI = ABI::V7;
/// Each layer, and the version that has what matters of it.
const SINCE: [(Layer, ABI); 4] = [
    (Layer::LandlockFiles, ABI::V3),
    (Layer::LandlockKinds, ABI::V1),
    (Layer::LandlockNetwork, ABI::V4),
    (Layer::LandlockScope, ABI::V6),
];

/// Puts those of the layers in force that are wanted.
pub(crate) fn enforce(ledger: &mut Ledger, trees: &[Tree]) -> Result<(), ArmError> {
    let wanted = SINCE.map(|(layer, _)| ledger.wants(layer));
    if !wanted.contains(&true) {
        return Ok(());
    }
    let found = restrict(wanted, trees).map_err(ArmError::Step)?;
    for (layer, since) in SINCE {
        ledger.hold(layer, || match found {
            abi if abi >= since => Ok(()),
            ABI::Unsupported => Err(Refusal::Without("this kernel has no Landlock")),
            _ => Err(Refusal::Without("this kernel's Landlock is too old")),
        })?;
    }
    Ok(())
}

/// The version in force.
fn restrict(wanted: [bool; 4], trees: &[Tree]) -> Result<ABI, Refusal> {
    let [files, kinds, network, scope] = wanted;
    let mut ruleset = Ruleset::default();
    if files {
        ruleset = ruleset.handle_access(AccessFs::from_all(TESTED) & !never())?;
    }
    if kinds {
        ruleset = ruleset.handle_access(never())?;
    }
    if network {
        ruleset = ruleset.handle_access(AccessNet::from_all(TESTED))?;
    }
    if scope {
        ruleset = ruleset.scope(Scope::from_all(TESTED))?;
    }
    let mut ruleset = ruleset.create()?;
    if files {
        for tree in trees {
            let rule = PathBeneath::new(tree.dir.as_fd(), allowed(tree.access));
            ruleset = ruleset.add_rule(rule)?;
        }
    }
    Ok(match ruleset.restrict_self()?.landlock {
        LandlockStatus::Available { effective_abi, .. } => effective_abi,
        LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => ABI::Unsupported,
    })
}

/// What no guest needs done anywhere: executing, and making what is neither a file
/// nor a directory nor a link.
fn never() -> BitFlags<AccessFs> {
    make_bitflags!(AccessFs::{Execute | MakeChar | MakeBlock | MakeFifo | MakeSock | IoctlDev})
}

/// What may be done below a directory.
fn allowed(access: Access) -> BitFlags<AccessFs> {
    let read = make_bitflags!(AccessFs::{ReadFile | ReadDir});
    match access {
        Access::Read => read,
        Access::Write => {
            read | make_bitflags!(AccessFs::{
                WriteFile
                    | Truncate
                    | MakeReg
                    | MakeDir
                    | MakeSym
                    | RemoveFile
                    | RemoveDir
                    | Refer
            })
        }
    }
}
