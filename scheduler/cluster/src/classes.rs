//! Nodes by their labels: those that have the same are of one class, and a job thinks the same
//! of all of them.

use std::collections::BTreeMap;

use stint_api::id::NodeId;

use crate::placement::Labels;

/// Sets of labels; with more, each node has some of its own, and classes help nobody.
const CLASSES_MAX: usize = 64;

/// Nodes with the same labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Class(usize);

/// The class of each node.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    of: BTreeMap<NodeId, Class>,
    numbers: BTreeMap<Labels, Class>,
    labels: Vec<Labels>,
}

impl Classes {
    /// A node has these labels; false when classes were numbered anew for it.
    pub(crate) fn sort(&mut self, id: &NodeId, labels: &Labels) -> bool {
        let class = self.number(labels);
        self.of.insert(id.clone(), class);
        // Labels that no node has any more are still counted.
        if self.labels.len() > 2 * CLASSES_MAX && self.labels.len() > 2 * self.used() {
            self.renumber();
            return false;
        }
        true
    }

    /// A node is gone.
    pub(crate) fn forget(&mut self, id: &NodeId) {
        self.of.remove(id);
    }

    /// The class of a node that was sorted.
    pub(crate) fn of(&self, id: &NodeId) -> Option<Class> {
        self.of.get(id).copied()
    }

    /// What the nodes of a class have.
    pub(crate) fn labels(&self, class: Class) -> Option<&Labels> {
        self.labels.get(class.0)
    }

    /// Whether there are so many that classes help nobody.
    pub(crate) fn are_too_many(&self) -> bool {
        self.labels.len() > CLASSES_MAX && self.used() > CLASSES_MAX
    }

    fn used(&self) -> usize {
        let used: std::collections::BTreeSet<Class> = self.of.values().copied().collect();
        used.len()
    }

    fn number(&mut self, labels: &Labels) -> Class {
        if let Some(class) = self.numbers.get(labels) {
            return *class;
        }
        let class = Class(self.labels.len());
        self.numbers.insert(labels.clone(), class);
        self.labels.push(labels.clone());
        class
    }

    fn renumber(&mut self) {
        let before = std::mem::take(self);
        for (id, class) in before.of {
            if let Some(labels) = before.labels.get(class.0) {
                let class = self.number(labels);
                self.of.insert(id, class);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(value: usize) -> Labels {
        [("zone".to_owned(), value.to_string())].into()
    }

    #[test]
    fn nodes_of_the_same_labels_are_of_one_class_and_too_many_labels_are_told() {
        let mut classes = Classes::default();
        let id = |number: usize| format!("node-{number}").parse::<NodeId>().unwrap();
        for number in 0..1_000 {
            assert!(classes.sort(&id(number), &labels(number % 3)));
        }
        assert_eq!(classes.of(&id(0)), classes.of(&id(3)));
        assert_ne!(classes.of(&id(0)), classes.of(&id(1)));
        assert!(!classes.are_too_many());
        // One node changes its labels all the time: only the last count.
        let renumbered = (0..1_000).filter(|number| !classes.sort(&id(0), &labels(*number)));
        assert!(renumbered.count() > 2);
        let class = classes.of(&id(0)).unwrap();
        assert_eq!(classes.labels(class), Some(&labels(999)));
        assert!(!classes.are_too_many() && classes.labels.len() <= 2 * CLASSES_MAX);
        for number in 0..100 {
            classes.sort(&id(number), &labels(number));
        }
        assert!(classes.are_too_many());
        for number in 0..100 {
            classes.forget(&id(number));
        }
        assert!(!classes.are_too_many());
        // Labels that are used once and never again, while there are too many.
        for number in 100..10_000 {
            classes.forget(&id(number - 100));
            classes.sort(&id(number), &labels(number));
        }
        assert!(classes.labels.len() <= 4 * CLASSES_MAX + 2 * 100);
    }
}
