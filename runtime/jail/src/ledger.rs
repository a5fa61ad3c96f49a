//! The books kept while a jail is armed: a layer that was asked for is in force,
//! or it is written down why not, or arming stops because it must not be missing.

use crate::layer::{Layer, LayerSet, Layers, Missing};

/// Why a layer could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The kernel said no.
    #[error("{step}: {errno}")]
    Kernel {
        /// To what.
        step: &'static str,
        /// Its word.
        errno: rustix::io::Errno,
    },
    /// It stands on another layer, or on a privilege, that is not there.
    #[error("{0}")]
    Without(&'static str),
    /// The filter cannot be made.
    #[error("the filter: {0}")]
    Filter(#[from] seccompiler::Error),
    /// The rules cannot be made.
    #[error("the rules: {0}")]
    Landlock(#[from] landlock::RulesetError),
}

/// The jail is not closed. What was done cannot be undone: the process must end.
#[derive(Debug, thiserror::Error)]
pub enum ArmError {
    /// A layer that is needed.
    #[error("the jail's layer `{layer}` cannot be armed: {why}")]
    Missing {
        /// Which.
        layer: Layer,
        /// Why not.
        why: Refusal,
    },
    /// The parent died meanwhile.
    #[error("the parent is gone")]
    Orphan,
    /// A step that is no layer of its own.
    #[error("the jail: {0}")]
    Step(Refusal),
}

/// Gives a step's name to what the kernel says of it.
pub(crate) trait Named<T> {
    fn named(self, step: &'static str) -> Result<T, Refusal>;
}

impl<T> Named<T> for Result<T, rustix::io::Errno> {
    fn named(self, step: &'static str) -> Result<T, Refusal> {
        self.map_err(|errno| Refusal::Kernel { step, errno })
    }
}

/// What is asked for, what must be, and what is.
#[derive(Debug)]
pub(crate) struct Ledger {
    want: LayerSet,
    need: LayerSet,
    pub(crate) layers: Layers,
}

impl Ledger {
    /// Books for layers that are tried and layers that must be, on top of those
    /// that the process was born with.
    pub(crate) fn new(want: LayerSet, need: LayerSet, inherited: LayerSet) -> Self {
        Self {
            want: want.but_not(inherited),
            need,
            layers: Layers {
                held: inherited,
                missing: Vec::new(),
            },
        }
    }

    /// Whether `layer` is to be tried: not if it was missed before.
    pub(crate) fn wants(&self, layer: Layer) -> bool {
        let mut missing = self.layers.missing.iter();
        self.want.contains(layer) && !missing.any(|known| known.layer == layer)
    }

    /// Tries to put up `layer`, if it is wanted.
    pub(crate) fn hold(
        &mut self,
        layer: Layer,
        put_up: impl FnOnce() -> Result<(), Refusal>,
    ) -> Result<(), ArmError> {
        if !self.wants(layer) {
            return Ok(());
        }
        match put_up() {
            Ok(()) => {
                self.layers.held = self.layers.held.with(layer);
                Ok(())
            }
            Err(why) => self.miss(layer, why),
        }
    }

    /// `layer` is done without here, needed or not.
    pub(crate) fn forgo(&mut self, layer: Layer, why: &'static str) {
        if self.wants(layer) {
            self.layers.missing.push(Missing {
                layer,
                why: why.to_owned(),
            });
        }
    }

    /// `layer` is not to be had.
    pub(crate) fn miss(&mut self, layer: Layer, why: Refusal) -> Result<(), ArmError> {
        if !self.wants(layer) {
            return Ok(());
        }
        if self.need.contains(layer) {
            return Err(ArmError::Missing { layer, why });
        }
        self.layers.missing.push(Missing {
            layer,
            why: why.to_string(),
        });
        Ok(())
    }
}
