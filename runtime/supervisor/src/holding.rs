//! One grant on this node, and where each of its tasks is.
//!
//! ```text
//!              ┌──────────────────────────── retry, no wait left ───────────┐
//!              ▼                                                            │
//!  fresh ─▶ (waiting) ─▶ running ─▶ failed: backing off until ──────────────┘
//!                           │  │
//!                           │  └──▶ succeeded with files: finished ─▶ publishing
//!                           ▼                                            │
//!                        settled (final or returned, not yet known) ◀────┘
//!                           │ the scheduler has the report
//!                           ▼
//!                         done
//! ```
//!
//! A fresh task may be queued meanwhile: the worker of the one that runs goes on to it
//! by itself, if it comes so far, and it is fresh again if not.
//!
//! At most one attempt of a grant runs at a time: a grant is one slot. A task
//! is in exactly one of `fresh`, `queued`, `tried`, `settled`, `done`; a task without an
//! attempt costs one integer.

use std::collections::{BTreeMap, BTreeSet};

use stint_api::id::{AttemptId, GrantId, TaskIndex};
use stint_api::job::Isolation;
use stint_api::link::{Grant, Held, Plan, RetryBudget};
use stint_api::tasks::{TaskRange, runs};
use stint_api::time::Time;

use crate::action::AttemptEnd;

/// Whether the module and the inputs of a grant are at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preparation {
    Missing,
    Underway,
    Ready,
}

/// A task that was tried at least once and is not settled.
#[derive(Debug)]
pub(crate) struct Tried {
    /// The latest try, from 1.
    pub(crate) try_number: u32,
    /// What is left to spend.
    pub(crate) left: RetryBudget,
    pub(crate) state: TaskState,
    /// Earlier tries whose end the scheduler has. Their spool is kept until a
    /// later try has started, so that a new node process can count on.
    pub(crate) lingering: Vec<u32>,
}

#[derive(Debug)]
pub(crate) enum TaskState {
    Waiting,
    BackingOff {
        until: Time,
    },
    Running {
        /// Whether the keeper has said that it has it.
        confirmed: bool,
    },
    Finished(AttemptEnd),
    Publishing(AttemptEnd),
}

impl Tried {
    /// Whether the keeper is known to have had a later try than this one.
    pub(crate) fn has_started_after(&self, try_number: u32) -> bool {
        self.try_number > try_number
            && !matches!(
                self.state,
                TaskState::Waiting
                    | TaskState::BackingOff { .. }
                    | TaskState::Running { confirmed: false }
            )
    }
}

/// What a grant needs next.
#[derive(Debug)]
pub(crate) enum Next {
    Nothing,
    Prepare,
    Start(TaskIndex),
}

/// A grant, and where its tasks are.
#[derive(Debug)]
pub(crate) struct Holding {
    pub(crate) id: GrantId,
    pub(crate) plan: Plan,
    budget: RetryBudget,
    /// Nothing more of it is started: what is not done goes back.
    pub(crate) gives_back: bool,
    pub(crate) preparation: Preparation,
    fresh: BTreeSet<TaskIndex>,
    /// What follows in the run of the task that runs.
    queued: BTreeSet<TaskIndex>,
    pub(crate) tried: BTreeMap<TaskIndex, Tried>,
    settled: BTreeSet<TaskIndex>,
    done: BTreeSet<TaskIndex>,
}

impl Holding {
    /// Holds the grant without any of its tasks; see [`Self::widen`].
    pub(crate) fn new(grant: Grant) -> Self {
        Self {
            id: grant.id,
            plan: grant.plan,
            budget: grant.budget,
            gives_back: false,
            preparation: Preparation::Missing,
            fresh: BTreeSet::new(),
            queued: BTreeSet::new(),
            tried: BTreeMap::new(),
            settled: BTreeSet::new(),
            done: BTreeSet::new(),
        }
    }

    /// Adds the tasks that this holding has never seen.
    pub(crate) fn widen(&mut self, tasks: &[TaskRange]) {
        for task in tasks.iter().flat_map(|run| run.iter()) {
            if !self.knows(task) {
                self.fresh.insert(task);
            }
        }
    }

    /// Drops the tasks not in `tasks`; returns those that had been tried.
    pub(crate) fn narrow(&mut self, tasks: &[TaskRange]) -> Vec<(TaskIndex, Tried)> {
        let wanted = |task: &TaskIndex| tasks.iter().any(|run| run.contains(*task));
        let (keep, drop) = self.fresh.iter().partition(|task| wanted(task));
        self.fresh = keep;
        self.done.extend::<BTreeSet<TaskIndex>>(drop);
        let dropped = self.queued.extract_if(.., |task| !wanted(task));
        self.done.extend(dropped);
        let dropped: Vec<_> = self.tried.extract_if(.., |task, _| !wanted(task)).collect();
        self.done.extend(dropped.iter().map(|(task, _)| *task));
        dropped
    }

    pub(crate) fn knows(&self, task: TaskIndex) -> bool {
        self.fresh.contains(&task)
            || self.queued.contains(&task)
            || self.tried.contains_key(&task)
            || self.settled.contains(&task)
            || self.done.contains(&task)
    }

    pub(crate) fn running(&self) -> Option<(TaskIndex, &Tried)> {
        self.tried
            .iter()
            .find(|(_, tried)| matches!(tried.state, TaskState::Running { .. }))
            .map(|(task, tried)| (*task, tried))
    }

    /// Whether it takes its slot's share of the node.
    pub(crate) fn takes_room(&self) -> bool {
        !self.fresh.is_empty() || !self.queued.is_empty() || !self.tried.is_empty()
    }

    /// Whether nothing is left to do, report or hear.
    pub(crate) fn is_done(&self) -> bool {
        !self.takes_room() && self.settled.is_empty()
    }

    /// Decides the next step. Tasks that were tried go first: they are the oldest.
    pub(crate) fn next(&self) -> Next {
        if self.running().is_some() {
            return Next::Nothing;
        }
        let waiting = self
            .tried
            .iter()
            .find(|(_, tried)| matches!(tried.state, TaskState::Waiting))
            .map(|(task, _)| *task);
        match (
            waiting.or_else(|| self.fresh.first().copied()),
            self.preparation,
        ) {
            (Some(_), Preparation::Missing) => Next::Prepare,
            (Some(task), Preparation::Ready) => Next::Start(task),
            (None, _) | (_, Preparation::Underway) => Next::Nothing,
        }
    }

    /// Begins the next try of a task: fresh, or waiting.
    pub(crate) fn begin(&mut self, task: TaskIndex) -> &mut Tried {
        let started = TaskState::Running { confirmed: false };
        let budget = self.budget;
        self.fresh.remove(&task);
        self.queued.remove(&task);
        let tried = self.tried.entry(task).or_insert(Tried {
            try_number: 0,
            left: budget,
            state: TaskState::Waiting,
            lingering: Vec::new(),
        });
        tried.try_number += 1;
        tried.state = started;
        tried
    }

    /// Takes a try that another node process began, unless a later one is known.
    pub(crate) fn adopt(&mut self, task: TaskIndex, try_number: u32, left: RetryBudget) -> bool {
        if self.settled.contains(&task) || self.done.contains(&task) {
            return false;
        }
        self.fresh.remove(&task);
        self.queued.remove(&task);
        let known = self.tried.entry(task).or_insert(Tried {
            try_number: 0,
            left,
            state: TaskState::Waiting,
            lingering: Vec::new(),
        });
        if known.try_number >= try_number {
            return false;
        }
        known.try_number = try_number;
        known.left = left;
        known.state = TaskState::Running { confirmed: true };
        true
    }

    /// Queues the fresh tasks that follow `task`, which begins, without a gap; the run
    /// that it makes with them.
    pub(crate) fn queue(&mut self, task: TaskIndex) -> TaskRange {
        let mut run = TaskRange::one(task);
        while self.plan.isolation == Isolation::Job && self.fresh.remove(&run.end()) {
            self.queued.insert(run.end());
            run.count += 1;
        }
        run
    }

    /// Queues tasks that an earlier node process had queued.
    pub(crate) fn queue_again(&mut self, tasks: impl Iterator<Item = TaskIndex>) {
        for task in tasks {
            if !self.knows(task) {
                self.queued.insert(task);
            }
        }
    }

    pub(crate) fn is_queued(&self, task: TaskIndex) -> bool {
        self.queued.contains(&task)
    }

    /// Nothing runs: what was queued is fresh again. Whether there was anything.
    pub(crate) fn restock(&mut self) -> bool {
        let restocks = self.running().is_none() && !self.queued.is_empty();
        if restocks {
            self.fresh.append(&mut self.queued);
        }
        restocks
    }

    /// Every task that an outcome of the preparation concerns: not running, not ended.
    pub(crate) fn unstarted(&self) -> Vec<TaskIndex> {
        let waits = |tried: &Tried| {
            matches!(
                tried.state,
                TaskState::Waiting | TaskState::BackingOff { .. }
            )
        };
        let tried = self.tried.iter().filter(|(_, tried)| waits(tried));
        let all: BTreeSet<TaskIndex> = tried
            .map(|(task, _)| *task)
            .chain(self.fresh.iter().copied())
            .collect();
        all.into_iter().collect()
    }

    /// The task is no longer this node's, which the scheduler does not know yet.
    pub(crate) fn settle(&mut self, task: TaskIndex) -> Option<Tried> {
        self.fresh.remove(&task);
        self.queued.remove(&task);
        self.settled.insert(task);
        self.tried.remove(&task)
    }

    pub(crate) fn is_settled(&self, task: TaskIndex) -> bool {
        self.settled.contains(&task)
    }

    /// The scheduler knows that the task is settled.
    pub(crate) fn close(&mut self, task: TaskIndex) {
        if self.settled.remove(&task) {
            self.done.insert(task);
        }
    }

    /// Ends the waits that are over.
    pub(crate) fn wake(&mut self, now: Time) {
        for tried in self.tried.values_mut() {
            if matches!(tried.state, TaskState::BackingOff { until } if until <= now) {
                tried.state = TaskState::Waiting;
            }
        }
    }

    /// When the next wait is over, while nothing else runs in the slot.
    pub(crate) fn next_wake(&self) -> Option<Time> {
        if self.running().is_some() {
            return None;
        }
        let waits = self.tried.values().filter_map(|tried| match tried.state {
            TaskState::BackingOff { until } => Some(until),
            _ => None,
        });
        waits.min()
    }

    pub(crate) fn attempt(&self, task: TaskIndex, try_number: u32) -> AttemptId {
        AttemptId {
            job: self.id.job.clone(),
            task,
            grant: self.id.grant,
            try_number,
        }
    }

    /// The latest attempt of a task.
    pub(crate) fn attempt_of(&self, task: TaskIndex) -> AttemptId {
        let tried = self.tried.get(&task);
        self.attempt(task, tried.map_or(0, |tried| tried.try_number))
    }

    /// The grant for the shell: narrowed to `tasks`, with `budget`; no attempt has more
    /// time than its task has left.
    pub(crate) fn grant(&self, tasks: Vec<TaskRange>, budget: RetryBudget) -> Box<Grant> {
        let mut plan = self.plan.clone();
        plan.timeout = budget
            .time
            .map_or(plan.timeout, |time| time.min(plan.timeout));
        Box::new(Grant {
            id: self.id.clone(),
            tasks,
            plan,
            budget,
        })
    }

    /// The grant for the preparation: with every task that may yet run.
    pub(crate) fn grant_to_prepare(&self) -> Box<Grant> {
        self.grant(runs(self.unstarted()), self.budget)
    }

    /// What the node says it holds: all but what is done.
    pub(crate) fn held(&self) -> Held {
        let mut tasks: BTreeSet<TaskIndex> = &self.fresh | &self.settled;
        tasks.extend(&self.queued);
        tasks.extend(self.tried.keys());
        Held {
            id: self.id.clone(),
            tasks: runs(tasks),
        }
    }
}
