//! Many jobs in one submit: all of them, or none, and each of them once.

use std::collections::BTreeMap;

use stint_api::id::{ClusterId, Digest};
use stint_api::job::JobSpec;
use stint_cluster::{BatchError, Change, Cluster, Config, IdempotencyKey, JobsQuery, Submission};

use crate::{Site, spec};

fn key(body: u8) -> IdempotencyKey {
    IdempotencyKey {
        key: "batch".to_owned(),
        body: Digest([body; 32]),
    }
}

fn specs(count: u32) -> Vec<JobSpec> {
    (1..=count).map(spec).collect()
}

impl Site {
    fn batch(&mut self, specs: Vec<JobSpec>, body: u8) -> Result<Vec<Submission>, BatchError> {
        let (answers, effects) = self.heart.submit_batch(self.now, specs, Some(&key(body)))?;
        self.follow(effects);
        Ok(answers)
    }
}

fn numbers(answers: &[Submission]) -> Vec<u64> {
    answers.iter().map(|one| one.id().number).collect()
}

#[test]
fn a_batch_becomes_jobs_in_its_order_and_said_again_the_same_ones() {
    let mut site = Site::with_nodes(&[("node-a", 2)]);
    let made = site.batch(specs(3), 1).unwrap();
    assert_eq!(numbers(&made), [1, 2, 3]);
    assert!(made.iter().all(|one| matches!(one, Submission::New(_))));
    assert_eq!(site.orders(), ["node-a run 1.g1: 0", "node-a run 2.g1: 0"]);
    let again = site.batch(specs(3), 1).unwrap();
    assert_eq!(numbers(&again), [1, 2, 3]);
    assert!(again.iter().all(|one| matches!(one, Submission::Known(_))));
    let other = site.batch(specs(3), 2).unwrap_err();
    assert!(matches!(other, BatchError::Job { index: 0, .. }));
    // The jobs of a batch have no key that a single submit could hit.
    let single = site.heart.submit(site.now, spec(1), Some(key(1))).unwrap();
    assert!(matches!(single.0, Submission::New(_)));
}

#[test]
fn one_that_is_refused_refuses_all() {
    let mut site = Site::new();
    let mut some = specs(3);
    some[1].tasks = 0;
    let error = site.batch(some, 1).unwrap_err();
    assert!(matches!(error, BatchError::Job { index: 1, .. }));
    let none = site.batch(Vec::new(), 1).unwrap_err();
    assert_eq!(none.to_string(), "a batch has 1 to 10000 jobs, not 0");
    assert!(
        site.heart
            .jobs(&JobsQuery::default())
            .unwrap()
            .jobs
            .is_empty()
    );
}

#[test]
fn a_batch_that_was_cut_off_is_completed_when_it_is_said_again() {
    let mut site = Site::new();
    let before = site.changes.len();
    site.batch(specs(4), 1).unwrap();
    let all = std::mem::take(&mut site.changes);
    for cut in before..=all.len() {
        let mut store = BTreeMap::new();
        for change in &all[..cut] {
            if let Change::Put { key, bytes } = change {
                store.insert(key.to_string(), bytes.clone());
            }
        }
        let records = store
            .iter()
            .map(|(key, bytes)| (key.as_str(), bytes.as_slice()));
        let config = Config::default();
        let (heart, _) = Cluster::restore(config, site.now, ClusterId(1), records).unwrap();
        site.heart = heart;
        let ids = numbers(&site.batch(specs(4), 1).unwrap());
        assert_eq!(ids.len(), 4);
        let jobs = site.heart.jobs(&JobsQuery::default()).unwrap().jobs;
        assert_eq!(jobs.len(), 4, "cut at {cut}: {ids:?}");
        let tasks: Vec<u32> = ids
            .iter()
            .map(|number| {
                site.view(&format!("default.{number}").parse().unwrap())
                    .tasks
                    .total
            })
            .collect();
        assert_eq!(tasks, [1, 2, 3, 4]);
    }
}
