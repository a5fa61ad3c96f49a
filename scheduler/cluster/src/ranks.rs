//! On which nodes slots are held, by the priority of their jobs and by whose they are; derived
//! from the nodes' grants.

use std::collections::{BTreeMap, BTreeSet};

use stint_api::id::{Namespace, NodeId};

/// Nodes, and how many slots each has.
type Slots = BTreeMap<NodeId, u32>;

/// See the file.
#[derive(Debug, Default)]
pub(crate) struct Ranks {
    by_priority: BTreeMap<i32, Slots>,
    by_namespace: BTreeMap<Namespace, Slots>,
}

impl Ranks {
    pub(crate) fn add(&mut self, namespace: &Namespace, priority: i32, node: &NodeId) {
        let add = |slots: &mut Slots| *slots.entry(node.clone()).or_default() += 1;
        add(self.by_priority.entry(priority).or_default());
        add(self.by_namespace.entry(namespace.clone()).or_default());
    }

    pub(crate) fn remove(&mut self, namespace: &Namespace, priority: i32, node: &NodeId) {
        remove(&mut self.by_priority, &priority, node);
        remove(&mut self.by_namespace, namespace, node);
    }

    pub(crate) fn lowest(&self) -> Option<i32> {
        self.by_priority.keys().next().copied()
    }

    /// The nodes with a slot of less than that priority, the lowest first.
    pub(crate) fn below(&self, priority: i32) -> impl Iterator<Item = &NodeId> {
        let mut seen = BTreeSet::new();
        let all = self.by_priority.range(..priority);
        let all = all.flat_map(|(_, nodes)| nodes.keys());
        all.filter(move |node| seen.insert(*node))
    }

    /// The nodes with a slot of that namespace, by name.
    pub(crate) fn of(&self, namespace: &Namespace) -> impl Iterator<Item = &NodeId> {
        let nodes = self.by_namespace.get(namespace);
        nodes.into_iter().flat_map(BTreeMap::keys)
    }
}

fn remove<K: Ord>(all: &mut BTreeMap<K, Slots>, key: &K, node: &NodeId) {
    let Some(nodes) = all.get_mut(key) else {
        return;
    };
    if let Some(count) = nodes.get_mut(node) {
        *count -= 1;
        if *count == 0 {
            nodes.remove(node);
        }
    }
    if nodes.is_empty() {
        all.remove(key);
    }
}
