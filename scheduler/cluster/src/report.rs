//! A batch of reports: what a node says is so. Said twice, it changes nothing
//! the second time; said under a grant that the node no longer holds, nothing
//! the first time.

use stint_api::id::{AttemptId, Generation, GrantId, JobId, NodeId, TaskIndex};
use stint_api::link::{Order, Report, Reports};
use stint_api::outcome::Outcome;
use stint_api::tasks::TaskRange;
use stint_api::time::Time;
use stint_api::view::EventKind;

use crate::bitmap;
use crate::chunk::Settled;
use crate::cluster::Cluster;
use crate::draft::Draft;
use crate::effects::Effects;
use crate::grants::Running;

/// Most characters of what a node says that it prepares; one line for people.
const STEP_CHARS_MAX: usize = 500;

/// The node may not report: it must say hello first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StaleGeneration {
    /// It was never welcomed here.
    #[error("node `{node}` was never welcomed here; it must say hello")]
    Unknown {
        /// The node.
        node: NodeId,
    },
    /// It was welcomed again since.
    #[error(
        "node `{node}` reports under generation {}, the newest is {}; it must say hello", theirs.0, newest.0
    )]
    Older {
        /// The node.
        node: NodeId,
        /// What it reports under.
        theirs: Generation,
        /// What it was last welcomed under.
        newest: Generation,
    },
    /// It was silent past its lease, and its work was given away.
    #[error("the lease of node `{node}` is over and its work given away; it must say hello")]
    Lost {
        /// The node.
        node: NodeId,
    },
}

impl Cluster {
    /// Takes a batch and renews the node's lease.
    ///
    /// # Errors
    /// The batch is not of the node's newest generation; nothing changed.
    pub fn report(&mut self, now: Time, batch: &Reports) -> Result<Effects, StaleGeneration> {
        let mut draft = self.begin(now);
        let Some(node) = self.nodes.get_mut(&batch.node) else {
            let node = batch.node.clone();
            return Err(StaleGeneration::Unknown { node });
        };
        if node.record.generation != batch.generation {
            return Err(StaleGeneration::Older {
                node: batch.node.clone(),
                theirs: batch.generation,
                newest: node.record.generation,
            });
        }
        if !node.is_ready() {
            let node = batch.node.clone();
            return Err(StaleGeneration::Lost { node });
        }
        node.heard_at = node.heard_at.max(now);
        for report in &batch.reports {
            self.hear(&mut draft, &batch.node, report);
        }
        Ok(self.seal(draft))
    }

    /// Whether `node` holds the task of `attempt` under its grant now. What a
    /// node logs of an attempt that it does not hold is of no interest.
    pub fn holds(&self, node: &NodeId, attempt: &AttemptId) -> bool {
        let job = self.jobs.get(&attempt.job);
        let grant = job.and_then(|job| job.grant(attempt.grant));
        grant.is_some_and(|(_, grant)| grant.node == *node && grant.tasks.contains(&attempt.task))
    }

    fn hear(&mut self, draft: &mut Draft, node: &NodeId, report: &Report) {
        match report {
            Report::Started { attempt, at: _ } => self.started(draft, node, attempt),
            Report::Ended(ended) => self.ended(draft, node, ended),
            Report::Finished {
                attempt,
                manifest: _,
            } => self.finished(draft, node, attempt),
            Report::GaveBack { id, tasks } => self.gave_back(draft, node, id, tasks),
            Report::Preparing { job, step } => self.preparing(draft, node, job, step),
            Report::Compiled { module } => {
                let known = self.nodes.get_mut(node);
                if known.is_some_and(|known| known.learn_compiled(*module)) {
                    self.shelves.compiled(node, *module);
                }
            }
            Report::Said { attempt, said } => {
                if self.holds(node, attempt) {
                    let (attempt, said) = (attempt.clone(), said.clone().bounded());
                    draft.event(&attempt.job.clone(), EventKind::Said { attempt, said });
                }
            }
            // The shell keeps logs; nothing is decided by them.
            Report::Log { .. } => {}
        }
    }

    /// Whether `attempt` may still run: its grant holds the task, and the try has not ended.
    fn is_live(&self, node: &NodeId, attempt: &AttemptId) -> bool {
        let ended = || {
            let job = self.jobs.get(&attempt.job)?;
            let (index, _) = job.grant(attempt.grant)?;
            Some(job.chunk(index)?.trouble(attempt.task).tries)
        };
        self.holds(node, attempt) && ended().is_some_and(|tries| attempt.try_number > tries)
    }

    /// Stops what a node runs under a grant that it does not hold: an order to run that came
    /// after the one to stop. Nothing that it says of it counts, so it would wait for ever.
    fn disown(&self, draft: &mut Draft, node: &NodeId, attempt: &AttemptId) {
        let job = self.jobs.get(&attempt.job);
        let grant = job.and_then(|job| job.grant(attempt.grant));
        if grant.is_none_or(|(_, grant)| grant.node != *node) {
            let id = attempt.grant_id();
            let why = Outcome::NodeLost;
            draft.order(node, Order::Stop { id, why });
        }
    }

    fn started(&mut self, draft: &mut Draft, node: &NodeId, attempt: &AttemptId) {
        if !self.is_live(node, attempt) {
            return self.disown(draft, node, attempt);
        }
        let Some(job) = self.jobs.get_mut(&attempt.job) else {
            return;
        };
        if job.start(draft.now) {
            draft.jobs.insert(attempt.job.clone());
        }
        let running = Running {
            task: attempt.task,
            try_number: attempt.try_number,
            since: draft.now,
        };
        let Some((index, grant)) = job.grant_mut(attempt.grant) else {
            return;
        };
        let is_known = |known: Running| {
            let Running {
                task, try_number, ..
            } = known;
            (task, try_number) == (running.task, running.try_number)
        };
        if grant.running.is_some_and(is_known) {
            return;
        }
        grant.running = Some(running);
        draft.chunk(&attempt.job, index);
        let what = EventKind::Started {
            attempt: attempt.clone(),
            node: node.clone(),
        };
        draft.event(&attempt.job, what);
    }

    /// An attempt asks for commit: granted durably, then told. Asked again,
    /// the same answer is told again; the first order may have been lost.
    fn finished(&mut self, draft: &mut Draft, node: &NodeId, attempt: &AttemptId) {
        if !self.holds(node, attempt) {
            return self.disown(draft, node, attempt);
        }
        let job = self.jobs.get_mut(&attempt.job);
        let Some((index, grant)) = job.and_then(|job| job.grant_mut(attempt.grant)) else {
            return;
        };
        match grant.publishing.get(&attempt.task) {
            // This was said before a later try began.
            Some(later) if *later > attempt.try_number => return,
            Some(same) if *same == attempt.try_number => {}
            // A node runs the tries of a task one after another: an earlier one is over.
            Some(_) | None => {
                grant.publishing.insert(attempt.task, attempt.try_number);
                draft.chunk(&attempt.job, index);
            }
        }
        let attempt = attempt.clone();
        draft.order(node, Order::Publish { attempt });
    }

    /// Tasks that a node has not begun wait for another; said again, they are not there.
    fn gave_back(&mut self, draft: &mut Draft, node: &NodeId, id: &GrantId, tasks: &[TaskRange]) {
        let job = self.jobs.get(&id.job);
        let grant = job.and_then(|job| job.grant(id.grant));
        let Some((_, grant)) = grant.filter(|(_, grant)| grant.node == *node) else {
            return;
        };
        let ranges = tasks.iter().map(|run| run.first..run.end());
        let held = ranges.flat_map(|run| grant.tasks.range(run).copied());
        let held: Vec<TaskIndex> = held.collect();
        if held.is_empty() {
            return;
        }
        let what = EventKind::Returned {
            node: node.clone(),
            tasks: bitmap::text(held.iter().copied()),
        };
        draft.event(&id.job, what);
        for task in held {
            self.release(draft, id, task, Settled::Pending);
        }
    }

    fn preparing(&mut self, draft: &mut Draft, node: &NodeId, id: &JobId, step: &str) {
        if self.jobs.get(id).is_some_and(|job| job.is_open()) {
            let what = EventKind::Preparing {
                node: node.clone(),
                step: step.chars().take(STEP_CHARS_MAX).collect(),
            };
            draft.event(id, what);
        }
    }
}
