//! The end: every job is over, everything that was promised about it holds, and nothing is left behind.

use std::collections::BTreeMap;

use stint_api::id::{AttemptId, JobId, TaskIndex};
use stint_api::job::JobSpec;
use stint_api::outcome::Outcome;
use stint_api::view::{JobState, JobView};
use stint_cluster::{Cluster, History, JobsQuery};
use stint_store::Store as _;

use crate::promises::tries_too_often;
use crate::world::World;

impl World {
    /// Whether there is nothing left to wait for.
    pub(crate) fn is_over(&self) -> bool {
        let Some(up) = self.scheduler.up.as_ref().filter(|up| up.has_committed()) else {
            return false;
        };
        let over = |id: &JobId| {
            let view = up.cluster.job(id);
            view.map_or_else(
                || self.ledger.may_be_forgotten(id),
                |view| view.state.is_final(),
            )
        };
        let clients = self.clients.iter().map(|client| client.job.as_ref());
        let jobs_over = clients.into_iter().all(|job| job.is_some_and(over));
        let node_empty = |node: &crate::node::Node| {
            let process = node.process.as_ref();
            process
                .is_some_and(|process| process.heart.is_idle() && process.heart.held().is_empty())
        };
        self.is_calm
            && jobs_over
            && !self.ledger.is_publishing()
            && self.nodes.iter().all(node_empty)
    }

    /// What is not over yet.
    pub(crate) fn what_hangs(&self) -> String {
        let mut hangs = Vec::new();
        if let Some(up) = &self.scheduler.up {
            for client in &self.clients {
                let Some(id) = &client.job else {
                    hangs.push("a submit is not answered".to_owned());
                    continue;
                };
                if let Some(view) = up.cluster.job(id).filter(|view| !view.state.is_final()) {
                    let runs = up
                        .cluster
                        .tasks(id, 0, 1_000)
                        .map(|(page, _)| page.runs)
                        .unwrap_or_default();
                    let runs = runs
                        .iter()
                        .map(|run| format!("{} {:?} {:?}", run.tasks, run.state, run.node));
                    let runs: Vec<String> = runs.collect();
                    hangs.push(format!(
                        "{id} is {:?}: {}; waiting: {:?}",
                        view.state,
                        runs.join(", "),
                        view.waiting
                    ));
                }
            }
        } else {
            hangs.push("the scheduler is down".to_owned());
        }
        for node in &self.nodes {
            let process = node.process.as_ref();
            let held = process.map(|process| process.heart.held());
            let unsaid = process.map(|process| process.heart.batch().reports);
            let link = process.map(|process| process.link);
            hangs.push(format!(
                "{} is {link:?}, holds {held:?}, has not said {unsaid:?}",
                node.id
            ));
        }
        hangs.push(self.ledger.what_is_published());
        hangs.join("; ")
    }

    /// Looks at everything once more.
    pub(crate) fn judge(&mut self) {
        let mut objections = Vec::new();
        if let Some(up) = &self.scheduler.up {
            let kept = self.ledger.jobs();
            for (id, spec) in kept.filter(|(id, _)| !self.ledger.forgotten_jobs.contains(id)) {
                match self.history(&up.cluster, id) {
                    Ok((view, history)) => {
                        self.judge_job((id, spec), &view, &history, &mut objections);
                    }
                    Err(what) => objections.push(what),
                }
            }
            let all = up.cluster.jobs(&JobsQuery::default());
            let all = all.map_or(0, |page| page.jobs.len());
            if all != self.clients.len() && !self.ledger.forgets {
                objections.push(format!("{} clients made {all} jobs", self.clients.len()));
            }
        }
        for node in &self.nodes {
            let left: Vec<&AttemptId> = node.disk.spool.keys().chain(&node.disk.files).collect();
            if !left.is_empty() {
                objections.push(format!("{} was left with {left:?}", node.id));
            }
        }
        objections.extend(
            self.ledger
                .still_running()
                .map(|one| format!("{one} still runs")),
        );
        for what in objections {
            self.ledger.object(what);
        }
    }

    fn history(&self, cluster: &Cluster, id: &JobId) -> Result<(JobView, History), String> {
        let view = cluster.job(id).ok_or_else(|| format!("{id} is lost"))?;
        let index = cluster
            .pages(id)
            .ok_or_else(|| format!("{id} has no pages"))?;
        let records = self.scheduler.store.load(&index.prefix());
        let records = records.map_err(|error| error.to_string())?;
        let records = records.iter();
        let records = records.map(|record| (record.key.as_str(), record.value.as_slice()));
        let history = index.read(records).map_err(|error| error.to_string())?;
        Ok((view, history))
    }

    fn judge_job(
        &self,
        (id, spec): (&JobId, &JobSpec),
        view: &JobView,
        history: &History,
        objections: &mut Vec<String>,
    ) {
        let attempts: u64 = history
            .attempts
            .iter()
            .map(|one| u64::from(one.tasks))
            .sum();
        if attempts != view.attempts {
            objections.push(format!(
                "{id} counts {} attempts and lists {attempts}",
                view.attempts
            ));
        }
        let mut ends: BTreeMap<TaskIndex, (AttemptId, Outcome)> = BTreeMap::new();
        let mut tries: BTreeMap<TaskIndex, Vec<&Outcome>> = BTreeMap::new();
        for one in &history.attempts {
            for task in one.attempt.task..one.attempt.task + one.tasks {
                let attempt = AttemptId {
                    task,
                    ..one.attempt.clone()
                };
                tries.entry(task).or_default().push(&one.outcome);
                let truth = self.ledger.end_of(&attempt);
                if one.outcome == Outcome::Succeeded && truth != Some(&Outcome::Succeeded) {
                    objections.push(format!("{attempt} succeeded, they say; it {truth:?}"));
                }
                if !one.is_final {
                    continue;
                }
                let end = (attempt.clone(), one.outcome.clone());
                if let Some((before, _)) = ends.insert(task, end) {
                    objections.push(format!(
                        "task {task} of {id} is done by {before} and {attempt}"
                    ));
                }
            }
        }
        for (task, ends) in &tries {
            let what = tries_too_often(spec, ends);
            objections.extend(what.map(|what| format!("task {task} of {id} {what}")));
        }
        if !may_end_early(spec, view) && ends.len() != spec.tasks as usize {
            objections.push(format!(
                "{id} has {} tasks and {} are done",
                spec.tasks,
                ends.len()
            ));
        }
        let done_well = |end: &&(AttemptId, Outcome)| end.1 == Outcome::Succeeded;
        if ends.values().filter(done_well).count() != view.tasks.succeeded as usize {
            objections.push(format!("{id} counts {} successes", view.tasks.succeeded));
        }
        let results = history.results.iter();
        let results: BTreeMap<_, _> = results.map(|line| (line.task, line.result.get())).collect();
        for (attempt, _) in ends.values().filter(done_well) {
            let returned = format!("\"{attempt}\"");
            if results.get(&attempt.task) != Some(&returned.as_str()) {
                objections.push(format!("{attempt} is done, the result is not its own"));
            }
            let place = self.ledger.published.get(&(id.clone(), attempt.task));
            if spec.output.is_some() && place != Some(attempt) {
                objections.push(format!("{attempt} is done, published is {place:?}"));
            }
        }
    }
}

/// Whether the job may be over though not all of its tasks are done.
fn may_end_early(spec: &JobSpec, view: &JobView) -> bool {
    let gives_up = spec.max_failed.is_some() || !spec.after.is_empty();
    let has_deadline = spec.job_timeout.is_some() || spec.queue_timeout.is_some();
    match view.state {
        JobState::Cancelled => true,
        JobState::Failed => gives_up || has_deadline,
        _ => false,
    }
}
