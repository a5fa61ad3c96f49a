//! The shell of a node. It does what the supervisor decides, and no more: the
//! node process talks to the scheduler and stages files, the keeper is parent
//! of every worker and compiler and outlives the node process.
//!
//! Keeper, zygote, worker and compiler are this binary again, entered by a hidden verb
//! before any thread exists: whoever links this crate calls [`enter`] first.

pub mod frame;
pub mod keeper;
pub mod node;

mod child;
mod compiler;
mod hearing;
mod jail;
mod worker;
mod zygote;

use std::process::ExitCode;

/// Hidden verb of the keeper.
pub(crate) const KEEPER_VERB: &str = "__keeper";
/// Hidden verb of a worker.
pub(crate) const WORKER_VERB: &str = "__worker";
/// Hidden verb of a zygote.
pub(crate) const ZYGOTE_VERB: &str = "__zygote";
/// Hidden verb of the trial of a jail.
pub(crate) const JAIL_VERB: &str = "__jail";
/// Hidden verb of a compiler.
pub(crate) const COMPILER_VERB: &str = "__compile";
/// The variable that tells a guest which task it is.
pub(crate) const TASK_INDEX: &str = "STINT_TASK_INDEX";

/// Becomes a keeper, zygote, worker or compiler when the first argument names one, and
/// says with which code to exit. To be called first in `main`, while the
/// process has one thread.
pub fn enter() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    let verb = args.next()?;
    match verb.to_str()? {
        KEEPER_VERB => Some(keeper::main(args)),
        WORKER_VERB => Some(worker::main(args)),
        ZYGOTE_VERB => Some(zygote::main(args)),
        COMPILER_VERB => Some(compiler::main(args)),
        JAIL_VERB => Some(jail::trial_main()),
        _ => None,
    }
}

/// How many layers the jail of a job would have here, and which it could not have
/// and why. Leaves nothing behind.
pub fn jail_probe() -> String {
    jail::probe()
}

/// How slots would be held to their limits on this machine: `cgroup v1`,
/// `cgroup v2` or `wasmtime only: <why>`. Leaves nothing behind.
pub fn limits_probe() -> String {
    keeper::limits_probe()
}
