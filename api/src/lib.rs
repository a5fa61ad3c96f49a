//! What is said over a socket, and nothing else: ids, quantities, jobs,
//! outcomes, views, and the node link. Both halves of the product and every
//! client speak with these types; none of them decides or does anything.
//!
//! With feature `client`, [`client`] is the HTTP client that the command line
//! and the tests use.

pub mod constraint;
pub mod explain;
pub mod id;
pub mod job;
pub mod kit;
pub mod link;
pub mod namespace;
pub mod outcome;
pub mod problem;
pub mod quantity;
pub mod retry;
pub mod said;
pub mod tasks;
pub mod time;
pub mod view;

#[cfg(feature = "client")]
pub mod client;
