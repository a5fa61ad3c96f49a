//! Jobs that run once more, whole or in part.

use stint_api::id::JobId;
use stint_api::outcome::Outcome;
use stint_api::tasks::TaskRange;
use stint_api::view::JobState;
use stint_cluster::{Rerun, RerunError};

use crate::{Site, failed};

impl Site {
    fn rerun(&mut self, job: &JobId, which: Rerun) -> Result<JobId, RerunError> {
        let (submission, effects) = self.heart.rerun(self.now, job, which, None)?;
        self.follow(effects);
        Ok(submission.id().clone())
    }
}

#[test]
fn the_failed_tasks_run_again_under_their_own_indices() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(8, |_| {});
    let mut orders = site.orders();
    while let Some(order) = orders.pop() {
        let (_, grant) = order.split_once("run 1.").unwrap();
        let (grant, tasks) = grant.split_once(": ").unwrap();
        let tasks: stint_api::tasks::TaskList = tasks.parse().unwrap();
        for task in tasks.runs().iter().flat_map(|run| run.iter()) {
            let outcome = match task {
                2 | 5 | 6 => failed(),
                _ => Outcome::Succeeded,
            };
            site.ended("node-a", &format!("1.t{task}.{grant}.1"), outcome);
        }
        orders.extend(site.orders());
    }
    assert_eq!(site.state(&job), JobState::Failed);
    let again = site.rerun(&job, Rerun::Failed).unwrap();
    let view = site.view(&again);
    assert_eq!(view.rerun_of, Some(job.clone()));
    assert_eq!(view.spec.only.unwrap().to_string(), "2,5-6");
    assert_eq!((view.spec.tasks, view.tasks.total), (8, 3));
    assert_eq!(site.orders(), ["node-a run 2.g1: 2"]);
    assert_eq!(site.tasks(&again), ["2 granted node-a", "5-6 pending"]);
    site.restart();
    assert_eq!(site.tasks(&again), ["2 granted node-a", "5-6 pending"]);
    let mut hello = crate::hello("node-a", 1);
    hello.held = vec![crate::held("2.g1", TaskRange::one(2))];
    site.hello(hello);
    site.orders();
    site.ended("node-a", "2.t2.g1.1", Outcome::Succeeded);
    site.ended("node-a", "2.t5.g2.1", failed());
    site.ended("node-a", "2.t6.g3.1", Outcome::Succeeded);
    assert_eq!(site.state(&again), JobState::Failed);
    // What failed again is one task; all that it ran are three.
    let third = site.rerun(&again, Rerun::Failed).unwrap();
    assert_eq!(site.view(&third).spec.only.unwrap().to_string(), "5");
    let fourth = site.rerun(&again, Rerun::All).unwrap();
    assert_eq!(site.view(&fourth).spec.only.unwrap().to_string(), "2,5-6");
}

#[test]
fn a_whole_job_runs_again_and_a_cancelled_one_where_it_had_not_come_to() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(2, |_| {});
    site.ended("node-a", "1.t0.g1.1", Outcome::Succeeded);
    let effects = site.heart.cancel(site.now, &job).unwrap();
    site.follow(effects);
    let rest = site.rerun(&job, Rerun::Failed).unwrap();
    assert_eq!(site.view(&rest).spec.only.unwrap().to_string(), "1");
    let all = site.rerun(&job, Rerun::All).unwrap();
    assert_eq!(site.view(&all).spec.only, None);
    assert!(matches!(
        site.rerun(&all, Rerun::Failed),
        Err(RerunError::NothingFailed(_))
    ));
    let unknown = "default.99".parse().unwrap();
    assert!(matches!(
        site.rerun(&unknown, Rerun::All),
        Err(RerunError::Unknown(_))
    ));
}

#[test]
fn chunks_without_a_task_to_run_are_passed_over() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let only = "5000,20000-20001,999999";
    let job = site.submit(1_000_000, |spec| spec.only = only.parse().ok());
    for (grant, task) in [(1, 5000), (2, 20000)] {
        assert_eq!(site.orders(), [format!("node-a run 1.g{grant}: {task}")]);
        let attempt = format!("1.t{task}.g{grant}.1");
        site.ended("node-a", &attempt, Outcome::Succeeded);
    }
    site.restart();
    let mut hello = crate::hello("node-a", 1);
    hello.held = vec![crate::held("1.g3", TaskRange::one(20001))];
    site.hello(hello);
    assert_eq!(site.full("node-a"), ["node-a full [1.g3: 20001]"]);
    site.orders();
    site.ended("node-a", "1.t20001.g3.1", Outcome::Succeeded);
    assert_eq!(site.orders(), ["node-a run 1.g4: 999999"]);
    site.ended("node-a", "1.t999999.g4.1", Outcome::Succeeded);
    assert_eq!(site.state(&job), JobState::Succeeded);
    let chunks = site.changes.iter().filter_map(|change| match change {
        stint_cluster::Change::Put { key, .. } => Some(key.to_string()),
        stint_cluster::Change::Delete { .. } => None,
    });
    let chunks: std::collections::BTreeSet<String> =
        chunks.filter(|key| key.starts_with("chunk/")).collect();
    assert_eq!(chunks.len(), 3);
}
