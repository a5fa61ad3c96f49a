//! The keeper: a small process of its own that is parent of every worker and
//! compiler of a node, and outlives the node process.
//!
//! ```text
//! main ─▶ home: lock, socket, spool
//!    └──▶ serve: one loop, which waits on one watch
//!           ├─ link: connections, and which of them is the node
//!           ├─ held: orders in, words out
//!           │    ├─ start: from an order to a slot     ├─ spool: how attempts ended
//!           │    ├─ slot: a worker in its leaf         ├─ pool: workers that wait, zygotes
//!           │    └─ compiles: compilers in theirs      └─ the lease
//!           └─ bell: the signals that end it
//! ```
//!
//! The node's side of it is `client`.

pub mod client;
pub mod protocol;

mod artifacts;
mod bell;
mod berthed;
mod berths;
pub(crate) mod clock;
mod compile;
mod compiles;
mod demand;
mod held;
mod home;
mod hot;
mod jails;
mod kept;
mod launch;
mod limits;
mod link;
mod log;
mod main;
mod options;
mod pool;
mod process;
mod quiet;
mod serve;
mod slot;
mod spool;
mod start;
mod strays;
mod turns;
mod verdict;
mod watch;
pub(crate) mod wire;
mod zygote;

pub(crate) use limits::probe as limits_probe;
pub(crate) use main::main;
pub(crate) use process::OWN_BINARY;
