//! What a namespace may yet have: its quota beside what it has, what is reserved for it and
//! what victims of its own are about to give back; and who has more than a quota, borrowed.

use std::collections::BTreeMap;

use stint_api::id::{GrantId, Namespace};
use stint_api::namespace::{Quota, Used};
use stint_api::quantity::Resources;

use crate::account::slots_left;
use crate::cluster::Cluster;
use crate::node::Node;

/// A quota, and what is had of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Balance {
    pub(crate) quota: Quota,
    pub(crate) used: Used,
}

/// Namespaces that have more than their quota, and borrowed it.
pub(crate) type Debts = BTreeMap<Namespace, Balance>;

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
        self.used.cpu.0 = self.used.cpu.0.saturating_add(share.cpu.0);
        self.used.memory.0 = self.used.memory.0.saturating_add(share.memory.0);
        self.used.slots += 1;
    }

    /// As if a slot were given back.
    pub(crate) fn give_back(&mut self, share: &Resources) {
        self.used.cpu.0 = self.used.cpu.0.saturating_sub(share.cpu.0);
        self.used.memory.0 = self.used.memory.0.saturating_sub(share.memory.0);
        self.used.slots = self.used.slots.saturating_sub(1);
    }
}

impl Cluster {
    pub(crate) fn reserving_nodes(&self) -> impl Iterator<Item = &Node> {
        let ids = self.reserving.iter();
        ids.filter_map(|id| self.nodes.get(id))
    }

    /// What is `used`, and the slots that are reserved for jobs of the namespace.
    pub(crate) fn promised(&self, namespace: &Namespace, used: Used) -> Used {
        let quota = Quota::default();
        let mut balance = Balance { quota, used };
        let reserved = self.reserving_nodes().flat_map(|node| &node.reserved);
        for one in reserved.filter(|one| one.job.namespace == *namespace) {
            balance.take(&one.shape.need());
        }
        balance.used
    }

    /// What the namespace will have when reservations have come true and victims have gone.
    pub(crate) fn balance(&self, namespace: &Namespace) -> Balance {
        let used = self.promised(namespace, self.accounts.used(namespace));
        let quota = self.decided(namespace).quota;
        let mut balance = Balance { quota, used };
        for node in self.reserving_nodes() {
            let leaves = |id: &GrantId| node.preempted.contains_key(id);
            let leaving = node.slots().filter(|(id, _)| leaves(id));
            for (_, share) in leaving.filter(|(id, _)| id.job.namespace == *namespace) {
                balance.give_back(share);
            }
        }
        balance
    }

    /// Who has more than a quota, and borrowed it.
    pub(crate) fn debts(&self) -> Debts {
        let borrowers = self.accounts.borrowers();
        let debts = borrowers.map(|namespace| (namespace.clone(), self.balance(namespace)));
        debts.filter(|(_, balance)| balance.is_over()).collect()
    }
}
