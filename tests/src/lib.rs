//! What the end-to-end tests share: a [`Site`] (a scheduler and nodes, each a
//! real process of the real binary), guests assembled from `tests/jobs`, and
//! waiting for conditions instead of sleeping.
//!
//! Nothing here knows the product from inside: it types commands, speaks the
//! API, and looks at processes and cgroups from outside, as an operator would.

pub mod golden;
pub mod guest;
pub mod kit;
pub mod leftovers;
pub mod network;
pub mod port;
pub mod s3;
pub mod site;
pub mod wait;
pub mod web;

pub use site::{Finished, Site};
