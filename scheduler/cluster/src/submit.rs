//! Somebody submits a job, or pushes a module that jobs may name. What no node
//! could ever run is refused here; what merely has to wait is not.

use std::collections::BTreeMap;

use stint_api::id::{Digest, JobId, Namespace, NodeId};
use stint_api::job::{InvalidSpec, JobSpec};
use stint_api::namespace::Used;
use stint_api::quantity::Resources;
use stint_api::time::Time;
use stint_api::view::{EventKind, ModuleView};

use crate::account::{NAMESPACES_MAX, slots_left};
use crate::cluster::{Cluster, Config};
use crate::draft::Draft;
use crate::effects::Effects;
use crate::job::{CHUNK_TASKS, Idempotency, Job, JobRecord, Life, constraints};
use crate::node::Node;
use crate::placement::chunk_size;
use crate::queue::Shape;
use crate::record::{NamespaceRecord, to_bytes};
use crate::refusal::SubmitError;

/// Longest idempotency key: twice what a UUID or a digest in text takes, and more.
pub(crate) const KEY_BYTES_MAX: usize = 255;
/// Most jobs that a cluster keeps, those that are over included: a few KiB of
/// memory each, so that all of them stay below a GiB.
const JOBS_MAX: usize = 200_000;
/// Texts that are this short fit into a record even when every character is escaped.
const TEXT_BYTES_SMALL: usize = Config::RECORD_BYTES_MAX / 8;
/// Most modules of all namespaces: a few hundred bytes of memory each.
pub(crate) const MODULES_MAX: usize = 100_000;

/// Makes a submit safe to repeat: within a namespace the same key and body are
/// the same job, as long as the job is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// What the client chose: 1 to 255 printable ASCII characters.
    pub key: String,
    /// The sha-256 of the body that came with it.
    pub body: Digest,
}

impl IdempotencyKey {
    /// That of one job of the batch which this one makes safe to repeat.
    pub fn of_job(&self, index: usize) -> Self {
        Self {
            key: format!("{}/{index}", self.key),
            body: self.body,
        }
    }
}

/// The job that a submit is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submission {
    /// It was made now.
    New(JobId),
    /// The same key and body made it before.
    Known(JobId),
}

impl Submission {
    /// The job.
    pub fn id(&self) -> &JobId {
        match self {
            Self::New(id) | Self::Known(id) => id,
        }
    }
}

/// The cluster keeps as many modules as it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this cluster has {MODULES_MAX} modules already, one more is too many")]
pub struct TooManyModules;

impl Cluster {
    /// Accepts a job. The answer may be given once the effects are durable; for
    /// a job that is known already, too: its first submit may not be answered yet.
    ///
    /// # Errors
    /// The job is refused, and nothing changed.
    pub fn submit(
        &mut self,
        now: Time,
        spec: JobSpec,
        key: Option<IdempotencyKey>,
    ) -> Result<(Submission, Effects), SubmitError> {
        self.accept(now, spec, key, None)
    }

    pub(crate) fn accept(
        &mut self,
        now: Time,
        spec: JobSpec,
        key: Option<IdempotencyKey>,
        rerun_of: Option<JobId>,
    ) -> Result<(Submission, Effects), SubmitError> {
        if let Some(key) = &key
            && let Some(known) = self.made_by(&spec.namespace, key)?
        {
            return Ok((Submission::Known(known), Effects::default()));
        }
        let record = self.checked(now, spec, key, rerun_of)?;
        self.room_for(std::iter::once(&record))?;
        let mut draft = self.begin(now);
        let id = self.enter(&mut draft, record);
        Ok((Submission::New(id), self.seal(draft)))
    }

    /// The record of a job that the cluster could run.
    pub(crate) fn checked(
        &mut self,
        now: Time,
        mut spec: JobSpec,
        key: Option<IdempotencyKey>,
        rerun_of: Option<JobId>,
    ) -> Result<JobRecord, SubmitError> {
        spec.validate()?;
        let kit = self.resolve_kit(&mut spec)?;
        self.check(&spec)?;
        let record = JobRecord {
            chunk_tasks: self.chunk_tasks(&spec),
            spec,
            kit,
            submitted_at: now,
            idempotency: key.map(|key| Idempotency {
                key: key.key,
                body: key.body,
            }),
            decree: None,
            suspended_at: None,
            rerun_of,
            is_forgotten: false,
            life: Life::Queued,
        };
        // What the job's life adds later is small beside the room that is left up to the MiB.
        if text_bytes(&record.spec) > TEXT_BYTES_SMALL {
            let bytes = to_bytes(&record).len();
            if bytes > Config::RECORD_BYTES_MAX {
                return Err(SubmitError::TooLarge { bytes });
            }
        }
        Ok(record)
    }

    /// Tasks of each of the job's chunks.
    fn chunk_tasks(&mut self, spec: &JobSpec) -> u32 {
        if spec.tasks <= CHUNK_TASKS {
            return CHUNK_TASKS;
        }
        let shape = Shape::new(spec.resources(), constraints(spec));
        chunk_size(spec.tasks, self.shelves.slots(&self.nodes, &shape))
    }

    /// Takes a checked job in under a new number.
    pub(crate) fn enter(&mut self, draft: &mut Draft, record: JobRecord) -> JobId {
        let namespace = record.spec.namespace.clone();
        let number = self.number(&namespace);
        draft.namespaces.insert(namespace.clone());
        let id = JobId { namespace, number };
        draft.made.push(id.clone());
        draft.touched.insert(id.clone());
        draft.event(&id, EventKind::Submitted);
        draft.place = true;
        self.admit(id.clone(), Job::new(record));
        id
    }

    /// Whether the cluster may keep those jobs too, and their namespaces may have them.
    pub(crate) fn room_for<'a>(
        &self,
        records: impl Iterator<Item = &'a JobRecord>,
    ) -> Result<(), SubmitError> {
        let mut jobs: BTreeMap<&Namespace, u32> = BTreeMap::new();
        let mut count = self.jobs.len();
        for record in records {
            *jobs.entry(&record.spec.namespace).or_default() += 1;
            count += 1;
        }
        if count > JOBS_MAX {
            let (what, most) = ("jobs", JOBS_MAX);
            return Err(SubmitError::TooMany { what, most });
        }
        for (namespace, more) in jobs {
            let most = self.decided(namespace).quota.jobs;
            let used = self.accounts.used(namespace).jobs;
            if let Some(most) = most.filter(|most| used.saturating_add(more) > *most) {
                let namespace = namespace.clone();
                return Err(SubmitError::QuotaJobs {
                    namespace,
                    used,
                    most,
                });
            }
        }
        Ok(())
    }

    /// Takes in a module whose bytes are safe and that was scanned. Pushed
    /// again, it stays what it was; the answer is what the cluster knows.
    ///
    /// # Errors
    /// There are too many modules, and nothing changed.
    pub fn module_pushed(
        &mut self,
        now: Time,
        module: ModuleView,
    ) -> Result<(ModuleView, Effects), TooManyModules> {
        let key = (module.namespace.clone(), module.digest);
        if let Some(known) = self.modules.get(&key) {
            self.uses.saw(key, now);
            return Ok((known.clone(), Effects::default()));
        }
        if self.modules.len() >= MODULES_MAX {
            return Err(TooManyModules);
        }
        let mut draft = self.begin(now);
        let module = ModuleView {
            pushed_at: now,
            ..module
        };
        self.uses.saw(key.clone(), now);
        self.modules.insert(key.clone(), module.clone());
        draft.modules.insert(key);
        Ok((module, self.seal(draft)))
    }

    /// Keeps a job, and where to find it.
    pub(crate) fn admit(&mut self, id: JobId, job: Job) {
        let namespace = id.namespace.clone();
        if let Some(idempotency) = &job.record.idempotency {
            let key = (namespace, idempotency.key.clone());
            self.by_key.insert(key, id.clone());
        }
        if job.is_open() {
            self.accounts.opened(&id);
            for parent in &job.record.spec.after {
                let children = self.children.entry(parent.clone()).or_default();
                children.insert(id.clone());
            }
        }
        self.by_time.insert((job.record.submitted_at, id.clone()));
        self.uses.job_came(&job);
        self.jobs.insert(id, job);
    }

    /// The job that this key made, if it made one.
    ///
    /// # Errors
    /// It is no key, or was used with another body.
    pub fn made_by(
        &self,
        namespace: &Namespace,
        key: &IdempotencyKey,
    ) -> Result<Option<JobId>, SubmitError> {
        let IdempotencyKey { key, body } = key;
        let printable = key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if key.is_empty() || key.len() > KEY_BYTES_MAX || !printable {
            return Err(SubmitError::BadKey);
        }
        let Some(id) = self.by_key.get(&(namespace.clone(), key.clone())) else {
            return Ok(None);
        };
        let made = self.jobs.get(id);
        let made = made.and_then(|job| job.record.idempotency.as_ref());
        if made.is_some_and(|made| made.body == *body) {
            Ok(Some(id.clone()))
        } else {
            Err(SubmitError::KeyReused {
                key: key.clone(),
                job: id.clone(),
            })
        }
    }

    /// Whether the cluster could ever run such a job, and keep it.
    fn check(&self, spec: &JobSpec) -> Result<(), SubmitError> {
        let namespace = &spec.namespace;
        let module = self.modules.get(&(namespace.clone(), spec.module));
        let module = module.ok_or_else(|| SubmitError::UnknownModule {
            module: spec.module,
            namespace: namespace.clone(),
        })?;
        let kit = module.kit.as_ref().filter(|_| spec.kit.is_none());
        if let Some(kit) = kit.filter(|kit| !kit.spec.entry.is_command()) {
            return Err(SubmitError::Invalid(InvalidSpec {
                field: "module".to_owned(),
                why: format!(
                    "it runs scripts only; submit a `script` with `kit` = `{}`",
                    kit.name
                ),
            }));
        }
        if spec.memory < module.memory_min {
            return Err(SubmitError::Invalid(InvalidSpec {
                field: "memory".to_owned(),
                why: format!(
                    "{} is less than the {} that the module starts with; ask for more",
                    spec.memory, module.memory_min
                ),
            }));
        }
        if let Some(parent) = spec.after.iter().find(|id| !self.jobs.contains_key(id)) {
            return Err(SubmitError::UnknownParent(parent.clone()));
        }
        let need = most_of(spec);
        if let Some((node, has)) = self.largest_for(spec, &need)
            && !need.fits_in(&has)
        {
            let node = node.clone();
            return Err(SubmitError::NeverFits { need, node, has });
        }
        let quota = self.decided(namespace).quota;
        if slots_left(&quota, &Used::default(), &need) == 0 {
            let namespace = namespace.clone();
            return Err(SubmitError::QuotaTooSmall {
                namespace,
                need,
                quota,
            });
        }
        if self.namespaces.len() >= NAMESPACES_MAX && !self.namespaces.contains_key(namespace) {
            let (what, most) = ("namespaces", NAMESPACES_MAX);
            return Err(SubmitError::TooMany { what, most });
        }
        Ok(())
    }

    /// The node that comes nearest to holding such a slot when it is empty, and
    /// what it has; lost ones count, for they may come back. None when no node has
    /// the labels: one may join.
    fn largest_for(&self, spec: &JobSpec, need: &Resources) -> Option<(&NodeId, Resources)> {
        let allows = |node: &&Node| {
            let mut constraints = spec.constraints.iter();
            constraints.all(|constraint| constraint.allows(&node.record.labels))
        };
        let all = self.nodes.iter().filter(|(_, node)| allows(node));
        let all = all.map(|(id, node)| (id, node.record.capacity));
        all.max_by_key(|(_, has)| nearness(need, has))
    }

    /// The number of the namespace's next job, now taken.
    fn number(&mut self, namespace: &Namespace) -> u64 {
        let record = self.namespaces.entry(namespace.clone());
        let record = record.or_insert(NamespaceRecord::FIRST);
        let number = record.next_job;
        record.next_job += 1;
        number
    }
}

/// The most that a slot of the job may ever take.
fn most_of(spec: &JobSpec) -> Resources {
    let rules = spec.retry.iter().filter_map(|rule| rule.up_to);
    let need = spec.resources();
    Resources {
        memory: rules.fold(need.memory, Ord::max),
        ..need
    }
}

/// Bytes of what people wrote into a spec; about what it takes beyond a few hundred.
pub(crate) fn text_bytes(spec: &JobSpec) -> usize {
    let args = spec.args.iter().map(String::len);
    let env = spec.env.iter();
    let env = env.map(|(name, value)| name.len() + value.len());
    let inputs = spec.inputs.iter().map(|input| input.url.len());
    let only = spec.only.iter().map(|only| 14 * only.runs().len());
    args.chain(env).chain(inputs).chain(only).sum()
}

/// How near `room` comes to `need`: first in how many resources it suffices, then how large it is.
pub(crate) fn nearness(need: &Resources, room: &Resources) -> (usize, u64, u32, u64) {
    let suffices = [
        need.cpu <= room.cpu,
        need.memory <= room.memory,
        need.scratch <= room.scratch,
    ];
    let suffices = suffices.into_iter().filter(|suffices| *suffices).count();
    (suffices, room.memory.0, room.cpu.0, room.scratch.0)
}
