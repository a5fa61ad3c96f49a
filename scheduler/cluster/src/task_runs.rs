//! The states of a job's tasks for people: consecutive tasks in the same state are one run.

use std::collections::BTreeMap;

use stint_api::id::{NodeId, TaskIndex};
use stint_api::tasks::TaskRange;
use stint_api::view::{TaskRun, TaskState};

use crate::chunk::Chunk;
use crate::job::Job;

/// Where a task is, and the node that holds it.
type Place<'a> = (TaskState, Option<&'a NodeId>);

/// Some of a job's tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskPage {
    /// Consecutive tasks in the same state, ascending.
    pub runs: Vec<TaskRun>,
    /// Where the next page begins; none on the last.
    pub next: Option<TaskIndex>,
}

/// Runs as they are gathered, as many as were asked for and one more.
struct Runs<'a> {
    from: TaskIndex,
    limit: usize,
    runs: Vec<(TaskRange, Place<'a>)>,
}

/// At most `limit` runs of the tasks that the job runs, from the task `from` on, ascending.
pub(crate) fn task_runs(job: &Job, from: TaskIndex, limit: usize) -> TaskPage {
    let mut runs = Runs {
        from,
        limit,
        runs: Vec::new(),
    };
    let (spec, size) = (&job.record.spec, job.record.chunk_tasks);
    let unfinished = match job.is_open() {
        true => TaskState::Pending,
        // The end of the job left it undone.
        false => TaskState::Failed,
    };
    let last = job.chunks().keys().next_back();
    let touched = last.map_or(0, |last| spec.tasks.min((last + 1).saturating_mul(size)));
    for (index, chunk) in job.chunks().range(from / size..) {
        let first = index * size;
        let tasks = TaskRange {
            first,
            count: size.min(spec.tasks - first),
        };
        runs.add_chunk(tasks, chunk, unfinished);
        if runs.is_full() {
            return runs.page();
        }
    }
    let (untouched, all) = (touched.max(from), spec.tasks);
    let rest = match &spec.only {
        None => Vec::from_iter((untouched < all).then(|| TaskRange {
            first: untouched,
            count: all - untouched,
        })),
        Some(only) => only
            .within(untouched, all)
            .take(limit.saturating_add(1))
            .collect(),
    };
    for tasks in rest {
        runs.add(tasks, (unfinished, None));
    }
    runs.page()
}

impl<'a> Runs<'a> {
    fn add_chunk(&mut self, tasks: TaskRange, chunk: &'a Chunk, unfinished: TaskState) {
        // Most chunks of a large job are through.
        if chunk.counts().succeeded == tasks.count {
            return self.add(tasks, (TaskState::Succeeded, None));
        }
        let held = holders(chunk);
        for task in tasks.iter().filter(|task| chunk.runs(*task)) {
            let place = if chunk.succeeded(task) {
                (TaskState::Succeeded, None)
            } else if chunk.failed(task) {
                (TaskState::Failed, None)
            } else {
                held.get(&task).copied().unwrap_or((unfinished, None))
            };
            self.add(TaskRange::one(task), place);
        }
    }

    /// Appends what of those tasks was asked for, to the last run where they continue it.
    fn add(&mut self, tasks: TaskRange, place: Place<'a>) {
        let first = tasks.first.max(self.from);
        let count = tasks.end().saturating_sub(first);
        match self.runs.last_mut() {
            _ if count == 0 => {}
            Some((run, before)) if *before == place && run.end() == first => run.count += count,
            _ => self.runs.push((TaskRange { first, count }, place)),
        }
    }

    fn is_full(&self) -> bool {
        self.runs.len() > self.limit
    }

    fn page(self) -> TaskPage {
        let next = self.runs.get(self.limit).map(|(run, _)| run.first);
        let runs = self.runs.into_iter().take(self.limit);
        let runs = runs.map(|(tasks, (state, node))| TaskRun {
            tasks: tasks.to_string(),
            state,
            node: node.cloned(),
        });
        TaskPage {
            runs: runs.collect(),
            next,
        }
    }
}

/// The granted tasks of a chunk.
fn holders(chunk: &Chunk) -> BTreeMap<TaskIndex, Place<'_>> {
    let mut held = BTreeMap::new();
    for grant in chunk.grants.values() {
        for task in &grant.tasks {
            let state = match grant.publishing.contains_key(task) {
                true => TaskState::Publishing,
                false => TaskState::Granted,
            };
            held.insert(*task, (state, Some(&grant.node)));
        }
    }
    held
}
