//! Modules that nobody needs any more are forgotten, and what the shell keeps on disk for
//! them goes: those that are no kit, that no job names that is kept, and that nobody has
//! pushed, asked for or named for as long as jobs are kept that are over.
//!
//! The shell's half of it: a file is removed only when it is not among the [`Roots`], and when nothing
//! has touched it since long before they were asked for. Whoever is about to name a
//! file touches it first, so that one that is pushed or named meanwhile stays.

use std::collections::{BTreeMap, BTreeSet};

use stint_api::id::{Digest, Namespace};
use stint_api::time::{Span, Time};
use stint_api::view::ModuleView;

use crate::cluster::Cluster;
use crate::draft::Draft;
use crate::job::Job;

/// A module is kept for this long after it was last asked for, whatever is decided: somebody
/// pushed it, and is about to submit.
const GRACE: Span = Span::from_secs(3_600);
/// Modules looked at in one verb: milliseconds of the heart.
const LOOKED_AT_MAX: usize = 1_024;

/// A module of a namespace.
pub(crate) type ModuleKey = (Namespace, Digest);

/// When modules were last of use; derived from jobs, and counted from the start of the
/// scheduler for what came before.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    /// Jobs that are kept, by their module.
    jobs: BTreeMap<ModuleKey, u32>,
    seen: BTreeMap<ModuleKey, Time>,
    by_time: BTreeSet<(Time, ModuleKey)>,
}

/// What files on disk somebody needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    /// Modules.
    pub modules: BTreeSet<Digest>,
    /// Scripts and what lies beside them, lists of what is split, and lists of files.
    pub files: BTreeSet<Digest>,
    /// Of those, the lists: what they list is needed, too.
    pub lists: BTreeSet<Digest>,
}

impl Uses {
    /// The module is of use now.
    pub(crate) fn saw(&mut self, key: ModuleKey, now: Time) {
        let before = self.seen.insert(key.clone(), now);
        if let Some(before) = before.filter(|before| *before != now) {
            self.by_time.remove(&(before, key.clone()));
        }
        self.by_time.insert((now, key));
    }

    /// A job that is kept names its module.
    pub(crate) fn job_came(&mut self, job: &Job) {
        let key = module_of(job);
        let seen = self.seen.get(&key).copied();
        let now = seen.unwrap_or_default().max(job.record.submitted_at);
        *self.jobs.entry(key.clone()).or_default() += 1;
        self.saw(key, now);
    }

    /// One is forgotten.
    pub(crate) fn job_went(&mut self, job: &Job) {
        let key = module_of(job);
        if let Some(count) = self.jobs.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.jobs.remove(&key);
            }
        }
    }

    /// The module that was of no use for longest, as far as is known.
    fn first(&self) -> Option<&(Time, ModuleKey)> {
        self.by_time.first()
    }

    fn forget(&mut self, key: &ModuleKey) {
        if let Some(at) = self.seen.remove(key) {
            self.by_time.remove(&(at, key.clone()));
        }
    }
}

fn module_of(job: &Job) -> ModuleKey {
    let spec = &job.record.spec;
    (spec.namespace.clone(), spec.module)
}

impl Cluster {
    /// What is known about a module that somebody asks for, who may be about to name it.
    pub fn module_wanted(
        &mut self,
        now: Time,
        namespace: &Namespace,
        digest: &Digest,
    ) -> Option<&ModuleView> {
        let key = (namespace.clone(), *digest);
        let module = self.modules.get(&key)?;
        self.uses.saw(key, now);
        Some(module)
    }

    /// What of the files on disk is needed by a module or a job that is kept.
    pub fn roots(&self) -> Roots {
        let mut roots = Roots::default();
        let mut list = |digest: Digest| {
            roots.files.insert(digest);
            roots.lists.insert(digest);
        };
        for module in self.modules.values() {
            if let Some(kit) = &module.kit {
                kit.spec.files.into_iter().for_each(&mut list);
            }
        }
        let kits = self.jobs.values().filter_map(|job| job.record.kit.as_ref());
        for kit in kits {
            kit.spec.files.into_iter().for_each(&mut list);
        }
        let jobs = self.jobs.values();
        let named = jobs.flat_map(|job| job.record.spec.files());
        roots.files.extend(named);
        let modules = self.modules.keys().map(|(_, digest)| *digest);
        roots.modules = modules.collect();
        // The module of a kit was put as a file.
        let kits = self.modules.values().filter(|module| module.kit.is_some());
        roots.files.extend(kits.map(|module| module.digest));
        roots
    }

    /// Forgets modules whose time has come.
    pub(crate) fn prune_modules(&mut self, draft: &mut Draft) {
        let age = self.module_age();
        for _ in 0..LOOKED_AT_MAX {
            let Some((at, key)) = self.uses.first().cloned() else {
                return;
            };
            if at + age > draft.now {
                return;
            }
            if self.is_needed(&key) {
                self.uses.saw(key, draft.now);
            } else {
                self.uses.forget(&key);
                self.modules.remove(&key);
                draft.modules.insert(key);
            }
        }
    }

    /// Whether a job names the module, or it is a kit.
    fn is_needed(&self, key: &ModuleKey) -> bool {
        let module = self.modules.get(key);
        let kit = module.and_then(|module| module.kit.as_ref());
        let is_kit = kit.is_some_and(|kit| {
            let name = (key.0.clone(), kit.name.clone());
            self.kits.get(&name) == Some(&key.1)
        });
        is_kit || self.uses.jobs.contains_key(key)
    }

    fn module_age(&self) -> Span {
        self.config.keep.age.max(GRACE)
    }

    /// When the next module is to be looked at.
    pub(crate) fn next_module_prune(&self) -> Option<Time> {
        let (at, _) = self.uses.first()?;
        Some((*at + self.module_age()).max(self.prune_at))
    }
}
