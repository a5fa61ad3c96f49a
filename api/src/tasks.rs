//! Runs and sets of task indices, written as people write them: `0-3,7`.

use std::fmt;
use std::str::FromStr;

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

/// A set of task indices as ascending runs that do not touch. Text form: `0-3,7`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskList(Vec<TaskRange>);

/// The text is not a list of tasks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a list of tasks; write ascending indices and runs of them, for example `0-3,7`"
)]
pub struct ParseTasksError(String);

impl TaskList {
    /// The list of these tasks, which ascend.
    pub fn of(tasks: impl IntoIterator<Item = TaskIndex>) -> Self {
        Self(runs(tasks))
    }

    /// Its runs, ascending.
    pub fn runs(&self) -> &[TaskRange] {
        &self.0
    }

    /// Whether no task is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many tasks are in it.
    pub fn count(&self) -> u32 {
        let counts = self.0.iter().map(|run| run.count);
        counts.fold(0, u32::saturating_add)
    }

    /// Whether `task` is in it.
    pub fn contains(&self, task: TaskIndex) -> bool {
        self.next_from(task) == Some(task)
    }

    /// Its first task that is `task` or later.
    pub fn next_from(&self, task: TaskIndex) -> Option<TaskIndex> {
        let after = self.0.partition_point(|run| run.end() <= task);
        self.0.get(after).map(|run| run.first.max(task))
    }

    /// Its last task.
    pub fn last(&self) -> Option<TaskIndex> {
        self.0.last().map(|run| run.end() - 1)
    }

    /// Its tasks from `first` up to and without `end`, as runs.
    pub fn within(&self, first: TaskIndex, end: TaskIndex) -> impl Iterator<Item = TaskRange> {
        let start = self.0.partition_point(|run| run.end() <= first);
        let runs = self.0[start..]
            .iter()
            .take_while(move |run| run.first < end);
        runs.map(move |run| {
            let first = run.first.max(first);
            let count = run.end().min(end) - first;
            TaskRange { first, count }
        })
    }
}

impl fmt::Display for TaskList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, run) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{run}")?;
        }
        Ok(())
    }
}

impl FromStr for TaskList {
    type Err = ParseTasksError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseTasksError(text.chars().take(40).collect());
        let mut list: Vec<TaskRange> = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let index = |text: &str| -> Result<TaskIndex, ParseTasksError> {
                let plain = text.bytes().all(|byte| byte.is_ascii_digit());
                text.parse().ok().filter(|_| plain).ok_or_else(wrong)
            };
            let (first, last) = (index(first)?, index(last)?);
            // The end of a run is an index too.
            if first > last || last == TaskIndex::MAX {
                return Err(wrong());
            }
            let count = last - first + 1;
            match list.last_mut() {
                Some(before) if before.end() > first => return Err(wrong()),
                Some(before) if before.end() == first => before.count += count,
                _ => list.push(TaskRange { first, count }),
            }
        }
        Ok(Self(list))
    }
}

impl Serialize for TaskList {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TaskList {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for TaskList {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TaskList".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "examples": ["0-3,7"] })
    }
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

    #[test]
    fn a_list_is_read_as_it_is_written_and_looked_into() {
        let list: TaskList = "0-3,4,7,9-12".parse().unwrap();
        assert_eq!(list.to_string(), "0-4,7,9-12");
        assert_eq!((list.count(), list.last()), (10, Some(12)));
        assert!(list.contains(4) && list.contains(7) && !list.contains(8));
        assert_eq!((list.next_from(5), list.next_from(13)), (Some(7), None));
        let within: Vec<String> = list.within(3, 10).map(|run| run.to_string()).collect();
        assert_eq!(within.join(","), "3-4,7,9");
        assert_eq!(TaskList::of([1, 2, 5]).to_string(), "1-2,5");
    }

    #[test]
    fn what_is_not_a_list_of_tasks_is_refused() {
        for text in [
            "",
            "a",
            "3-1",
            "1,1",
            "5,2",
            "-1",
            "1-",
            "0-4294967295",
            "+1",
            "1, 2",
        ] {
            assert!(text.parse::<TaskList>().is_err(), "{text}");
        }
    }
}
