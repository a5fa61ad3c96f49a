//! What a node says is so: counted once, and only while its grant is outstanding.

use stint_api::id::Generation;
use stint_api::link::{Report, Verdict};
use stint_api::outcome::Outcome;
use stint_api::tasks::TaskRange;
use stint_api::time::Span;
use stint_api::view::JobState;
use stint_cluster::StaleGeneration;

use crate::{Site, failed, id};

#[test]
fn a_job_runs_and_ends_and_its_story_is_told_in_order() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(1, |_| {});
    site.started("node-a", "1.t0.g1.1");
    assert_eq!(site.state(&job), JobState::Running);
    site.ended("node-a", "1.t0.g1.1", Outcome::Succeeded);
    assert_eq!(site.state(&job), JobState::Succeeded);
    assert_eq!(
        site.story(&job),
        ["submitted", "granted", "started", "ended", "done"]
    );
    let seqs: Vec<u64> = site.events.iter().map(|event| event.seq).collect();
    assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]), "{seqs:?}");
}

#[test]
fn what_is_said_twice_counts_once() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(2, |_| {});
    for _ in 0..2 {
        site.started("node-a", "1.t0.g1.1");
        site.ended("node-a", "1.t0.g1.1", Outcome::Succeeded);
    }
    let view = site.view(&job);
    assert_eq!((view.attempts, view.tasks.succeeded), (1, 1));
    assert_eq!(view.usage.cpu, Span::from_millis(5));
    assert_eq!(site.attempts(&job), ["t0.g1.1 succeeded"]);
    assert_eq!(
        site.story(&job)
            .iter()
            .filter(|kind| **kind == "ended")
            .count(),
        1
    );
}

#[test]
fn a_retry_that_is_said_twice_spends_once() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(1, |spec| spec.retries = 2);
    let mut end = site.end("1.t0.g1.1", failed());
    end.verdict = Verdict::Retry { after: Span::ZERO };
    for _ in 0..5 {
        site.report("node-a", Report::Ended(end.clone()));
    }
    assert_eq!(site.view(&job).attempts, 1);
    site.ended("node-a", "1.t0.g1.2", Outcome::Succeeded);
    assert_eq!(site.state(&job), JobState::Succeeded);
}

#[test]
fn an_end_after_the_end_changes_nothing() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(1, |_| {});
    site.ended("node-a", "1.t0.g1.1", failed());
    let over = site.view(&job);
    site.ended("node-a", "1.t0.g1.1", Outcome::Succeeded);
    site.ended("node-a", "1.t0.g1.2", Outcome::Succeeded);
    site.started("node-a", "1.t0.g1.3");
    assert_eq!(site.view(&job), over);
    assert_eq!(over.state, JobState::Failed);
}

#[test]
fn a_node_that_lost_part_of_its_spool_ends_the_task_with_a_try_that_was_counted() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(1, |spec| spec.retries = 3);
    for try_number in 1..=3 {
        let mut end = site.end(&format!("1.t0.g1.{try_number}"), failed());
        end.verdict = Verdict::Retry { after: Span::ZERO };
        site.report("node-a", Report::Ended(end));
    }
    site.ended("node-a", "1.t0.g1.2", Outcome::Succeeded);
    assert_eq!(site.state(&job), JobState::Succeeded);
}

#[test]
fn a_run_of_tasks_ends_as_one_entry_and_its_usage_is_told_once() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(40, |_| {});
    let mut end = site.end("1.t0.g1.1", Outcome::Succeeded);
    end.tasks = TaskRange {
        first: 0,
        count: 10,
    };
    site.report("node-a", Report::Ended(end));
    let view = site.view(&job);
    assert_eq!((view.attempts, view.usage.cpu), (10, Span::from_millis(5)));
    let history = site.history(&job);
    assert_eq!(history.attempts.len(), 1);
    assert_eq!(history.attempts[0].tasks, 10);
}

#[test]
fn an_end_of_tasks_that_the_grant_does_not_hold_is_cut_to_those_it_does() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(40, |_| {});
    let mut end = site.end("1.t0.g1.1", Outcome::Succeeded);
    end.tasks = TaskRange {
        first: 5,
        count: u32::MAX,
    };
    site.report("node-a", Report::Ended(end));
    assert_eq!(site.view(&job).tasks.succeeded, 5);
}

#[test]
fn another_node_may_not_report_of_a_grant() {
    let mut site = Site::with_nodes(&[("node-a", 1), ("node-b", 1)]);
    let job = site.submit(1, |_| {});
    assert_eq!(site.orders(), ["node-a run 1.g1: 0"]);
    site.started("node-b", "1.t0.g1.1");
    site.ended("node-b", "1.t0.g1.1", Outcome::Succeeded);
    assert_eq!(site.tasks(&job), ["0 granted node-a"]);
    assert_eq!(site.state(&job), JobState::Queued);
    assert!(
        site.heart
            .holds(&"node-a".parse().unwrap(), &id("1.t0.g1.1"))
    );
    assert!(
        !site
            .heart
            .holds(&"node-b".parse().unwrap(), &id("1.t0.g1.1"))
    );
}

#[test]
fn an_older_generation_is_refused_and_changes_nothing() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(1, |_| {});
    let old = site.generation("node-a");
    site.node("node-a", 1);
    let end = Report::Ended(site.end("1.t0.g1.1", Outcome::Succeeded));
    let error = site.try_report("node-a", old, vec![end.clone()]);
    assert!(matches!(error, Err(StaleGeneration::Older { .. })));
    let newer = Generation(99);
    assert!(site.try_report("node-a", newer, vec![end.clone()]).is_err());
    let error = site.try_report("node-z", old, vec![end]);
    assert!(matches!(error, Err(StaleGeneration::Unknown { .. })));
    assert_eq!(site.view(&job).tasks.succeeded, 0);
    assert!(site.heart.full(&"node-a".parse().unwrap(), old).is_none());
}

#[test]
fn what_dooms_one_task_dooms_the_job() {
    let mut site = Site::with_nodes(&[("node-a", 2)]);
    let job = site.submit(9, |spec| spec.retries = 9);
    site.orders();
    let why = Outcome::CompileFailed {
        message: "no".into(),
    };
    site.ended("node-a", "1.t1.g2.1", why.clone());
    let view = site.view(&job);
    assert_eq!(view.state, JobState::Failed);
    assert_eq!(view.first_failure.unwrap().outcome, why);
    assert_eq!(site.orders(), [format!("node-a stop 1.g1: {why}")]);
    assert_eq!(site.tasks(&job), ["0-8 failed"]);
    assert_eq!(site.heart.nodes().nodes[0].grants, 0);
}

#[test]
fn a_failure_beyond_the_retries_fails_the_task_and_not_its_neighbours() {
    let mut site = Site::with_nodes(&[("node-a", 2)]);
    let job = site.submit(2, |_| {});
    site.ended("node-a", "1.t0.g1.1", failed());
    assert_eq!(site.state(&job), JobState::Running);
    site.ended("node-a", "1.t1.g2.1", Outcome::Succeeded);
    let view = site.view(&job);
    assert_eq!(view.state, JobState::Failed);
    assert_eq!((view.tasks.succeeded, view.tasks.failed), (1, 1));
    assert_eq!(view.first_failure.unwrap().task, 0);
}

#[test]
fn what_runs_under_a_grant_that_is_gone_is_stopped() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(1, |_| {});
    let effects = site.heart.cancel(site.now, &job).unwrap();
    site.follow(effects);
    site.orders();
    // The order to run came after the one to stop.
    site.started("node-a", "1.t0.g1.1");
    assert_eq!(site.orders(), ["node-a stop 1.g1: node-lost"]);
    assert_eq!(site.state(&job), JobState::Cancelled);
}
