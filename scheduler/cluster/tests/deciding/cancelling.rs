//! Somebody cancels.

use stint_api::outcome::Outcome;
use stint_api::view::JobState;
use stint_cluster::CancelError;

use crate::Site;

fn cancel(site: &mut Site, id: &stint_api::id::JobId) {
    let effects = site.heart.cancel(site.now, id).unwrap();
    site.follow(effects);
}

#[test]
fn a_cancelled_job_is_over_at_once_and_what_runs_is_stopped() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(3, |_| {});
    let next = site.submit(1, |_| {});
    site.started("node-a", "1.t0.g1.1");
    site.orders();
    cancel(&mut site, &job);
    let view = site.view(&job);
    assert_eq!(view.state, JobState::Cancelled);
    assert_eq!((view.tasks.failed, view.tasks.granted), (3, 0));
    assert_eq!(view.first_failure.unwrap().outcome, Outcome::Cancelled);
    // Its slot goes to who waited.
    assert_eq!(
        site.orders(),
        ["node-a stop 1.g1: cancelled", "node-a run 2.g1: 0"]
    );
    assert_eq!(site.tasks(&next), ["0 granted node-a"]);
    assert_eq!(site.attempts(&job), ["t0.g1.1 cancelled"]);
}

#[test]
fn what_is_still_reported_of_a_cancelled_job_changes_nothing() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(1, |_| {});
    site.started("node-a", "1.t0.g1.1");
    cancel(&mut site, &job);
    let over = site.view(&job);
    site.ended("node-a", "1.t0.g1.1", Outcome::Succeeded);
    assert_eq!(site.view(&job), over);
    assert_eq!(site.full("node-a"), ["node-a full []"]);
}

#[test]
fn a_job_that_waits_is_cancelled_without_a_word_to_anybody() {
    let mut site = Site::new();
    let job = site.submit(2, |_| {});
    cancel(&mut site, &job);
    assert_eq!(site.story(&job), ["submitted", "done"]);
    site.node("node-a", 2);
    assert!(site.orders().is_empty());
}

#[test]
fn a_job_that_is_over_stays_as_it_is() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(1, |_| {});
    site.ended("node-a", "1.t0.g1.1", Outcome::Succeeded);
    let over = site.view(&job);
    cancel(&mut site, &job);
    assert_eq!(site.view(&job), over);
}

#[test]
fn tasks_that_succeeded_before_stay_succeeded() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(3, |_| {});
    site.ended("node-a", "1.t0.g1.1", Outcome::Succeeded);
    cancel(&mut site, &job);
    assert_eq!(site.tasks(&job), ["0 succeeded", "1-2 failed"]);
    assert_eq!(site.view(&job).first_failure.unwrap().task, 1);
}

#[test]
fn there_must_be_such_a_job() {
    let mut site = Site::new();
    let id = "default.9".parse().unwrap();
    let error = site.heart.cancel(site.now, &id).unwrap_err();
    assert_eq!(error, CancelError::Unknown(id));
}
