//! Jobs that somebody suspends, and lets go on.

use stint_api::outcome::Outcome;
use stint_api::tasks::TaskRange;
use stint_api::view::JobState;
use stint_cluster::SuspendError;

use crate::Site;

impl Site {
    fn suspend(&mut self, job: &str) -> Result<(), SuspendError> {
        let effects = self.heart.suspend(self.now, &job.parse().unwrap())?;
        self.follow(effects);
        Ok(())
    }

    fn resume(&mut self, job: &str) -> Result<(), SuspendError> {
        let effects = self.heart.resume(self.now, &job.parse().unwrap())?;
        self.follow(effects);
        Ok(())
    }
}

#[test]
fn what_runs_may_end_and_nothing_more_is_started_until_it_is_resumed() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(8, |_| {});
    site.submit(1, |_| {});
    assert_eq!(site.orders(), ["node-a run 1.g1: 0-1"]);
    for _ in 0..2 {
        site.suspend("1").unwrap();
    }
    assert_eq!(site.orders(), ["node-a give back 1.g1"]);
    assert_eq!(site.full("node-a")[1], "node-a give back 1.g1");
    site.gave_back("node-a", "1.g1", &[TaskRange::one(1)]);
    assert!(site.orders().is_empty());
    site.ended("node-a", "1.t0.g1.1", Outcome::Succeeded);
    // Its room goes to others.
    assert_eq!(site.orders(), ["node-a run 2.g1: 0"]);
    let view = site.view(&job);
    assert_eq!(view.suspended_at, Some(site.now));
    let why = "7 of 8 tasks wait: the job is suspended; stint resume JOB";
    assert_eq!(view.waiting.as_deref(), Some(why));
    site.restart();
    site.node("node-a", 1);
    assert_eq!(site.orders(), ["node-a run 2.g2: 0"]);
    site.ended("node-a", "2.t0.g2.1", Outcome::Succeeded);
    assert!(site.orders().is_empty());
    for _ in 0..2 {
        site.resume("1").unwrap();
    }
    assert_eq!(site.orders(), ["node-a run 1.g2: 1"]);
    assert_eq!(site.view(&job).suspended_at, None);
    let story = [
        "submitted",
        "granted",
        "suspended",
        "returned",
        "ended",
        "resumed",
        "granted",
    ];
    let told: Vec<_> = site.story(&job);
    assert_eq!(
        told.iter()
            .filter(|kind| **kind != "node-lost")
            .copied()
            .collect::<Vec<_>>(),
        story
    );
}

#[test]
fn a_suspended_job_that_has_nothing_left_to_start_ends_and_can_be_cancelled() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(1, |_| {});
    let other = site.submit(1, |_| {});
    site.suspend("1").unwrap();
    site.suspend("2").unwrap();
    site.ended("node-a", "1.t0.g1.1", Outcome::Succeeded);
    assert_eq!(site.state(&job), JobState::Succeeded);
    let effects = site.heart.cancel(site.now, &other).unwrap();
    site.follow(effects);
    assert_eq!(site.state(&other), JobState::Cancelled);
    let error = site.suspend("2").unwrap_err().to_string();
    assert_eq!(error, "job `default.2` is over: it was cancelled");
    let error = site.resume("1").unwrap_err().to_string();
    assert_eq!(error, "job `default.1` is over: it succeeded");
    let unknown = site.suspend("9").unwrap_err();
    assert!(matches!(unknown, SuspendError::Unknown(_)));
}
