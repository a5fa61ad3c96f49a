//! The shell of a node. It does what the supervisor decides, and no more: the
//! node process talks to the scheduler and stages files, the keeper is parent
//! of every worker and compiler and outlives the node process.
//!
//! Keeper, worker and compiler are this binary again, entered by a hidden verb
//! before any thread exists.

pub mod frame;
pub mod keeper;

/// Hidden verb of the keeper.
pub(crate) const KEEPER_VERB: &str = "__keeper";
