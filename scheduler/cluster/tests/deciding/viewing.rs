//! What is shown: pages of jobs, tasks, results, and why a job waits.

use serde_json::value::RawValue;
use stint_api::explain::Wait;
use stint_api::link::{RESULT_BYTES_MAX, Report};
use stint_api::outcome::Outcome;
use stint_api::quantity::{Bytes, Millicores};
use stint_api::time::Span;
use stint_cluster::{JobsError, JobsQuery};

use crate::{MODULE, SILENCE, Site, hello};

fn numbers(list: &stint_api::view::JobList) -> Vec<u64> {
    list.jobs.iter().map(|job| job.id.number).collect()
}

#[test]
fn jobs_are_listed_newest_first_and_page_by_page() {
    let mut site = Site::new();
    for _ in 0..5 {
        site.submit(1, |_| {});
        site.now = site.now + Span::from_nanos(1);
    }
    let mut query = JobsQuery {
        limit: Some(2),
        ..JobsQuery::default()
    };
    let mut seen = Vec::new();
    loop {
        let page = site.heart.jobs(&query).unwrap();
        seen.push(numbers(&page));
        // Who submits meanwhile disturbs nobody.
        site.submit(1, |_| {});
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, [vec![5, 4], vec![3, 2], vec![1]]);
}

#[test]
fn a_list_may_be_of_one_namespace() {
    let mut site = Site::new();
    site.submit(1, |_| {});
    let namespace = Some("team-a".parse().unwrap());
    let query = JobsQuery {
        namespace,
        ..JobsQuery::default()
    };
    assert!(site.heart.jobs(&query).unwrap().jobs.is_empty());
    assert_eq!(
        numbers(&site.heart.jobs(&JobsQuery::default()).unwrap()),
        [1]
    );
}

#[test]
fn a_cursor_or_limit_that_is_none_is_refused() {
    let site = Site::new();
    for cursor in ["", "!!", "5", "x-default.1", "5-default"] {
        let query = JobsQuery {
            cursor: Some(cursor.to_owned()),
            ..JobsQuery::default()
        };
        let error = site.heart.jobs(&query).unwrap_err();
        assert_eq!(error, JobsError::Cursor(cursor.to_owned()));
    }
    for limit in [0, 1_001] {
        let query = JobsQuery {
            limit: Some(limit),
            ..JobsQuery::default()
        };
        assert_eq!(
            site.heart.jobs(&query).unwrap_err(),
            JobsError::Limit(limit)
        );
    }
}

#[test]
fn a_page_of_large_jobs_is_short() {
    let mut site = Site::new();
    for _ in 0..200 {
        site.submit(1, |spec| spec.args = vec!["x".repeat(128 << 10)]);
    }
    let query = JobsQuery {
        limit: Some(1_000),
        ..JobsQuery::default()
    };
    let page = site.heart.jobs(&query).unwrap();
    assert!(page.next.is_some() && page.jobs.len() < 200);
}

#[test]
fn results_are_read_from_pages_by_task() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(40, |_| {});
    let mut end = site.end("1.t0.g1.1", Outcome::Succeeded);
    end.tasks.count = 10;
    let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
    let large = format!(
        "\"{}\"",
        "x".repeat(usize::try_from(RESULT_BYTES_MAX).unwrap())
    );
    end.results = [
        (7, raw("{\"b\":2}")),
        (3, raw("1")),
        (4, raw(&large)),
        // Of a task that the run does not cover.
        (11, raw("3")),
    ]
    .into();
    site.report("node-a", Report::Ended(end));
    let history = site.history(&job);
    let results: Vec<_> = history
        .results
        .iter()
        .map(|line| (line.task, line.result.get()))
        .collect();
    assert_eq!(results, [(3, "1"), (7, "{\"b\":2}")]);
    assert!(!history.truncated);
}

#[test]
fn the_tasks_of_a_large_job_are_shown_page_by_page() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(1_000, |_| {});
    for (first, outcome) in [(0, Outcome::Succeeded), (7, crate::failed())] {
        let mut end = site.end(&format!("1.t{first}.g1.1"), outcome);
        end.tasks.count = 7;
        site.report("node-a", Report::Ended(end));
    }
    let page = |from, limit| {
        let (page, _) = site.heart.tasks(&job, from, limit).unwrap();
        let runs = page.runs.into_iter().map(|run| run.tasks);
        (runs.collect::<Vec<_>>().join(" "), page.next)
    };
    assert_eq!(page(0, 4), ("0-6 7-13 14-63 64-999".to_owned(), None));
    assert_eq!(page(0, 2), ("0-6 7-13".to_owned(), Some(14)));
    assert_eq!(page(14, 1), ("14-63".to_owned(), Some(64)));
    assert_eq!(page(70, 1), ("70-999".to_owned(), None));
    assert_eq!(page(5, 1), ("5-6".to_owned(), Some(7)));
    assert_eq!(page(1_000, 1), (String::new(), None));
    assert_eq!(page(u32::MAX, 1), (String::new(), None));
}

#[test]
fn what_failed_leaves_no_result() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(1, |_| {});
    let mut end = site.end("1.t0.g1.1", crate::failed());
    end.results = [(0, RawValue::from_string("1".to_owned()).unwrap())].into();
    site.report("node-a", Report::Ended(end));
    assert!(site.history(&job).results.is_empty());
}

#[test]
fn the_history_is_bounded_and_says_so() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(1, |spec| spec.retries = 1_000);
    for try_number in 1..=10_001 {
        let mut end = site.end(&format!("1.t0.g1.{try_number}"), crate::failed());
        end.verdict = stint_api::link::Verdict::Retry { after: Span::ZERO };
        site.report("node-a", Report::Ended(end));
    }
    let history = site.history(&job);
    assert_eq!(history.attempts.len(), 10_000);
    assert!(history.truncated);
    assert_eq!(site.view(&job).attempts, 10_001);
}

#[test]
fn why_a_job_waits_is_said_with_numbers() {
    let mut site = Site::new();
    let job = site.submit(3, |spec| spec.parallelism = Some(2));
    let why = |site: &Site| site.view(&job).waiting.unwrap();
    assert_eq!(
        why(&site),
        "all 3 tasks wait: no node has joined yet; start one: stint node --join URL"
    );
    let mut small = hello("node-a", 1);
    small.capacity.memory = Bytes::mebi(32);
    site.hello(small);
    assert_eq!(
        why(&site),
        "all 3 tasks wait: the one node is too small: the largest, `node-a`, has cpu 1, \
         memory 32Mi, scratch 64Mi; position 1 in queue default"
    );
    site.node("node-a", 1);
    assert_eq!(
        why(&site),
        "2 of 3 tasks wait: the one node lacks CPU: need 1, free 0; 1 lacks memory: need 64Mi, \
         free 0; 1 lacks scratch: need 64Mi, free 0; position 1 in queue default"
    );
    site.node("node-b", 2);
    assert_eq!(
        why(&site),
        "1 of 3 tasks wait: 2 run, as many as its parallelism allows"
    );
    site.pass(SILENCE);
    assert_eq!(
        why(&site),
        "all 3 tasks wait: 2 of 2 nodes are lost; position 1 in queue default"
    );
    site.node("node-b", 0);
    let explained = site.heart.explain(&job).unwrap();
    assert_eq!(explained.summary.as_deref(), Some(why(&site).as_str()));
    let Some(Wait::Room { nodes, queue, .. }) = explained.wait else {
        panic!("{explained:?}");
    };
    assert_eq!((nodes.total, nodes.lost, nodes.too_small), (2, 1, 1));
    assert_eq!(queue.position, 1);
}

#[test]
fn who_waits_behind_others_is_told_so() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    for _ in 0..3 {
        site.submit(1, |_| {});
        site.now = site.now + Span::from_nanos(1);
    }
    let last = "default.3".parse().unwrap();
    let why = site.view(&last).waiting.unwrap();
    assert!(why.ends_with("; position 2 in queue default"), "{why}");
    let first = "default.1".parse().unwrap();
    assert_eq!(site.view(&first).waiting, None);
}

#[test]
fn nodes_and_modules_are_shown() {
    let mut site = Site::with_nodes(&[("node-b", 2), ("node-a", 1)]);
    site.submit(1, |spec| spec.cpu = Millicores(500));
    let nodes = site.heart.nodes().nodes;
    let names: Vec<&str> = nodes.iter().map(|node| node.id.as_str()).collect();
    assert_eq!(names, ["node-a", "node-b"]);
    let grants: u32 = nodes.iter().map(|node| node.grants).sum();
    assert_eq!(grants, 1);
    let namespace = "default".parse().unwrap();
    let modules = site.heart.modules(&namespace).modules;
    assert_eq!(modules.len(), 1);
    assert_eq!(site.heart.module(&namespace, &MODULE), modules.first());
    let other = "team-a".parse().unwrap();
    assert!(site.heart.modules(&other).modules.is_empty());
}
