//! The keeper: a small process of its own that is parent of every worker and
//! compiler of a node, and outlives the node process.

pub mod client;
mod clock;
mod launch;
mod options;
pub mod protocol;
