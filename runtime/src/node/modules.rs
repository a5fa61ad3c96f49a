//! From a module's digest to its compiled form on this disk: found, or fetched,
//! scanned and compiled, once for all that wait for it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use stint_api::client::Client;
use stint_api::id::{Digest, JobId, Namespace};
use stint_api::kit;
use stint_api::link::{Plan, Report};
use stint_api::outcome::{Blame, Outcome};
use stint_api::quantity::Bytes;
use stint_sandbox::Profile;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::spawn_blocking;

use super::artifacts::{Artifact, Artifacts};
use super::explain::explain;
use super::fetch::{Blob, fetch};
use super::happened::{Happened, Teller};
use super::keeping::Keeper;
use super::refused::Refused;
use crate::keeper::protocol::CompileOrder;

/// Times that a module is given to a keeper to compile: a keeper that dies takes
/// its compilers along, and a module may be what kills it.
const COMPILE_TRIES: u32 = 3;
/// Most modules whose compiled form is remembered in memory; on disk it is found again.
const KNOWN_MAX: usize = 1_024;
/// Compilations of one namespace at once: fewer than a keeper runs, so that nobody
/// waits behind a queue of another's modules, however long they take.
const COMPILING_A_NAMESPACE: usize = 1;

/// The compiled form of one module, if it is known; locked while it is found out.
type Entry = Arc<tokio::sync::Mutex<Option<Artifact>>>;

/// The modules of this node.
#[derive(Debug)]
pub(crate) struct Modules {
    client: Client,
    keeper: Keeper,
    teller: Teller,
    /// Fetched modules.
    dir: PathBuf,
    artifacts: Artifacts,
    known: Mutex<BTreeMap<Digest, Entry>>,
    refused: Mutex<Refused>,
    /// Lets each namespace compile as much as it may at once.
    gates: Mutex<BTreeMap<Namespace, Arc<Semaphore>>>,
    /// Who waits for a compilation of the current keeper.
    compiling: Mutex<BTreeMap<Digest, oneshot::Sender<Result<Digest, Outcome>>>>,
}

impl Modules {
    pub(crate) fn new(
        client: Client,
        keeper: Keeper,
        teller: Teller,
        dir: PathBuf,
        artifacts: Artifacts,
    ) -> Self {
        Self {
            client,
            keeper,
            teller,
            dir,
            artifacts,
            known: Mutex::default(),
            refused: Mutex::default(),
            gates: Mutex::default(),
            compiling: Mutex::default(),
        }
    }

    /// The compiled form of the module of `plan`, which `job` waits for.
    ///
    /// # Errors
    /// The outcome of every attempt at it, or a failure of this node.
    pub(crate) async fn ready(&self, plan: &Plan, job: &JobId) -> Result<Artifact, Outcome> {
        let module = &plan.module;
        let entry = self.entry(module);
        let mut known = match entry.try_lock() {
            Ok(known) => known,
            Err(_) => {
                self.say(job, format!("waiting for {module}")).await;
                entry.lock().await
            }
        };
        if let Some(artifact) = known.as_ref() {
            return Ok(artifact.clone());
        }
        // A kit's module has an entry and a budget of its own: what is too much of a job's
        // own module may be right for a kit.
        let is_own = plan.kit.is_none();
        // Looked at only now: whoever made this one wait may have found out.
        let refused = lock(&self.refused).why(module, Instant::now());
        if let Some(outcome) = refused.filter(|_| is_own) {
            return Err(outcome);
        }
        let made = self.make(plan, job).await;
        match &made {
            Ok(artifact) => {
                *known = Some(artifact.clone());
                let module = *module;
                let compiled = Happened::Say(Report::Compiled { module });
                self.teller.tell(compiled).await;
            }
            Err(outcome) if is_own && outcome.blame() == Blame::JobForGood => {
                lock(&self.refused).remember(*module, outcome.clone(), Instant::now());
            }
            Err(_) => {}
        }
        made
    }

    /// Modules whose compiled form was used since this process started: as many as are remembered.
    pub(crate) fn known(&self) -> Vec<Digest> {
        let known = lock(&self.known);
        let is_there = |entry: &Entry| entry.try_lock().is_ok_and(|known| known.is_some());
        let there = known.iter().filter(|(_, entry)| is_there(entry));
        there.map(|(module, _)| *module).collect()
    }

    /// A worker could not be started with the compiled form: looks at it again before the next.
    pub(crate) fn doubt(&self, module: &Digest) {
        lock(&self.known).remove(module);
    }

    /// The keeper compiled a module, or did not.
    pub(crate) fn compiled(&self, module: &Digest, result: Result<Digest, Outcome>) {
        if let Some(waits) = lock(&self.compiling).remove(module)
            && waits.send(result).is_err()
        {
            tracing::debug!(%module, "nobody waits for this module any more");
        }
    }

    /// The keeper is gone, and its compilers with it.
    pub(crate) fn keeper_gone(&self) {
        lock(&self.compiling).clear();
    }

    fn entry(&self, module: &Digest) -> Entry {
        let mut known = lock(&self.known);
        if known.len() >= KNOWN_MAX && !known.contains_key(module) {
            // Those that nobody is busy with; they are found again on disk.
            known.retain(|_, entry| Arc::strong_count(entry) > 1);
        }
        Arc::clone(known.entry(*module).or_default())
    }

    async fn make(&self, plan: &Plan, job: &JobId) -> Result<Artifact, Outcome> {
        let module = &plan.module;
        let (artifacts, wanted) = (self.artifacts.clone(), *module);
        if let Some(found) = blocking(move || artifacts.find(&wanted)).await? {
            return Ok(found);
        }
        self.say(job, format!("fetching {module}")).await;
        let wasm = fetch(&self.client, Blob::Module, &self.dir, module)
            .await
            .map_err(|error| step(format!("fetch {module}: {}", explain(&error))))?;
        let (path, wanted) = (wasm.clone(), *module);
        let entry = match &plan.kit {
            Some(kit) => kit.entry.clone(),
            None => kit::Entry::default(),
        };
        let enter = entry.clone();
        let (profile, module_bytes) = blocking(move || scan(&path, &wanted, &enter)).await??;
        let _turn = match plan.kit {
            None => self.turn(job).await,
            // An administrator's; it keeps nobody's own modules waiting.
            Some(_) => None,
        };
        self.say(job, format!("compiling {module} ({module_bytes:#})"))
            .await;
        let (artifacts, wanted) = (self.artifacts.clone(), *module);
        let place = blocking(move || artifacts.place(&wanted, profile))
            .await?
            .map_err(|error| step(format!("compile {module}: {error}")))?;
        let order = CompileOrder {
            module: *module,
            wasm,
            artifact: place.clone(),
            module_bytes,
            entry,
            budget: plan.kit.as_ref().and_then(|kit| kit.compile),
        };
        let compiled = self.compile(order).await;
        let artifacts = self.artifacts.clone();
        blocking(move || match compiled {
            Ok(sha256) => artifacts
                .keep(&place, sha256, profile)
                .map_err(|error| step(format!("keep the compiled module: {error}"))),
            Err(outcome) => {
                drop(fs::remove_file(&place));
                Err(outcome)
            }
        })
        .await?
    }

    /// Waits until the job's namespace may compile one module more; it may while this is held.
    async fn turn(&self, job: &JobId) -> Option<OwnedSemaphorePermit> {
        let gate = {
            let mut gates = lock(&self.gates);
            gates.retain(|_, gate| Arc::strong_count(gate) > 1);
            let new = || Arc::new(Semaphore::new(COMPILING_A_NAMESPACE));
            Arc::clone(gates.entry(job.namespace.clone()).or_insert_with(new))
        };
        if gate.available_permits() == 0 {
            let step = format!("waiting for another module of namespace {}", job.namespace);
            self.say(job, step).await;
        }
        // No gate is ever closed.
        gate.acquire_owned().await.ok()
    }

    /// Has the keeper compile; again with the next one when it dies meanwhile.
    async fn compile(&self, order: CompileOrder) -> Result<Digest, Outcome> {
        for _ in 0..COMPILE_TRIES {
            let (sender, answer) = oneshot::channel();
            lock(&self.compiling).insert(order.module, sender);
            let given = self.keeper.compile(order.clone()).await;
            given.map_err(|error| step(format!("compile: {}", explain(&error))))?;
            if let Ok(result) = answer.await {
                return result;
            }
        }
        Err(step(format!(
            "compile {}: {COMPILE_TRIES} keepers were lost while they compiled it",
            order.module
        )))
    }

    async fn say(&self, job: &JobId, step: String) {
        let job = job.clone();
        let report = Report::Preparing { job, step };
        self.teller.tell(Happened::Say(report)).await;
    }
}

fn step(step: String) -> Outcome {
    Outcome::StartFailed { step }
}

/// Reads the structure of a fetched module: its engine profile and its size.
fn scan(path: &Path, module: &Digest, entry: &kit::Entry) -> Result<(Profile, Bytes), Outcome> {
    let bytes = fs::read(path).map_err(|error| step(format!("read {module}: {error}")))?;
    let facts =
        stint_sandbox::scan(&bytes, entry).map_err(|rejection| Outcome::ModuleRejected {
            what: rejection.to_string(),
        })?;
    if facts.digest != module.0 {
        drop(fs::remove_file(path));
        return Err(step(format!("{module} was damaged on this node's disk")));
    }
    Ok((facts.profile, Bytes(facts.size)))
}

/// Does `work`, which blocks, beside the runtime's threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Outcome> {
    spawn_blocking(work)
        .await
        .map_err(|error| step(format!("the node process failed: {error}")))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
