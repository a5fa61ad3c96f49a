//! What a job says itself: how many tasks may fail, what is tried again and how,
//! how long things may take, and where its tasks may run.

use stint_api::link::{Report, Verdict};
use stint_api::outcome::{DeadlineScope, Outcome};
use stint_api::quantity::Bytes;
use stint_api::retry::RetryRule;
use stint_api::time::Span;
use stint_api::view::JobState;
use stint_cluster::SubmitError;

use crate::{Site, failed, hello};

fn rule(text: &str) -> RetryRule {
    serde_json::from_str(text).unwrap()
}

fn more_memory() -> RetryRule {
    rule(r#"{"on": "guest-memory-limit", "memory_factor": 2, "up_to": "150Mi"}"#)
}

fn refused(limit: Bytes) -> Outcome {
    Outcome::GuestMemoryLimit {
        asked: limit,
        limit,
        peak: limit,
        code: Some(1),
        trap: None,
    }
}

impl Site {
    /// The node gives the task back after an attempt that ended so.
    fn returned(&mut self, name: &str, attempt: &str, outcome: Outcome, wall: Span) {
        let mut end = self.end(attempt, outcome);
        end.verdict = Verdict::Returned;
        end.usage.wall = wall;
        self.report(name, Report::Ended(end));
    }

    /// What the newest order of the node grants: the memory of the slot, and the time left.
    fn newest_grant(&self, name: &str) -> (Bytes, Option<Span>) {
        let node = crate::node_id(name);
        let full = self.heart.full(&node, self.generation(name)).unwrap();
        let [stint_api::link::Order::Full { grants }, ..] = full.orders.as_slice() else {
            panic!("{full:?}");
        };
        let newest = grants.iter().max_by_key(|grant| grant.id.grant).unwrap();
        (newest.plan.limits.memory, newest.budget.time)
    }
}

#[test]
fn a_job_with_too_many_failed_tasks_is_given_up() {
    let mut site = Site::with_nodes(&[("node-a", 3)]);
    let job = site.submit(4, |spec| spec.max_failed = Some(1));
    site.orders();
    site.ended("node-a", "1.t0.g1.1", failed());
    assert_eq!(site.state(&job), JobState::Running);
    site.started("node-a", "1.t2.g3.1");
    site.orders();
    site.ended("node-a", "1.t1.g2.1", failed());
    assert_eq!(site.state(&job), JobState::Failed);
    let stops = ["node-a stop 1.g3: cancelled", "node-a stop 1.g4: cancelled"];
    assert_eq!(site.orders(), stops);
    let view = site.view(&job);
    assert_eq!((view.tasks.failed, view.tasks.granted), (4, 0));
    assert_eq!(view.first_failure.unwrap().outcome, failed());
}

#[test]
fn a_rule_lets_a_task_fail_at_once() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(1, |spec| {
        spec.retries = 5;
        spec.retry = vec![rule(r#"{"on": "exit:42", "do": "fail"}"#)];
    });
    // Whatever the node says that it would do.
    site.returned("node-a", "1.t0.g1.1", failed(), Span::ZERO);
    assert_eq!(site.tasks(&job), ["0 granted node-a"]);
    let fatal = Outcome::Exited { code: 42 };
    site.returned("node-a", "1.t0.g2.1", fatal, Span::ZERO);
    assert_eq!(site.state(&job), JobState::Failed);
}

#[test]
fn a_task_that_was_refused_memory_is_tried_with_more_up_to_the_limit() {
    let mut site = Site::with_nodes(&[("node-a", 3)]);
    let job = site.submit(3, |spec| {
        spec.retries = 5;
        spec.retry = vec![more_memory()];
        spec.parallelism = Some(1);
    });
    let own = Bytes::mebi(64);
    assert_eq!(site.newest_grant("node-a").0, own);
    site.returned("node-a", "1.t0.g1.1", refused(own), Span::ZERO);
    // The tasks of the job's own memory and the larger one are placed apart.
    site.ended("node-a", "1.t1.g2.1", Outcome::Succeeded);
    site.orders();
    site.restart();
    let mut again = hello("node-a", 3);
    again.held = vec![crate::held("1.g3", stint_api::tasks::TaskRange::one(2))];
    site.hello(again);
    site.ended("node-a", "1.t2.g3.1", Outcome::Succeeded);
    assert_eq!(site.orders(), ["node-a run 1.g4: 0"]);
    assert_eq!(site.newest_grant("node-a").0, Bytes::mebi(128));
    let free = site.heart.nodes().nodes[0].free;
    assert_eq!(free.memory, Bytes::mebi(64));
    site.returned("node-a", "1.t0.g4.1", refused(own), Span::ZERO);
    assert_eq!(site.newest_grant("node-a").0, Bytes::mebi(150));
    // It had all that it may have: this was the last.
    site.returned("node-a", "1.t0.g5.1", refused(own), Span::ZERO);
    assert_eq!(site.state(&job), JobState::Failed);
    assert_eq!(site.view(&job).attempts, 5);
}

#[test]
fn a_task_that_needs_a_larger_slot_holds_up_no_other() {
    let mut site = Site::with_nodes(&[("node-a", 2)]);
    let job = site.submit(6, |spec| {
        spec.retries = 5;
        spec.retry = vec![rule(
            r#"{"on": "guest-memory-limit", "memory_factor": 2, "up_to": "128Mi"}"#,
        )];
    });
    assert_eq!(site.orders(), ["node-a run 1.g1: 0", "node-a run 1.g2: 1"]);
    site.returned("node-a", "1.t0.g1.1", refused(Bytes::mebi(64)), Span::ZERO);
    // 128Mi are not free while another slot runs.
    assert_eq!(site.orders(), ["node-a run 1.g3: 2"]);
    let mut free = vec![(1, 2), (2, 3)];
    let mut done = 0;
    while let Some((task, grant)) = free.pop() {
        site.ended(
            "node-a",
            &format!("1.t{task}.g{grant}.1"),
            Outcome::Succeeded,
        );
        done += 1;
        for order in site.orders() {
            let (grant, task) = order
                .strip_prefix("node-a run 1.g")
                .unwrap()
                .split_once(": ")
                .unwrap();
            free.push((task.parse().unwrap(), grant.parse().unwrap()));
        }
    }
    assert_eq!(done, 6);
    assert_eq!(site.state(&job), JobState::Succeeded);
}

#[test]
fn what_memory_may_grow_to_must_fit_on_some_node() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let change = |spec: &mut stint_api::job::JobSpec| {
        spec.retries = 1;
        spec.retry = vec![more_memory()];
    };
    let error = site.try_submit(1, change).unwrap_err();
    assert!(
        matches!(error, SubmitError::NeverFits { need, .. } if need.memory == Bytes::mebi(150))
    );
}

#[test]
fn a_task_has_its_time_for_all_its_attempts_together() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(1, |spec| {
        spec.retries = 9;
        spec.task_timeout = Some(Span::from_secs(10));
    });
    assert_eq!(site.newest_grant("node-a").1, Some(Span::from_secs(10)));
    site.returned("node-a", "1.t0.g1.1", failed(), Span::from_secs(4));
    assert_eq!(site.newest_grant("node-a").1, Some(Span::from_secs(6)));
    // What the cluster does to it costs it no time.
    site.returned("node-a", "1.t0.g2.1", Outcome::NodeLost, Span::from_secs(3));
    assert_eq!(site.newest_grant("node-a").1, Some(Span::from_secs(6)));
    let end = Outcome::Deadline {
        scope: DeadlineScope::Task,
    };
    site.ended("node-a", "1.t0.g3.1", end.clone());
    assert_eq!(site.state(&job), JobState::Failed);
    assert_eq!(site.view(&job).first_failure.unwrap().outcome, end);
}

#[test]
fn a_job_ends_when_its_time_is_over_however_its_tasks_are() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(4, |spec| spec.job_timeout = Some(Span::from_secs(60)));
    let patient = site.submit(1, |spec| spec.job_timeout = Some(Span::from_secs(60)));
    site.started("node-a", "1.t0.g1.1");
    site.orders();
    site.restart();
    let mut again = hello("node-a", 1);
    again.held = vec![crate::held("1.g1", stint_api::tasks::TaskRange::one(0))];
    site.hello(again);
    site.pass_alive("node-a", Span::from_secs(59));
    assert_eq!(site.state(&job), JobState::Running);
    site.pass_alive("node-a", Span::from_secs(2));
    assert_eq!(site.state(&job), JobState::Failed);
    let of_job = Outcome::Deadline {
        scope: DeadlineScope::Job,
    };
    assert_eq!(site.view(&job).first_failure.unwrap().outcome, of_job);
    let orders = site.orders();
    assert_eq!(
        orders,
        [
            "node-a stop 1.g1: deadline of the job",
            "node-a run 2.g1: 0"
        ]
    );
    // The time of a job begins with its first start.
    site.pass_alive("node-a", Span::from_secs(100));
    assert_eq!(site.state(&patient), JobState::Queued);
}

#[test]
fn a_job_that_finds_no_place_in_time_is_given_up_and_one_that_did_is_not() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let limit = Some(Span::from_secs(30));
    let placed = site.submit(1, |spec| spec.queue_timeout = limit);
    let waits = site.submit(1, |spec| spec.queue_timeout = limit);
    site.pass_alive("node-a", Span::from_secs(31));
    assert_eq!(site.state(&placed), JobState::Queued);
    assert_eq!(site.state(&waits), JobState::Failed);
    let end = Outcome::Deadline {
        scope: DeadlineScope::Queue,
    };
    assert_eq!(site.view(&waits).first_failure.unwrap().outcome, end);
    // A place that is lost before anything started is none.
    site.pass(crate::SILENCE);
    assert_eq!(site.state(&placed), JobState::Failed);
}

#[test]
fn tasks_run_where_the_labels_allow_it() {
    let mut site = Site::new();
    for (name, zone) in [("node-a", "eu"), ("node-b", "us")] {
        let mut hello = hello(name, 2);
        hello.labels.insert("zone".to_owned(), zone.to_owned());
        site.hello(hello);
    }
    let only = |constraint: &str| vec![constraint.parse().unwrap()];
    let job = site.submit(3, |spec| spec.constraints = only("zone=us"));
    assert_eq!(site.orders(), ["node-b run 1.g1: 0", "node-b run 1.g2: 1"]);
    let why = site.view(&job).waiting.unwrap();
    assert!(why.contains("1 of 2 nodes lacks CPU"), "{why}");
    assert!(
        why.contains("1 is not what its constraints ask for"),
        "{why}"
    );
    // Where no node has the labels, one may yet join.
    let future = site.submit(1, |spec| {
        spec.constraints = only("gpu");
        spec.memory = Bytes::mebi(1 << 20);
    });
    let why = site.view(&future).waiting.unwrap();
    assert!(
        why.contains("2 of 2 nodes are not what its constraints ask for"),
        "{why}"
    );
    let error = site.try_submit(1, |spec| {
        spec.constraints = only("zone!=us");
        spec.memory = Bytes::mebi(1 << 20);
    });
    let Err(SubmitError::NeverFits { node, .. }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(node.as_str(), "node-a");
    // A node that comes back with other labels is another one to the placement.
    let mut other = hello("node-a", 2);
    other.labels.insert("gpu".to_owned(), "a100".to_owned());
    other.capacity.memory = Bytes::mebi(2 << 20);
    site.hello(other);
    assert_eq!(site.orders(), ["node-a run 2.g1: 0"]);
}
