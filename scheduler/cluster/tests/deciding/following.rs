//! Jobs that run after others.

use stint_api::id::JobId;
use stint_api::outcome::Outcome;
use stint_api::time::Span;
use stint_api::view::JobState;
use stint_cluster::SubmitError;

use crate::{Site, failed};

impl Site {
    fn after(&mut self, parents: &[&JobId]) -> JobId {
        let parents: Vec<JobId> = parents.iter().map(|id| (*id).clone()).collect();
        self.submit(1, |spec| spec.after = parents)
    }
}

#[test]
fn a_chain_runs_one_after_another() {
    let mut site = Site::with_nodes(&[("node-a", 4)]);
    let first = site.submit(1, |_| {});
    let second = site.after(&[&first]);
    let third = site.after(&[&second]);
    assert_eq!(site.orders(), ["node-a run 1.g1: 0"]);
    let why = site.view(&third).waiting.unwrap();
    assert!(
        why.ends_with("it runs after default.2, which must succeed first"),
        "{why}"
    );
    site.restart();
    site.node("node-a", 4);
    assert_eq!(site.orders(), ["node-a run 1.g2: 0"]);
    site.ended("node-a", "1.t0.g2.1", Outcome::Succeeded);
    assert_eq!(site.orders(), ["node-a run 2.g1: 0"]);
    site.ended("node-a", "2.t0.g1.1", Outcome::Succeeded);
    assert_eq!(site.orders(), ["node-a run 3.g1: 0"]);
    // One that comes late need not wait.
    site.after(&[&first, &second]);
    assert_eq!(site.orders(), ["node-a run 4.g1: 0"]);
}

#[test]
fn a_fan_in_waits_for_the_last_and_its_time_in_the_queue_begins_then() {
    let mut site = Site::with_nodes(&[("node-a", 20)]);
    let parents: Vec<JobId> = (0..20).map(|_| site.submit(1, |_| {})).collect();
    let child = site.submit(1, |spec| {
        spec.after.clone_from(&parents);
        spec.queue_timeout = Some(Span::from_secs(10));
    });
    site.orders();
    site.pass_alive("node-a", Span::from_secs(60));
    for (index, parent) in parents.iter().enumerate() {
        assert_eq!(site.state(&child), JobState::Queued);
        assert!(site.orders().is_empty(), "{index}");
        let attempt = format!("{}.t0.g1.1", parent.number);
        site.ended("node-a", &attempt, Outcome::Succeeded);
    }
    assert_eq!(site.orders(), ["node-a run 21.g1: 0"]);
}

#[test]
fn a_parent_that_fails_or_is_cancelled_ends_its_children_and_theirs() {
    let mut site = Site::with_nodes(&[("node-a", 2)]);
    let first = site.submit(1, |_| {});
    let other = site.submit(1, |_| {});
    let child = site.after(&[&other, &first]);
    let grandchild = site.after(&[&child]);
    site.ended("node-a", "1.t0.g1.1", failed());
    for (job, parent) in [(&child, &first), (&grandchild, &child)] {
        assert_eq!(site.state(job), JobState::Failed);
        let job_failed = Outcome::DependencyFailed {
            job: parent.clone(),
        };
        assert_eq!(site.view(job).first_failure.unwrap().outcome, job_failed);
        assert_eq!(site.story(job), ["submitted", "done"]);
    }
    // Who comes after it has failed is told the same.
    let late = site.after(&[&first]);
    assert_eq!(site.state(&late), JobState::Failed);
    let last = site.after(&[&other]);
    let effects = site.heart.cancel(site.now, &other).unwrap();
    site.follow(effects);
    assert_eq!(site.state(&last), JobState::Failed);
    site.restart();
    assert_eq!(site.state(&last), JobState::Failed);
}

#[test]
fn a_parent_must_be_there_and_of_the_same_namespace() {
    let mut site = Site::new();
    let unknown: JobId = "default.9".parse().unwrap();
    let error = site.try_submit(1, |spec| spec.after = vec![unknown.clone()]);
    assert_eq!(error.unwrap_err(), SubmitError::UnknownParent(unknown));
    let foreign: JobId = "team-a.1".parse().unwrap();
    let error = site.try_submit(1, |spec| spec.after = vec![foreign]);
    assert!(
        matches!(error.unwrap_err(), SubmitError::Invalid(invalid) if invalid.field == "after[0]")
    );
}
