//! Jobs that are over are forgotten in their time, with all that is kept of them.

use stint_api::id::{ClusterId, Digest, JobId};
use stint_api::job::{Input, Split};
use stint_api::outcome::Outcome;
use stint_api::quantity::Bytes;
use stint_api::time::Span;
use stint_api::view::JobState;
use stint_cluster::{Cluster, Config, Keep, SubmitError};

use crate::{MODULE, Site};

const AGE: Span = Span::from_secs(3_600);

impl Site {
    /// A cluster that keeps so many jobs that are over, for an hour, and one node.
    fn keeping(jobs: usize) -> Self {
        let mut site = Self::new();
        let config = Config {
            keep: Keep { jobs, age: AGE },
            ..Config::default()
        };
        let store = crate::restoring::store(&site.changes);
        let records = store
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_slice()));
        let (heart, _) = Cluster::restore(config, site.now, ClusterId(1), records).unwrap();
        site.heart = heart;
        site.node("node-a", 4);
        site
    }

    /// A job of one task that has succeeded.
    fn done(&mut self) -> JobId {
        let job = self.submit(1, |_| {});
        let attempt = format!("{}.t0.g1.1", job.number);
        self.ended("node-a", &attempt, Outcome::Succeeded);
        assert_eq!(self.state(&job), JobState::Succeeded);
        job
    }

    fn keys_of(&self, job: &JobId) -> Vec<String> {
        let store = crate::restoring::store(&self.changes);
        let own = format!("/default/{:010}", job.number);
        store.into_keys().filter(|key| key.contains(&own)).collect()
    }
}

#[test]
fn the_job_that_has_been_over_for_longest_goes_when_there_are_too_many() {
    let mut site = Site::keeping(2);
    let running = site.submit(1, |_| {});
    let jobs: Vec<JobId> = (0..4).map(|_| site.done()).collect();
    site.pass_alive("node-a", Span::from_secs(1));
    let known: Vec<bool> = jobs.iter().map(|job| site.heart.knows(job)).collect();
    assert_eq!(known, [false, false, true, true]);
    assert_eq!(site.keys_of(&jobs[0]), Vec::<String>::new());
    assert_eq!(
        site.keys_of(&jobs[3]).len(),
        3,
        "the job, its chunk and its page"
    );
    assert!(site.heart.job(&jobs[0]).is_none());
    assert_eq!(site.heart.jobs(&Default::default()).unwrap().jobs.len(), 3);
    assert!(!site.state(&running).is_final());
    // A number is not given out again.
    site.restart();
    assert_eq!(site.submit(1, |_| {}).number, 6);
    let error = site.try_submit(1, |spec| spec.after = vec![jobs[0].clone()]);
    assert!(matches!(error, Err(SubmitError::UnknownParent(_))));
}

#[test]
fn a_job_goes_when_it_has_been_over_for_long_enough() {
    let mut site = Site::keeping(100);
    let job = site.done();
    site.pass_alive("node-a", Span::from_secs(60));
    assert!(site.heart.knows(&job));
    site.now = site.now + AGE;
    let effects = site.heart.tick(site.now);
    site.follow(effects);
    assert!(!site.heart.knows(&job));
}

#[test]
fn a_job_that_an_open_one_runs_after_stays() {
    let mut site = Site::keeping(0);
    let busy = site.submit(4, |_| {});
    let first = site.submit(1, |_| {});
    let parents = vec![first.clone()];
    let child = site.submit(1, |spec| spec.after = parents);
    for task in 0..4 {
        let attempt = format!("1.t{task}.g{}.1", task + 1);
        site.ended("node-a", &attempt, Outcome::Succeeded);
    }
    site.ended("node-a", "2.t0.g1.1", Outcome::Succeeded);
    site.pass_alive("node-a", Span::from_secs(1));
    assert!(!site.heart.knows(&busy));
    assert!(site.heart.knows(&first));
    site.ended("node-a", "3.t0.g1.1", Outcome::Succeeded);
    site.pass_alive("node-a", Span::from_secs(1));
    assert!(!site.heart.knows(&first) && !site.heart.knows(&child));
}

#[test]
fn forgetting_that_was_cut_off_is_finished_on_restoring() {
    let mut site = Site::keeping(0);
    let job = site.done();
    let whole = site.changes.len();
    site.pass_alive("node-a", Span::from_secs(1));
    assert!(site.keys_of(&job).is_empty());
    for end in whole..=site.changes.len() {
        let mut store = crate::restoring::store(&site.changes[..end]);
        let records = store.clone();
        let records = records
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_slice()));
        let config = Config::default();
        let (heart, effects) = Cluster::restore(config, site.now, ClusterId(1), records).unwrap();
        assert_eq!(heart.knows(&job), end == whole, "cut at {end}");
        if end > whole {
            crate::restoring::apply(&mut store, &effects.changes);
            let left = store.keys().filter(|key| key.contains("/0000000001"));
            assert_eq!(left.count(), 0, "cut at {end}");
        }
    }
}

#[test]
fn a_module_goes_that_nobody_needs_or_asks_for_any_more_and_no_other() {
    let mut site = Site::keeping(1_000);
    let [old, asked, pushed] = [11, 12, 13].map(|byte| Digest([byte; 32]));
    for module in [old, asked, pushed] {
        site.push(module, Bytes(0));
    }
    let job = site.done();
    let namespace = "default".parse().unwrap();
    let knows = |site: &Site| {
        let modules = site.heart.modules(&namespace).modules;
        modules.iter().map(|one| one.digest).collect::<Vec<_>>()
    };
    site.pass_alive("node-a", Span::from_secs(1_800));
    let wanted = site.heart.module_wanted(site.now, &namespace, &asked);
    assert!(wanted.is_some());
    site.push(pushed, Bytes(0));
    site.pass_alive("node-a", Span::from_secs(1_700));
    assert_eq!(knows(&site), [MODULE, old, asked, pushed]);
    assert_eq!(site.heart.roots().modules.len(), 4);
    // An hour after it was last of use, and the job an hour after its end.
    site.pass_alive("node-a", Span::from_secs(200));
    assert!(!site.heart.knows(&job));
    assert_eq!(knows(&site), [asked, pushed]);
    assert!(site.try_submit(1, |spec| spec.module = old).is_err());
    site.submit(1, |spec| spec.module = asked);
    site.pass_alive("node-a", Span::from_secs(4_000));
    assert_eq!(knows(&site), [asked], "a job that waits or runs needs it");
    let keys = crate::restoring::store(&site.changes).into_keys();
    assert_eq!(keys.filter(|key| key.starts_with("module/")).count(), 1);
}

#[test]
fn the_files_that_a_job_names_are_needed_as_long_as_the_job_is_kept() {
    let mut site = Site::keeping(0);
    let listing = Digest([21; 32]);
    let part = Input {
        name: "part".into(),
        url: "file:///data/*.csv".into(),
        split: Some(Split::Object),
        listing: Some(listing),
        ..Input::default()
    };
    let job = site.submit(1, |spec| spec.inputs = vec![part]);
    assert!(site.heart.roots().files.contains(&listing));
    site.ended("node-a", "1.t0.g1.1", Outcome::Succeeded);
    site.pass_alive("node-a", Span::from_secs(1));
    assert!(!site.heart.knows(&job));
    assert!(!site.heart.roots().files.contains(&listing));
}

#[test]
fn modules_go_although_jobs_end_all_the_time() {
    let mut site = Site::keeping(0);
    let old = Digest([11; 32]);
    site.push(old, Bytes(0));
    let namespace = "default".parse().unwrap();
    site.pass_alive("node-a", Span::from_secs(3_599));
    for _ in 0..15 {
        site.done();
        site.now = site.now + Span::from_millis(100);
        let effects = site.heart.tick(site.now);
        site.follow(effects);
    }
    let modules = site.heart.modules(&namespace).modules;
    assert!(modules.iter().all(|one| one.digest != old));
}
