//! What tasks said of themselves last, for whoever asks how a job is getting on.
//! It is not durable and decides nothing: a restarted scheduler hears it again
//! from what still runs.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use stint_api::id::{JobId, TaskIndex};
use stint_api::view::{Event, EventKind, TaskSaid};

/// Jobs that it is kept of: the latest that said something.
const JOBS_MAX: usize = 256;
/// Tasks of each that it is kept of: what a person reads.
const TASKS_MAX: usize = 64;

/// What tasks said last.
#[derive(Debug, Default)]
pub(crate) struct Sayings(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    jobs: BTreeMap<JobId, BTreeMap<TaskIndex, TaskSaid>>,
    /// The order in which jobs first said something.
    order: VecDeque<JobId>,
}

impl Sayings {
    /// Hears of what happened.
    pub(crate) fn hear(&self, events: &[Event]) {
        if !events.iter().any(|event| is_said(&event.what)) {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            if let EventKind::Said { attempt, said } = &event.what {
                let saying = TaskSaid {
                    attempt: attempt.clone(),
                    at: event.at,
                    said: said.clone(),
                };
                kept.take(saying);
            }
        }
    }

    /// What tasks of `job` said last, by task.
    pub(crate) fn of(&self, job: &JobId) -> Vec<TaskSaid> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tasks = kept.jobs.get(job);
        tasks.map_or_else(Vec::new, |tasks| tasks.values().cloned().collect())
    }
}

const fn is_said(what: &EventKind) -> bool {
    matches!(what, EventKind::Said { .. })
}

impl Kept {
    fn take(&mut self, saying: TaskSaid) {
        let (job, task) = (saying.attempt.job.clone(), saying.attempt.task);
        if !self.jobs.contains_key(&job) {
            if self.order.len() == JOBS_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.jobs.remove(&oldest);
            }
            self.order.push_back(job.clone());
        }
        let tasks = self.jobs.entry(job).or_default();
        if tasks.len() >= TASKS_MAX && !tasks.contains_key(&task) {
            // The one that has said nothing for the longest time makes room.
            let silent = tasks.iter().min_by_key(|(_, said)| said.at);
            if let Some(silent) = silent.map(|(task, _)| *task) {
                tasks.remove(&silent);
            }
        }
        tasks.insert(task, saying);
    }
}

#[cfg(test)]
mod tests {
    use stint_api::said::Said;
    use stint_api::time::Time;

    use super::*;

    fn said(at: u64, attempt: &str) -> Event {
        let attempt: stint_api::id::AttemptId = attempt.parse().unwrap();
        let said = Said::default();
        Event {
            seq: at,
            at: Time::from_nanos(at),
            job: attempt.job.clone(),
            what: EventKind::Said { attempt, said },
        }
    }

    #[test]
    fn the_latest_of_a_task_is_kept_and_old_tasks_and_jobs_make_room() {
        let sayings = Sayings::default();
        sayings.hear(&[said(1, "a.1.t0.g1.1"), said(2, "a.1.t0.g1.2")]);
        let of = |job: &str| sayings.of(&job.parse().unwrap());
        assert_eq!(of("a.1").len(), 1);
        assert_eq!(of("a.1")[0].attempt.try_number, 2);
        for task in 1..=TASKS_MAX as u64 {
            sayings.hear(&[said(9 + task, &format!("a.1.t{task}.g1.1"))]);
        }
        assert_eq!(of("a.1").len(), TASKS_MAX);
        assert_eq!(of("a.1")[0].attempt.task, 1);
        for job in 2..=JOBS_MAX as u64 + 1 {
            sayings.hear(&[said(999 + job, &format!("a.{job}.t0.g1.1"))]);
        }
        assert!(of("a.1").is_empty());
        assert_eq!(of("a.2").len(), 1);
    }
}
