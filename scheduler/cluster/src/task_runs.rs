//! The states of a job's tasks for people: consecutive tasks in the same state are one run.

use std::collections::BTreeMap;

use stint_api::id::{NodeId, TaskIndex};
use stint_api::tasks::TaskRange;
use stint_api::view::{TaskRun, TaskState};

use crate::chunk::Chunk;
use crate::job::Job;

/// Where a task is, and the node that holds it.
type Place<'a> = (TaskState, Option<&'a NodeId>);

/// Every task that the job runs, ascending.
pub(crate) fn task_runs(job: &Job) -> Vec<TaskRun> {
    let mut runs: Vec<(TaskRange, Place<'_>)> = Vec::new();
    let total = job.record.spec.tasks;
    let unfinished = match job.is_open() {
        true => TaskState::Pending,
        // The end of the job left it undone.
        false => TaskState::Failed,
    };
    let mut touched = 0;
    for (index, chunk) in job.chunks() {
        let held = holders(chunk);
        let first = index * job.record.chunk_tasks;
        touched = total.min(first + job.record.chunk_tasks);
        for task in first..touched {
            let place = if !chunk.runs(task) {
                continue;
            } else if chunk.succeeded(task) {
                (TaskState::Succeeded, None)
            } else if chunk.failed(task) {
                (TaskState::Failed, None)
            } else {
                held.get(&task).copied().unwrap_or((unfinished, None))
            };
            add(&mut runs, TaskRange::one(task), place);
        }
    }
    let rest = match &job.record.spec.only {
        None => Vec::from_iter((touched < total).then(|| TaskRange {
            first: touched,
            count: total - touched,
        })),
        Some(only) => only.within(touched, total).collect(),
    };
    for tasks in rest {
        add(&mut runs, tasks, (unfinished, None));
    }
    let runs = runs.into_iter();
    runs.map(|(tasks, (state, node))| TaskRun {
        tasks: tasks.to_string(),
        state,
        node: node.cloned(),
    })
    .collect()
}

/// Appends tasks, to the last run where they continue it.
fn add<'a>(runs: &mut Vec<(TaskRange, Place<'a>)>, tasks: TaskRange, place: Place<'a>) {
    match runs.last_mut() {
        Some((run, before)) if *before == place && run.end() == tasks.first => {
            run.count += tasks.count
        }
        _ => runs.push((tasks, place)),
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
