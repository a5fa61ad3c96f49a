//! What a namespace may yet have: its quota beside what it has, what is reserved for it and
//! what victims of its own are about to give back; and who has more than a quota, borrowed.

use std::collections::BTreeMap;

use stint_api::id::{JobId, Namespace};
use stint_api::namespace::{Quota, Used};
use stint_api::quantity::Resources;

use crate::account::slots_left;
use crate::cluster::Cluster;

/// A quota, and what is had of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Balance {
    pub(crate) quota: Quota,
    pub(crate) used: Used,
}

/// Namespaces that have more than their quota, and borrowed it.
pub(crate) type Debts = BTreeMap<Namespace, Balance>;

/// What nodes are about to give to those for whom room is reserved, and to get back from
/// victims: counted once before those that wait are served, and kept up while room is reserved
/// for more of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pledges {
    reserved: BTreeMap<Namespace, Used>,
    leaving: BTreeMap<Namespace, Used>,
    /// How many reservations each job has.
    jobs: BTreeMap<JobId, usize>,
    count: usize,
}

impl Pledges {
    pub(crate) fn reserve(&mut self, job: &JobId, need: &Resources) {
        let namespace = job.namespace.clone();
        take(self.reserved.entry(namespace).or_default(), need);
        *self.jobs.entry(job.clone()).or_default() += 1;
        self.count += 1;
    }

    pub(crate) fn leave(&mut self, namespace: &Namespace, share: &Resources) {
        let leaving = self.leaving.entry(namespace.clone()).or_default();
        take(leaving, share);
    }

    /// Reservations of a job.
    pub(crate) fn slots_of(&self, job: &JobId) -> usize {
        self.jobs.get(job).copied().unwrap_or(0)
    }

    /// All reservations.
    pub(crate) fn count(&self) -> usize {
        self.count
    }
}

impl Balance {
    /// Whether one slot more is within the quota.
    pub(crate) fn allows(&self, need: &Resources) -> bool {
        slots_left(&self.quota, &self.used, need) > 0
    }

    /// Whether more is had than the quota.
    pub(crate) fn is_over(&self) -> bool {
        let Quota {
            cpu,
            memory,
            slots,
            jobs: _,
        } = self.quota;
        cpu.is_some_and(|most| self.used.cpu > most)
            || memory.is_some_and(|most| self.used.memory > most)
            || slots.is_some_and(|most| self.used.slots > most)
    }

    /// As if a slot were taken.
    pub(crate) fn take(&mut self, share: &Resources) {
        take(&mut self.used, share);
    }

    /// As if a slot were given back.
    pub(crate) fn give_back(&mut self, share: &Resources) {
        let slot = Used {
            cpu: share.cpu,
            memory: share.memory,
            slots: 1,
            jobs: 0,
        };
        self.used = less(self.used, &slot);
    }
}

fn take(used: &mut Used, share: &Resources) {
    used.cpu.0 = used.cpu.0.saturating_add(share.cpu.0);
    used.memory.0 = used.memory.0.saturating_add(share.memory.0);
    used.slots = used.slots.saturating_add(1);
}

fn more(mut used: Used, other: &Used) -> Used {
    used.cpu.0 = used.cpu.0.saturating_add(other.cpu.0);
    used.memory.0 = used.memory.0.saturating_add(other.memory.0);
    used.slots = used.slots.saturating_add(other.slots);
    used
}

fn less(mut used: Used, other: &Used) -> Used {
    used.cpu.0 = used.cpu.0.saturating_sub(other.cpu.0);
    used.memory.0 = used.memory.0.saturating_sub(other.memory.0);
    used.slots = used.slots.saturating_sub(other.slots);
    used
}

impl Cluster {
    /// The pledges as the nodes have them now.
    pub(crate) fn pledged(&self) -> Pledges {
        let mut pledges = Pledges::default();
        let ids = self.reserving.iter();
        for node in ids.filter_map(|id| self.nodes.get(id)) {
            for one in &node.reserved {
                pledges.reserve(&one.job, &one.shape.need());
            }
            for (id, share) in node.leaving() {
                pledges.leave(&id.job.namespace, share);
            }
        }
        pledges
    }

    /// What the namespace has, and the slots that are reserved for jobs of it.
    pub fn promised(&self, namespace: &Namespace) -> Used {
        let used = self.accounts.used(namespace);
        let reserved = self.pledges.reserved.get(namespace);
        reserved.map_or(used, |reserved| more(used, reserved))
    }

    /// What the namespace will have when reservations have come true and victims have gone.
    pub(crate) fn balance(&self, namespace: &Namespace) -> Balance {
        let promised = self.promised(namespace);
        let leaving = self.pledges.leaving.get(namespace);
        Balance {
            quota: self.decided(namespace).quota,
            used: leaving.map_or(promised, |leaving| less(promised, leaving)),
        }
    }

    /// Who has more than a quota, and borrowed it.
    pub(crate) fn debts(&self) -> Debts {
        let borrowers = self.accounts.borrowers();
        let debts = borrowers.map(|namespace| (namespace.clone(), self.balance(namespace)));
        debts.filter(|(_, balance)| balance.is_over()).collect()
    }

    /// What a namespace owes changed.
    pub(crate) fn owes_anew(&self, debts: &mut Debts, namespace: &Namespace) {
        let balance = self.balance(namespace);
        if self.decided(namespace).borrow && balance.is_over() {
            debts.insert(namespace.clone(), balance);
        } else {
            debts.remove(namespace);
        }
    }
}
