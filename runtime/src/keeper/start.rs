//! From an order to a slot: the files that it names are opened, a worker is found
//! at its berth or started, held to the limits, and told.

use std::os::fd::BorrowedFd;

use stint_api::outcome::Outcome;
use stint_api::tasks::TaskRange;
use stint_cgroup::Limits;
use stint_sandbox::{Files, OpenError};

use super::artifacts::{Artifacts, Given};
use super::clock::BootTime;
use super::hot;
use super::jails::Who;
use super::kept::Sharing;
use super::limits::{Holding, chain, of_slot};
use super::pool::Pool;
use super::process::Process;
use super::protocol::StartOrder;
use super::quiet::Quiet;
use super::slot::Slot;
use super::watch::Watch;
use super::wire::WireError;
use crate::WORKER_VERB;
use crate::worker::berth;
use crate::worker::protocol::{Assignment, Module, SPEECH, ToWorker};

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
    /// One that waits, if there is one; else one that is born for it.
    Any,
    /// One that is started for it, as a program.
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
    let order = &order;
    let artifact = artifacts.give(&order.plan, now).map_err(opened)?;
    let limits = of_slot(&order.limits);
    let profile = order.plan.profile;
    let sharing = Sharing::of(order);
    let waited = choice == Choice::Any;
    if waited
        && let Some(sharing) = &sharing
        && let Some(mut process) = pool.take_kept(sharing)
    {
        let files = files(order, process.who(), holding);
        let told = |files: &Files| told(&mut process, order, Module::Same, None, files, watch);
        if files.as_ref().is_ok_and(told) {
            let slot = Slot::new(order.clone(), process, files?.dirs, None, now);
            return Ok(slot.on_trial(order.clone()));
        }
        pool.discard(process, watch);
        files?;
    }
    let wanted = hot::Module::of(&order.plan);
    while waited && let Some(waiting) = pool.take(profile, &wanted) {
        let mut process = waiting.process;
        let (module, file) = match waiting.loaded {
            Some(_) => (Module::Same, None),
            None => (artifact.module(profile), Some(artifact.file)),
        };
        let files = files(order, process.who(), holding);
        let told = |files: &Files| {
            held(&mut process, &limits) && told(&mut process, order, module, file, files, watch)
        };
        if files.as_ref().is_ok_and(told) {
            pool.started(profile, &wanted, limits, now);
            let comparing = file.and(artifact.sha256);
            let slot = Slot::new(order.clone(), process, files?.dirs, comparing, now);
            return Ok(slot.on_trial(order.clone()));
        }
        // It died where it waited, or its leaf is not as it should be.
        pool.discard(process, watch);
        files?;
    }
    let process = match waited {
        true => pool.bear(
            profile,
            (&order.attempt.to_string(), limits),
            holding,
            watch,
            now,
        ),
        false => None,
    };
    let process = match process {
        Some(process) => process,
        None => alone(order, limits, holding, watch)?,
    };
    pool.started(profile, &wanted, limits, now);
    Ok(assigned(process, order, artifact, holding, watch, now))
}

/// The slot of an attempt whose worker is on its way and is told of it beforehand.
fn assigned(
    mut process: Process,
    order: &StartOrder,
    artifact: Given<'_>,
    holding: &Holding,
    watch: &Watch,
    now: BootTime,
) -> Slot {
    let module = artifact.module(order.plan.profile);
    let is_unborn = process.is_unborn();
    let files = files(order, process.who(), holding);
    let given = files.as_ref().map(|files| {
        let given = give(&mut process, order, module, Some(artifact.file), files);
        (given, watch.listen_to(&mut process))
    });
    let given = given.map_err(Outcome::clone);
    let dirs = files.map_or_else(|_| Vec::new(), |files| files.dirs);
    let mut slot = Slot::new(order.clone(), process, dirs, artifact.sha256, now);
    if is_unborn {
        slot = slot.on_trial(order.clone());
    }
    match given {
        Ok((Ok(()), Ok(()))) => {}
        // It is gone already; how it died says more than that it does not listen.
        Ok((Err(WireError::Socket(_)), _)) => slot.give_up(),
        Ok((Err(error), _)) => slot.kill(step("plan", chain(&error))),
        Ok((Ok(()), Err(error))) => slot.kill(step("keeper: watch the worker", error.to_string())),
        Err(outcome) => slot.kill(outcome),
    }
    slot
}

/// The files of an attempt, for a worker that is `who`.
fn files(order: &StartOrder, who: &Who, holding: &Holding) -> Result<Files, Outcome> {
    Files::open_with(&order.plan, |dir| holding.jails.bring(dir, who)).map_err(opened)
}

/// Tells a worker what to run, and gives it the files.
fn give(
    process: &mut Process,
    order: &StartOrder,
    module: Module,
    artifact: Option<BorrowedFd<'_>>,
    files: &Files,
) -> Result<(), WireError> {
    let assignment = ToWorker::Run(Assignment {
        module,
        guest: order.plan.guest(),
        more: Sharing::of(order).is_some(),
        then: run_of(order).count - 1,
        pulse: Quiet::pulse(&order.grant.plan),
    });
    let fds: Vec<BorrowedFd<'_>> = artifact.into_iter().chain(files.fds()).collect();
    process.wire.give(&assignment, &fds)
}

/// The tasks that the worker of `order` is to run, one after another.
pub(crate) fn run_of(order: &StartOrder) -> TaskRange {
    let one = TaskRange::one(order.attempt.task);
    match order.grant.tasks.as_slice() {
        [run] if run.first == one.first && run.count > 0 && Sharing::of(order).is_some() => *run,
        _ => one,
    }
}

/// Whether a worker that waited was told what to run, and will be heard.
fn told(
    process: &mut Process,
    order: &StartOrder,
    module: Module,
    artifact: Option<BorrowedFd<'_>>,
    files: &Files,
    watch: &Watch,
) -> bool {
    let given = give(process, order, module, artifact, files);
    if let Err(error) = &given {
        tracing::debug!(pid = process.pid(), error = chain(error), "not told");
    }
    given.is_ok() && watch.listen_to(process).is_ok()
}

fn opened(error: OpenError) -> Outcome {
    step("files", error.to_string())
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

/// A worker that starts by itself, because none waits and no zygote bears one.
fn alone(
    order: &StartOrder,
    limits: Limits,
    holding: &Holding,
    watch: &mut Watch,
) -> Result<Process, Outcome> {
    let who = holding.jails.somebody();
    let leaf = holding
        .leaf(&order.attempt.to_string(), limits)
        .map_err(|error| step("cgroup", chain(&error)))?;
    let jail = holding.jails.of(&who).to_argument();
    let verb = [WORKER_VERB, berth::argument(order.plan.profile), &jail];
    let mut process =
        Process::spawn(&verb, SPEECH, leaf, who).map_err(|error| step("worker", chain(&error)))?;
    match watch.adopt(&mut process) {
        Ok(()) => Ok(process),
        // Nobody would hear of its end, so it ends here and now.
        Err(error) => {
            process.kill_and_reap();
            Err(step("keeper: watch the worker", error.to_string()))
        }
    }
}
