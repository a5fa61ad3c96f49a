//! Somebody adds a kit, or a job names one. A kit is a module with a name and more
//! beside it, and stands in the module's record; a job that runs a script keeps
//! the kit as it was when the job came, so that what is added later changes nothing
//! for it.

use stint_api::id::Namespace;
use stint_api::job::{InvalidSpec, JobSpec};
use stint_api::kit::{Kit, KitList};
use stint_api::time::Time;
use stint_api::view::ModuleView;

use crate::cluster::Cluster;
use crate::effects::Effects;
use crate::refusal::SubmitError;
use crate::submit::{MODULES_MAX, TooManyModules};

/// Most kits of a namespace: a few languages, in a few versions.
const KITS_MAX: usize = 64;

/// A kit is not added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KitError {
    /// A field of it has a value that cannot be.
    #[error(transparent)]
    Invalid(#[from] InvalidSpec),
    /// Its module is another kit's already.
    #[error("its module is that of kit `{name}` already; add it under that name")]
    Taken {
        /// That kit.
        name: String,
    },
    /// The namespace has as many as it can.
    #[error("the namespace has {KITS_MAX} kits already, one more is too many")]
    TooMany,
    /// The cluster keeps as many modules as it can.
    #[error(transparent)]
    TooManyModules(#[from] TooManyModules),
}

impl Cluster {
    /// Takes in `module` as the kit of that name. Its bytes, files and their list
    /// are safe, and it was scanned for the kit's entry. Added again as it was, it
    /// stays so; the answer is what the cluster knows.
    ///
    /// # Errors
    /// The kit is refused, and nothing changed.
    pub fn kit_added(
        &mut self,
        now: Time,
        module: ModuleView,
        kit: Kit,
    ) -> Result<(Kit, Effects), KitError> {
        kit.spec.validate()?;
        let namespace = module.namespace.clone();
        let key = (namespace.clone(), module.digest);
        let known = self.modules.get(&key);
        match known.and_then(|known| known.kit.as_deref()) {
            Some(known) if known.name != kit.name => {
                let name = known.name.clone();
                return Err(KitError::Taken { name });
            }
            // Unless the name went to another module meanwhile.
            Some(known)
                if known.spec == kit.spec && self.kit(&namespace, &kit.name) == Some(known) =>
            {
                return Ok((known.clone(), Effects::default()));
            }
            _ => {}
        }
        if known.is_none() && self.modules.len() >= MODULES_MAX {
            return Err(TooManyModules.into());
        }
        let name = (namespace.clone(), kit.name.clone());
        if !self.kits.contains_key(&name) && self.kits_of(&namespace).count() >= KITS_MAX {
            return Err(KitError::TooMany);
        }
        let pushed_at = known.map_or(now, |known| known.pushed_at);
        let kit = Kit {
            added_at: now,
            ..kit
        };
        let module = ModuleView {
            pushed_at,
            kit: Some(Box::new(kit.clone())),
            ..module
        };
        let mut draft = self.begin(now);
        self.kits.insert(name, module.digest);
        self.uses.saw(key.clone(), now);
        self.modules.insert(key.clone(), module);
        draft.modules.insert(key);
        Ok((kit, self.seal(draft)))
    }

    /// Every kit of a namespace, by name.
    pub fn kits(&self, namespace: &Namespace) -> KitList {
        KitList {
            namespace: namespace.clone(),
            kits: self.kits_of(namespace).cloned().collect(),
        }
    }

    /// What is known about a kit.
    pub fn kit(&self, namespace: &Namespace, name: &str) -> Option<&Kit> {
        let digest = self.kits.get(&(namespace.clone(), name.to_owned()))?;
        let module = self.modules.get(&(namespace.clone(), *digest))?;
        module.kit.as_deref()
    }

    fn kits_of(&self, namespace: &Namespace) -> impl Iterator<Item = &Kit> {
        let first = (namespace.clone(), String::new());
        let named = self.kits.range(first..);
        let named = named.take_while(move |((of, _), _)| of == namespace);
        named.filter_map(|((of, name), _)| self.kit(of, name))
    }

    /// Finds a module by the name of its kit again, when its record is read: the
    /// name is that of the module that got it last.
    pub(crate) fn find_kit(&mut self, module: &ModuleView) {
        let Some(kit) = &module.kit else {
            return;
        };
        let last = self.kit(&module.namespace, &kit.name);
        if last.is_none_or(|last| last.added_at <= kit.added_at) {
            let name = (module.namespace.clone(), kit.name.clone());
            self.kits.insert(name, module.digest);
        }
    }

    /// The kit that a job names, as it is now; the job then has the kit's module.
    pub(crate) fn resolve_kit(&self, spec: &mut JobSpec) -> Result<Option<Box<Kit>>, SubmitError> {
        let Some(name) = &spec.kit else {
            return Ok(None);
        };
        let kit = self.kit(&spec.namespace, name);
        let kit = kit.ok_or_else(|| SubmitError::UnknownKit {
            kit: name.clone(),
            namespace: spec.namespace.clone(),
        })?;
        spec.module = kit.spec.module;
        let mut kit = Box::new(kit.clone());
        // Of interest before a job is there, and a hundred lines in each job's record.
        kit.spec.available.clear();
        Ok(Some(kit))
    }
}
