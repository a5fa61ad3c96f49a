//! Whose failure it is: lost workers are free, up to the third.

use stint_api::link::{Report, Verdict};
use stint_api::outcome::Outcome;
use stint_api::time::Span;
use stint_api::view::JobState;

use crate::{Site, failed};

fn lost() -> Outcome {
    Outcome::WorkerLost { signal: 9 }
}

#[test]
fn the_third_lost_worker_makes_a_task_poison() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(1, |spec| spec.retries = 9);
    for try_number in 1..=2 {
        let mut end = site.end(&format!("1.t0.g1.{try_number}"), lost());
        end.verdict = Verdict::Retry { after: Span::ZERO };
        site.report("node-a", Report::Ended(end));
    }
    assert_eq!(site.state(&job), JobState::Running);
    site.ended("node-a", "1.t0.g1.3", lost());
    let view = site.view(&job);
    assert_eq!(view.state, JobState::Failed);
    assert_eq!(view.first_failure.unwrap().outcome, lost());
}

#[test]
fn losses_are_counted_over_grants_and_the_node_is_avoided() {
    let mut site = Site::with_nodes(&[("node-a", 1), ("node-b", 1)]);
    let job = site.submit(1, |_| {});
    assert_eq!(site.orders(), ["node-a run 1.g1: 0"]);
    let start_failed = || Outcome::StartFailed {
        step: "fork".into(),
    };
    let mut end = site.end("1.t0.g1.1", start_failed());
    end.verdict = Verdict::Returned;
    site.report("node-a", Report::Ended(end));
    assert_eq!(site.orders(), ["node-b run 1.g2: 0"]);
    let mut end = site.end("1.t0.g2.1", lost());
    end.verdict = Verdict::Returned;
    site.report("node-b", Report::Ended(end));
    assert_eq!(site.orders(), ["node-a run 1.g3: 0"]);
    site.ended("node-a", "1.t0.g3.1", lost());
    assert_eq!(site.state(&job), JobState::Failed);
    assert_eq!(site.view(&job).attempts, 3);
}

#[test]
fn a_final_loss_that_is_not_the_third_is_tried_elsewhere() {
    let mut site = Site::with_nodes(&[("node-a", 1), ("node-b", 1)]);
    let job = site.submit(1, |_| {});
    site.orders();
    site.ended("node-a", "1.t0.g1.1", lost());
    assert_eq!(site.orders(), ["node-b run 1.g2: 0"]);
    assert_eq!(site.state(&job), JobState::Running);
}

#[test]
fn lost_workers_spend_no_retry_and_failures_no_loss() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(1, |spec| spec.retries = 1);
    for (try_number, outcome) in [(1, lost()), (2, failed()), (3, lost())] {
        let mut end = site.end(&format!("1.t0.g1.{try_number}"), outcome);
        end.verdict = Verdict::Retry { after: Span::ZERO };
        site.report("node-a", Report::Ended(end));
    }
    assert_eq!(site.state(&job), JobState::Running);
    site.ended("node-a", "1.t0.g1.4", failed());
    assert_eq!(site.view(&job).first_failure.unwrap().outcome, failed());
}

#[test]
fn a_returned_failure_beyond_the_retries_is_the_last() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(1, |_| {});
    let mut end = site.end("1.t0.g1.1", failed());
    end.verdict = Verdict::Returned;
    site.report("node-a", Report::Ended(end));
    assert_eq!(site.state(&job), JobState::Failed);
}
