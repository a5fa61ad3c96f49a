//! What each namespace has, what it may have, and whose turn it is: the
//! namespace with the least share goes first, so that a thousand jobs of one
//! hold no place of another's.

use std::collections::{BTreeMap, BTreeSet};

use stint_api::id::{JobId, Namespace};
use stint_api::job::InvalidSpec;
use stint_api::namespace::{NamespaceList, NamespaceSpec, NamespaceView, Quota, Used};
use stint_api::quantity::Resources;
use stint_api::time::Time;

use crate::cluster::Cluster;
use crate::draft::Draft;
use crate::effects::Effects;
use crate::placement::whole;
use crate::record::NamespaceRecord;

/// Most namespaces: each job names one, so a slip of the pen must not make them without end.
pub(crate) const NAMESPACES_MAX: usize = 10_000;
/// Of a cluster, in [`Cluster::share`]; so fine that no slot is lost in it.
const WHOLE: u128 = 1_000_000_000_000;

/// What a namespace has now; derived from its jobs and their grants.
#[derive(Debug, Default)]
pub(crate) struct Account {
    taken: Resources,
    slots: u32,
    /// Those slots by the priority of their jobs.
    ranks: BTreeMap<i32, u32>,
    /// Numbers of its jobs that are not over.
    open: BTreeSet<u64>,
}

/// The accounts of those namespaces that have jobs.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    by_name: BTreeMap<Namespace, Account>,
    /// Namespaces that may borrow.
    borrowers: BTreeSet<Namespace>,
}

impl Accounts {
    /// It was decided about a namespace.
    pub(crate) fn decided(&mut self, namespace: &Namespace, spec: &NamespaceSpec) {
        if spec.borrow {
            self.borrowers.insert(namespace.clone());
        } else {
            self.borrowers.remove(namespace);
        }
    }

    /// Namespaces that may borrow, by name.
    pub(crate) fn borrowers(&self) -> impl Iterator<Item = &Namespace> {
        self.borrowers.iter()
    }

    pub(crate) fn opened(&mut self, job: &JobId) {
        let account = self.by_name.entry(job.namespace.clone()).or_default();
        account.open.insert(job.number);
    }

    pub(crate) fn closed(&mut self, job: &JobId) {
        if let Some(account) = self.by_name.get_mut(&job.namespace) {
            account.open.remove(&job.number);
        }
    }

    pub(crate) fn take(&mut self, namespace: &Namespace, share: Resources, priority: i32) {
        let account = self.by_name.entry(namespace.clone()).or_default();
        account.taken = account.taken + share;
        account.slots += 1;
        *account.ranks.entry(priority).or_default() += 1;
    }

    pub(crate) fn give_back(&mut self, namespace: &Namespace, share: Resources, priority: i32) {
        let Some(account) = self.by_name.get_mut(namespace) else {
            return;
        };
        account.taken = account.taken - share;
        account.slots -= 1;
        if let Some(count) = account.ranks.get_mut(&priority) {
            *count -= 1;
            if *count == 0 {
                account.ranks.remove(&priority);
            }
        }
    }

    /// The lowest priority of its jobs that have slots.
    pub(crate) fn lowest(&self, namespace: &Namespace) -> Option<i32> {
        let ranks = &self.by_name.get(namespace)?.ranks;
        ranks.keys().next().copied()
    }

    pub(crate) fn used(&self, namespace: &Namespace) -> Used {
        let account = self.by_name.get(namespace);
        account.map_or_else(Used::default, |account| Used {
            cpu: account.taken.cpu,
            memory: account.taken.memory,
            slots: account.slots,
            jobs: u32::try_from(account.open.len()).unwrap_or(u32::MAX),
        })
    }

    fn taken(&self, namespace: &Namespace) -> Resources {
        let account = self.by_name.get(namespace);
        account.map_or_else(Resources::default, |account| account.taken)
    }
}

/// A decision about a namespace is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NamespaceError {
    /// A field has a value that cannot be.
    #[error(transparent)]
    Invalid(#[from] InvalidSpec),
    /// There are as many as a cluster can have.
    #[error("this cluster has {NAMESPACES_MAX} namespaces already, one more is too many")]
    TooMany,
}

/// How many slots of that need the quota leaves room for.
pub(crate) fn slots_left(quota: &Quota, used: &Used, need: &Resources) -> u64 {
    let left = |most: Option<u64>, used: u64, need: u64| {
        most.map_or(u64::MAX, |most| {
            let left = most.saturating_sub(used);
            left.checked_div(need).unwrap_or(u64::MAX)
        })
    };
    let cpu = quota.cpu.map(|most| u64::from(most.0));
    left(cpu, u64::from(used.cpu.0), u64::from(need.cpu.0))
        .min(left(
            quota.memory.map(|most| most.0),
            used.memory.0,
            need.memory.0,
        ))
        .min(left(quota.slots.map(u64::from), u64::from(used.slots), 1))
}

impl Cluster {
    /// Decides about a namespace, in place of what was decided before. What runs
    /// goes on, also beyond a smaller quota.
    ///
    /// # Errors
    /// The decision cannot be, and nothing changed.
    pub fn set_namespace(
        &mut self,
        now: Time,
        namespace: &Namespace,
        spec: NamespaceSpec,
    ) -> Result<(NamespaceView, Effects), NamespaceError> {
        spec.validate()?;
        let is_known = self.namespaces.contains_key(namespace);
        if !is_known && self.namespaces.len() >= NAMESPACES_MAX {
            return Err(NamespaceError::TooMany);
        }
        let mut draft: Draft = self.begin(now);
        self.accounts.decided(namespace, &spec);
        let record = self.namespaces.entry(namespace.clone());
        record.or_insert(NamespaceRecord::FIRST).spec = spec;
        draft.namespaces.insert(namespace.clone());
        draft.place = true;
        let effects = self.seal(draft);
        Ok((self.namespace(namespace), effects))
    }

    /// Every namespace that has had jobs, or about which something was decided.
    pub fn namespaces(&self) -> NamespaceList {
        let names = self.namespaces.keys();
        NamespaceList {
            namespaces: names.map(|name| self.namespace(name)).collect(),
        }
    }

    /// One namespace; one that nobody has used is as it would be.
    pub fn namespace(&self, namespace: &Namespace) -> NamespaceView {
        let whole = whole(&self.nodes);
        // Twelve digits are exact in a double.
        let share = self.share(namespace, &whole) as f64 / WHOLE as f64;
        NamespaceView {
            namespace: namespace.clone(),
            spec: self.decided(namespace),
            used: self.accounts.used(namespace),
            share,
        }
    }

    /// What was decided about a namespace.
    pub(crate) fn decided(&self, namespace: &Namespace) -> NamespaceSpec {
        let record = self.namespaces.get(namespace);
        record.map_or_else(NamespaceSpec::default, |record| record.spec)
    }

    /// The dominant share of a namespace, of the `whole`, by its weight; the least goes first.
    pub(crate) fn share(&self, namespace: &Namespace, whole: &Resources) -> u128 {
        let taken = self.accounts.taken(namespace);
        let part = |taken: u64, all: u64| u128::from(taken) * WHOLE / u128::from(all.max(1));
        let dominant = part(taken.cpu.0.into(), whole.cpu.0.into())
            .max(part(taken.memory.0, whole.memory.0))
            .max(part(taken.scratch.0, whole.scratch.0));
        dominant / u128::from(self.decided(namespace).weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stint_api::quantity::{Bytes, Millicores};

    #[test]
    fn the_scarcest_part_of_a_quota_decides() {
        let need = Resources {
            cpu: Millicores(500),
            memory: Bytes::mebi(64),
            scratch: Bytes(0),
        };
        let mut quota = Quota::default();
        let mut used = Used::default();
        assert_eq!(slots_left(&quota, &used, &need), u64::MAX);
        quota.cpu = Some(Millicores(2_100));
        assert_eq!(slots_left(&quota, &used, &need), 4);
        quota.memory = Some(Bytes::mebi(128));
        assert_eq!(slots_left(&quota, &used, &need), 2);
        quota.slots = Some(3);
        (used.slots, used.memory) = (2, Bytes::mebi(10));
        assert_eq!(slots_left(&quota, &used, &need), 1);
        used.memory = Bytes::mebi(500);
        assert_eq!(slots_left(&quota, &used, &need), 0);
    }
}
