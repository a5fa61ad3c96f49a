//! The engine's wall: the only crate that names wasmtime. It turns a module into
//! an artifact ([`compile`], in a process of its own) and runs attempts from
//! an artifact under limits ([`Berth`], in a worker process).
//!
//! ```text
//! Interrupt ─▶ Berth ── load(artifact) ─▶ Loaded ── attempt(guest, files) ─▶ Attempt ── run ─▶ Ran
//!    no job is known                         one job, its attempts one after another
//! ```
//!
//! What it promises: the guest gets the files, arguments, environment and clocks
//! of its [`Guest`] and nothing else of the host; its memories and tables together
//! never pass the plan's limit; every end has one [`Outcome`], the exit code
//! exact; [`Interrupt::raise`] ends a guest that computes; no thread is started.
//!
//! What it leaves to others: time and the kill of a guest that sits in a host
//! call (the keeper), CPU and the memory of the process around the guest (the
//! cgroup), files too large or too many (scratch), the jail.
//!
//! [`Outcome`]: stint_api::outcome::Outcome

mod artifact;
mod berth;
mod compile;
mod component;
mod door;
mod engine;
mod files;
mod given;
mod here;
mod interrupt;
mod io;
mod limiter;
mod log_file;
mod logs;
mod outcome;
mod plan;
mod pulse;
mod run;
mod stack;
mod stubs;
mod warm_up;
mod wasi;
mod withdrawal;

pub use berth::{Berth, BerthError, Loaded};
pub use compile::{CompileError, artifact_key, compile, compile_for};
pub use engine::EngineError;
pub use files::{Files, OpenError, fds_of};
pub use given::Given;
pub use interrupt::Interrupt;
pub use log_file::{Cut, LogFile};
pub use plan::{Access, Dir, Guest, Plan, Seen};
pub use pulse::Pulse;
pub use run::{Attempt, Ran};
pub use stint_scan::Profile;
pub use stubs::scan;
pub use warm_up::{WarmUp, WarmUpError};
