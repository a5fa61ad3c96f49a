//! From an order to a slot: the files that it names are opened, a worker is found
//! at its berth or started, held to the limits, and told.

use std::os::fd::BorrowedFd;

use stint_api::outcome::Outcome;
use stint_cgroup::Limits;
use stint_sandbox::{Files, OpenError};

use super::artifacts::Artifacts;
use super::clock::BootTime;
use super::kept::Sharing;
use super::limits::{Holding, chain, of_slot};
use super::pool::Pool;
use super::process::Process;
use super::protocol::StartOrder;
use super::slot::Slot;
use super::watch::Watch;
use super::wire::WireError;
use crate::WORKER_VERB;
use crate::worker::berth;
use crate::worker::protocol::{Assignment, Module, SPEECH};

/// What a start draws on.
#[derive(Debug)]
pub(crate) struct Means<'a> {
    /// How slots are held.
    pub(crate) holding: &'a Holding,
    /// Artifacts that are open.
    pub(crate) artifacts: &'a mut Artifacts,
    /// Workers that wait.
    pub(crate) pool: &'a mut Pool,
    /// Where a worker is watched.
    pub(crate) watch: &'a mut Watch,
}

/// Which worker an attempt is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// One that waits, if there is one.
    Any,
    /// One that is started for it.
    Own,
}

/// Starts an attempt.
///
/// # Errors
/// The outcome of an attempt of which nothing ran.
pub(crate) fn start(
    order: StartOrder,
    choice: Choice,
    means: Means<'_>,
    now: BootTime,
) -> Result<Slot, Outcome> {
    let Means {
        holding,
        artifacts,
        pool,
        watch,
    } = means;
    let opened = |error: OpenError| step("files", error.to_string());
    let files = Files::open(&order.plan).map_err(opened)?;
    let artifact = artifacts.give(&order.plan, now).map_err(opened)?;
    let limits = of_slot(&order.limits);
    let profile = order.plan.profile;
    let mut assignment = Assignment {
        module: Module::Same,
        guest: order.plan.guest(),
    };
    if choice == Choice::Any
        && let Some(sharing) = Sharing::of(&order)
        && let Some(mut process) = pool.take_kept(&sharing)
    {
        if told(&mut process, &assignment, &files.fds(), watch) {
            return Ok(Slot::new(order.clone(), process, None, now).on_trial(order));
        }
        pool.discard(process, watch);
    }
    assignment.module = Module::Given {
        profile,
        sha256: artifact.sha256,
    };
    let mut fds = vec![artifact.file];
    fds.extend(files.fds());
    while choice == Choice::Any
        && let Some(mut process) = pool.take(profile)
    {
        if held(&mut process, &limits) && told(&mut process, &assignment, &fds, watch) {
            pool.started(profile, limits, now);
            let slot = Slot::new(order.clone(), process, artifact.sha256, now);
            return Ok(slot.on_trial(order));
        }
        // It died where it waited, or its leaf is not as it should be.
        pool.discard(process, watch);
    }
    let mut process = alone(&order, limits, holding, watch)?;
    pool.started(profile, limits, now);
    let given = process.wire.give(&assignment, &fds);
    let listened = watch.listen_to(&mut process);
    let mut slot = Slot::new(order, process, artifact.sha256, now);
    match given {
        Ok(()) => {}
        // It is gone already; how it died says more than that it does not listen.
        Err(WireError::Socket(_)) => slot.give_up(),
        Err(error) => slot.kill(step("plan", chain(&error))),
    }
    if let Err(error) = listened {
        slot.kill(step("keeper: watch the worker", error.to_string()));
    }
    Ok(slot)
}

/// Whether a worker that waited was told what to run, and will be heard.
fn told(
    process: &mut Process,
    assignment: &Assignment,
    fds: &[BorrowedFd<'_>],
    watch: &Watch,
) -> bool {
    let given = process.wire.give(assignment, fds);
    if let Err(error) = &given {
        tracing::debug!(pid = process.pid(), error = chain(error), "not told");
    }
    given.is_ok() && watch.listen_to(process).is_ok()
}

fn step(what: &str, error: String) -> Outcome {
    Outcome::StartFailed {
        step: format!("{what}: {error}"),
    }
}

/// Whether the leaf of a worker that waited is held to `limits` now.
fn held(process: &mut Process, limits: &Limits) -> bool {
    let Some(leaf) = &mut process.leaf else {
        return true;
    };
    match leaf.limit(limits) {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(leaf = leaf.name(), error = chain(&error), "not held");
            false
        }
    }
}

/// A worker that starts by itself, because none waits.
fn alone(
    order: &StartOrder,
    limits: Limits,
    holding: &Holding,
    watch: &mut Watch,
) -> Result<Process, Outcome> {
    let leaf = holding
        .leaf(&order.attempt.to_string(), limits)
        .map_err(|error| step("cgroup", chain(&error)))?;
    let verb = [WORKER_VERB, berth::argument(order.plan.profile)];
    let mut process =
        Process::spawn(&verb, SPEECH, leaf).map_err(|error| step("worker", chain(&error)))?;
    match watch.adopt(&mut process) {
        Ok(()) => Ok(process),
        // Nobody would hear of its end, so it ends here and now.
        Err(error) => {
            process.kill_and_reap();
            Err(step("keeper: watch the worker", error.to_string()))
        }
    }
}
