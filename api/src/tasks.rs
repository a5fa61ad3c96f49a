//! Runs and sets of task indices, written as people write them: `0-3,7`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::TaskIndex;

/// Consecutive task indices: `first`, and `count` of them.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
pub struct TaskRange {
    /// The first index of the run.
    pub first: TaskIndex,
    /// How many indices it has.
    pub count: u32,
}

impl TaskRange {
    /// The run of one task.
    pub const fn one(task: TaskIndex) -> Self {
        Self {
            first: task,
            count: 1,
        }
    }

    /// Every index of the run.
    pub fn iter(self) -> impl Iterator<Item = TaskIndex> {
        self.first..self.end()
    }

    /// The index after the last.
    pub const fn end(self) -> TaskIndex {
        self.first.saturating_add(self.count)
    }

    /// Whether `task` is in the run.
    pub const fn contains(self, task: TaskIndex) -> bool {
        task >= self.first && task < self.end()
    }
}

impl fmt::Display for TaskRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            0 => Ok(()),
            1 => write!(f, "{}", self.first),
            _ => write!(f, "{}-{}", self.first, self.end() - 1),
        }
    }
}

/// Gathers ascending task indices into the fewest runs.
pub fn runs(tasks: impl IntoIterator<Item = TaskIndex>) -> Vec<TaskRange> {
    let mut runs: Vec<TaskRange> = Vec::new();
    for task in tasks {
        match runs.last_mut() {
            Some(run) if run.end() == task => run.count += 1,
            _ => runs.push(TaskRange::one(task)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_gather_into_runs() {
        let text: Vec<String> = runs([0, 1, 2, 7, 9, 10])
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(text.join(","), "0-2,7,9-10");
        assert_eq!(runs([]), []);
    }
}
