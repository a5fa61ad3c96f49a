//! The jail of a worker: the system calls that arm it. The engine is assumed to
//! have fallen; what is then left to whoever owns the process is the job's own
//! files, its output and its share of the machine.
//!
//! It is armed in two stages. [`Berth::enter`] takes what can be taken before
//! anything of a job is known: namespaces, root, identity, rights, descriptors. The
//! job arrives: descriptors, and machine code that is mapped once. Then
//! [`Berthed::arm`] takes what that needed. Each [`Layer`] is a barrier by itself,
//! and for whatever reaches out of the process there are at least two of them; the
//! test `breach` tries, with each layer taken away in turn.
//!
//! ```text
//! reaches for            │ stopped by
//! a file of the machine  │ mount-namespace, empty-root, landlock-files, identity
//! another kind of file   │ wide-filter, small-filter, landlock-kinds, capabilities
//! .. of a job's file     │ detached-trees, landlock-files, identity
//! the network            │ wide-filter, small-filter, network-namespace, landlock-*
//! another process        │ wide-filter, small-filter, identity, landlock-scope
//! the machine itself     │ wide-filter, small-filter, capabilities
//! code of its own        │ small-filter, write-xor-execute
//! ```
//!
//! What it leaves to others: memory, CPU and the number of processes (the
//! cgroup), bytes on disk (the slot's directories), time (the keeper), and what
//! the keeper believes of what a worker says.
//!
//! Everything here is synchronous, starts no thread, and must be called while
//! there is one. Built for x86-64 and aarch64; run on x86-64 only.

mod assignment;
mod berth;
mod bounds;
mod descriptors;
mod filter;
mod identity;
mod layer;
mod ledger;
mod namespaces;
mod raw;
mod root;
mod rules;
mod trap;
mod tree;

pub use assignment::{Armed, Assignment};
pub use berth::{Berth, Berthed};
pub use filter::call_name;
pub use identity::Identity;
pub use layer::{Layer, LayerSet, Layers, Missing};
pub use ledger::{ArmError, Refusal};
pub use namespaces::leave_network;
pub use trap::{Confession, EXIT_VIOLATION};
pub use tree::{Access, Source, Tree};
