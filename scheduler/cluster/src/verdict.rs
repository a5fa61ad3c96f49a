//! Attempts ended: what it costs the task, and where the task goes.
//!
//! The node has judged already, within the budget of its grant; here its
//! verdict is counted over all grants. The job's own failures spend the
//! user's retries. Lost workers, failed starts and engine faults are free
//! until the third makes the task poison. A lost, drained or pre-empted
//! node's attempts cost nothing.

use stint_api::id::{NodeId, TaskIndex};
use stint_api::job::JobSpec;
use stint_api::link::{Ended, RESULT_BYTES_MAX, Verdict};
use stint_api::outcome::{Blame, DeadlineScope, Outcome};
use stint_api::retry::{Ruled, ruled};
use stint_api::tasks::{TaskRange, runs};
use stint_api::view::{AttemptView, EventKind, JobState, TaskFailure};

use crate::chunk::Settled;
use crate::cluster::Cluster;
use crate::draft::Draft;
use crate::duty::Duty;
use crate::grants::{LOSSES_MAX, Trouble};

/// Most bytes of each text in an outcome that is kept: a backtrace of some hundred frames.
const TEXT_BYTES_MAX: usize = 8 << 10;
/// Most fields of an outcome of another version.
const FIELDS_MAX: usize = 16;

/// What an outcome does to a task's account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cost {
    /// Nothing: it succeeded, or nobody could help it.
    Free,
    /// One of the user's retries.
    Retry,
    /// One of the losses that make poison.
    Loss,
    /// There is no other try.
    Everything,
}

/// Where a task goes after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ruling {
    /// Its grant still holds it.
    Stays,
    /// It leaves its grant.
    Leaves(Settled),
}

fn cost(outcome: &Outcome) -> Cost {
    match (outcome.blame(), outcome) {
        (Blame::Nobody, _) => Cost::Free,
        (Blame::Job, _) => Cost::Retry,
        (Blame::JobForGood | Blame::Request, _) => Cost::Everything,
        (Blame::Cluster, Outcome::NodeLost | Outcome::Drained | Outcome::Preempted { .. }) => {
            Cost::Free
        }
        (Blame::Cluster, _) => Cost::Loss,
    }
}

/// Whether every other task of the job would end the same way.
fn dooms_job(outcome: &Outcome) -> bool {
    let own = matches!(
        outcome,
        Outcome::Deadline {
            scope: DeadlineScope::Task | DeadlineScope::Attempt
        }
    );
    outcome.blame() == Blame::JobForGood && !own
}

/// Where the task goes, `trouble` counted with this attempt, which `rules` speak of so.
fn rule(ended: &Ended, cost: Cost, trouble: &Trouble, spec: &JobSpec, rules: Ruled) -> Ruling {
    let succeeded = ended.outcome.blame() == Blame::Nobody;
    let exhausted = match cost {
        Cost::Free => false,
        Cost::Retry => {
            let time_is_over = spec.task_timeout.is_some_and(|time| trouble.wall >= time);
            trouble.spent > spec.retries || time_is_over || rules == Ruled::Fails
        }
        Cost::Loss => trouble.losses >= LOSSES_MAX,
        Cost::Everything => true,
    };
    match ended.verdict {
        Verdict::Retry { .. } => Ruling::Stays,
        Verdict::Final if succeeded => Ruling::Leaves(Settled::Succeeded),
        // Only the node knows why the job's own failure was the last, so it is believed.
        Verdict::Final if cost == Cost::Retry => Ruling::Leaves(Settled::Failed),
        Verdict::Final | Verdict::Returned if exhausted => Ruling::Leaves(Settled::Failed),
        Verdict::Final | Verdict::Returned => Ruling::Leaves(Settled::Pending),
    }
}

impl Cluster {
    /// Takes in a run of attempts that ended alike, as far as the node holds
    /// their tasks under that grant and has not said so before.
    pub(crate) fn ended(&mut self, draft: &mut Draft, node: &NodeId, ended: &Ended) {
        let cost = cost(&ended.outcome);
        if ended.outcome == Outcome::Drained {
            self.leaves(draft, node);
        }
        let Some(accepted) = self.account(draft, node, ended, cost) else {
            return;
        };
        let outcome = kept(&ended.outcome);
        let mut usage = ended.usage;
        for (ruling, run) in alike(&accepted) {
            let attempt = AttemptView {
                attempt: ended.id.attempt(run.first, ended.try_number),
                tasks: run.count,
                node: node.clone(),
                outcome: outcome.clone(),
                // What they used together is told once.
                usage: std::mem::take(&mut usage),
                ended_at: ended.at,
                is_final: matches!(ruling, Ruling::Leaves(Settled::Succeeded | Settled::Failed)),
            };
            self.tell_ended(draft, &attempt, ended);
            let job = self.jobs.get(&ended.id.job);
            let Some((index, _)) = job.and_then(|job| job.grant(ended.id.grant)) else {
                return;
            };
            self.note(draft, index, attempt);
            if let Ruling::Leaves(to) = ruling {
                self.leave(draft, ended, (index, run, to), &outcome);
            }
        }
        if dooms_job(&outcome) && ended.verdict == Verdict::Final {
            self.end_by_decree(draft, &ended.id.job, JobState::Failed, &outcome);
        }
    }

    /// A node goes down, though nobody drains it: it would give back whatever it is
    /// given. Not for ever: what it says may be from its last life.
    fn leaves(&mut self, draft: &Draft, id: &NodeId) {
        if let Some(node) = self.nodes.get_mut(id)
            && !matches!(node.record.duty, Duty::Draining { .. })
        {
            let until = draft.now + self.config.lease;
            node.leaving_until = Some(until);
            self.alarms.insert((until, id.clone()));
            self.shelves.altered(id, node);
        }
    }

    /// Counts the attempts against their tasks; the tasks that were live, each
    /// with its ruling. None when nothing is.
    fn account(
        &mut self,
        draft: &mut Draft,
        node: &NodeId,
        ended: &Ended,
        cost: Cost,
    ) -> Option<Vec<(TaskIndex, Ruling)>> {
        let job = self.jobs.get_mut(&ended.id.job)?;
        let (index, grant) = job.grant(ended.id.grant)?;
        if grant.node != *node {
            return None;
        }
        let spec = &job.record.spec;
        let rules = ruled(&spec.retry, &ended.outcome, grant.share(spec).memory);
        let wall = ended.usage.wall.div(u64::from(ended.tasks.count.max(1)));
        let within = ended.tasks.first..ended.tasks.end();
        let tasks: Vec<TaskIndex> = grant.tasks.range(within).copied().collect();
        let (spec, chunk) = job.spec_and_chunk(index)?;
        let mut accepted = Vec::with_capacity(tasks.len());
        for task in tasks {
            let mut trouble = chunk.trouble(task);
            // Said again. A last end cannot be: with the first the task left the grant. A node
            // that lost part of its spool counts a try again that was reported before.
            let retries_on = matches!(ended.verdict, Verdict::Retry { .. });
            if retries_on && ended.try_number <= trouble.tries {
                continue;
            }
            trouble.tries = trouble.tries.max(ended.try_number);
            match cost {
                Cost::Retry => {
                    trouble.spent += 1;
                    if spec.task_timeout.is_some() {
                        trouble.wall += wall;
                    }
                }
                Cost::Loss => {
                    trouble.losses += 1;
                    trouble.avoid = Some(node.clone());
                }
                Cost::Free if matches!(ended.outcome, Outcome::Preempted { .. }) => {
                    trouble.preempted += 1;
                }
                Cost::Free | Cost::Everything => {}
            }
            let ruling = rule(ended, cost, &trouble, spec, rules);
            if let (Ruled::WithMemory(memory), Ruling::Leaves(Settled::Pending)) = (rules, ruling) {
                trouble.memory = Some(memory);
            }
            accepted.push((task, ruling));
            chunk.set_trouble(task, trouble);
            if let Some(grant) = chunk.grants.get_mut(&ended.id.grant) {
                grant.ended(task, ended.try_number);
            }
        }
        // A start that was never reported is one all the same.
        if !accepted.is_empty() && job.start(draft.now) {
            draft.jobs.insert(ended.id.job.clone());
        }
        (!accepted.is_empty()).then_some(accepted)
    }

    /// Takes a run of tasks out of its grant, done or not.
    fn leave(
        &mut self,
        draft: &mut Draft,
        ended: &Ended,
        (index, run, to): (u32, TaskRange, Settled),
        outcome: &Outcome,
    ) {
        let id = &ended.id.job;
        for task in run.iter() {
            if to == Settled::Succeeded
                && let Some(result) = ended.results.get(&task)
                && result.get().len() as u64 <= RESULT_BYTES_MAX
            {
                let now = draft.now;
                draft.page(id, index).result(now, task, result.clone());
            }
            self.release(draft, &ended.id, task, to);
        }
        let job = self.jobs.get_mut(id);
        if to == Settled::Failed
            && let Some(chunk) = job.and_then(|job| job.chunk_mut(index))
            && chunk.first_failure.is_none()
        {
            chunk.first_failure = Some(TaskFailure {
                task: run.first,
                outcome: outcome.clone(),
                stderr_tail: ended
                    .stderr_tail
                    .clone()
                    .filter(|_| run.first == ended.tasks.first),
            });
        }
    }

    fn tell_ended(&self, draft: &mut Draft, attempt: &AttemptView, ended: &Ended) {
        let retry_in_seconds = match ended.verdict {
            Verdict::Retry { after } => Some(after.as_secs_f64()),
            Verdict::Final | Verdict::Returned => None,
        };
        let what = EventKind::Ended {
            attempt: attempt.attempt.clone(),
            tasks: attempt.tasks,
            node: attempt.node.clone(),
            outcome: attempt.outcome.clone(),
            usage: attempt.usage,
            retry_in_seconds,
            is_final: attempt.is_final,
        };
        draft.event(&ended.id.job, what);
    }
}

/// Gathers ascending tasks into runs of the same ruling.
fn alike(accepted: &[(TaskIndex, Ruling)]) -> Vec<(Ruling, TaskRange)> {
    accepted
        .chunk_by(|(_, one), (_, other)| one == other)
        .flat_map(|part| {
            let ruling = part[0].1;
            runs(part.iter().map(|(task, _)| *task))
                .into_iter()
                .map(move |run| (ruling, run))
        })
        .collect()
}

/// The outcome with every text short enough to keep.
fn kept(outcome: &Outcome) -> Outcome {
    let fits = |text: &String| text.len() <= TEXT_BYTES_MAX;
    let cut = |text: &String| {
        let end = text.floor_char_boundary(TEXT_BYTES_MAX);
        text[..end].to_owned()
    };
    let mut kept = outcome.clone();
    match &mut kept {
        Outcome::Trapped { kind, backtrace } => {
            for text in [kind, backtrace].into_iter().filter(|text| !fits(text)) {
                *text = cut(text);
            }
        }
        Outcome::OutputLimit { what: text }
        | Outcome::SandboxViolation { syscall: text }
        | Outcome::EngineFault { message: text }
        | Outcome::StartFailed { step: text }
        | Outcome::ModuleRejected { what: text }
        | Outcome::CompileFailed { message: text }
        | Outcome::CompileLimit { what: text }
        | Outcome::InputUnavailable { which: text }
        | Outcome::OutputRefused { which: text }
            if !fits(text) =>
        {
            *text = cut(text);
        }
        Outcome::Unknown(fields) => {
            let reason = outcome.reason().chars().take(64).collect::<String>();
            let size: usize = fields.values().map(|value| value.to_string().len()).sum();
            if fields.len() > FIELDS_MAX || size > TEXT_BYTES_MAX {
                fields.clear();
                fields.insert("reason".to_owned(), reason.into());
            }
        }
        _ => {}
    }
    kept
}
