//! Both hearts in a world that fails: one scheduler over a store that loses
//! power, nodes whose processes, keepers and machines die, and a network that
//! loses, delays, reorders and repeats. Everything follows from one seed.
//!
//! What is real: `stint-cluster`, `stint-supervisor`, the store in memory and
//! the words of the link. What is played: the two shells around the hearts, the
//! keeper, the guests, the clients, and time.
//!
//! - [`World`] runs one seed; `world.rs` is its loop, `happening.rs` what can happen,
//! - `scheduler.rs` (with `calls.rs`), `process.rs`, `link.rs` and `keeper.rs` play the shells, `client.rs` who submits, `operator.rs` who decides,
//! - `network.rs` and `faults.rs` are what goes wrong, `policy.rs` what is wrong on purpose,
//! - `ledger.rs` knows the truth and objects to whatever contradicts it, `promises.rs` to what may not be decided, `verdict.rs` looks at the end.

mod calls;
mod client;
mod clock;
mod faults;
mod giving_way;
mod happening;
mod keeper;
mod ledger;
mod link;
mod network;
mod node;
mod operator;
mod policy;
mod process;
mod promises;
mod scheduler;
mod verdict;
mod weather;
mod world;

pub use ledger::Violation;
pub use policy::Policy;
pub use world::{Failure, World};
