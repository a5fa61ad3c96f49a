//! Grants: runs of tasks, what a node may spend on them, and numbers that are
//! never used again; over the border of a chunk too.

use stint_api::link::{Grant, Order, Verdict};
use stint_api::outcome::Outcome;
use stint_api::tasks::TaskRange;
use stint_api::time::Span;
use stint_api::view::JobState;

use crate::{Site, failed, node_id};

fn grants(site: &Site, name: &str) -> Vec<Grant> {
    let orders = site.heart.full(&node_id(name), site.generation(name));
    let orders = orders.unwrap().orders;
    match orders.into_iter().next() {
        Some(Order::Full { grants }) => grants,
        other => panic!("not the full orders: {other:?}"),
    }
}

#[test]
fn many_tasks_are_granted_in_runs_and_the_last_ones_alone() {
    let mut site = Site::with_nodes(&[("node-a", 2)]);
    let id = site.submit(80, |_| {});
    // A fourth of what each of two slots would get, so that both end together.
    assert_eq!(
        site.orders(),
        ["node-a run 1.g1: 0-9", "node-a run 1.g2: 10-17"]
    );
    let mut number = 0;
    while site.state(&id) != JobState::Succeeded {
        number += 1;
        let grant = grants(&site, "node-a").remove(0);
        let run = grant.tasks[0];
        let first = grant.id.attempt(run.first, 1).to_string();
        let mut end = site.end(first.strip_prefix("default.").unwrap(), Outcome::Succeeded);
        end.tasks = run;
        site.report("node-a", stint_api::link::Report::Ended(end));
    }
    assert!(
        number > 8,
        "the last tasks are granted in smaller runs: {number} grants"
    );
    assert_eq!(site.tasks(&id), ["0-79 succeeded"]);
}

#[test]
fn a_grant_carries_the_plan_and_what_is_left_of_the_budget() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    site.submit(1, |spec| {
        spec.retries = 3;
        spec.args = vec!["--fast".into()];
        spec.timeout = Span::from_secs(9);
    });
    let first = grants(&site, "node-a").remove(0);
    assert_eq!((first.budget.retries, first.budget.losses), (3, 2));
    assert_eq!(first.plan.args, ["--fast"]);
    assert_eq!(
        (first.plan.timeout, first.plan.task_count),
        (Span::from_secs(9), 1)
    );
    // Two failures of its own, then the node gives it back.
    for try_number in 1..=2 {
        let mut end = site.end(&format!("1.t0.g1.{try_number}"), failed());
        end.verdict = Verdict::Retry { after: Span::ZERO };
        site.report("node-a", stint_api::link::Report::Ended(end));
    }
    let mut end = site.end("1.t0.g1.3", Outcome::NodeLost);
    end.verdict = Verdict::Returned;
    site.report("node-a", stint_api::link::Report::Ended(end));
    let second = grants(&site, "node-a").remove(0);
    assert_eq!(second.id.grant.0, 2);
    assert_eq!((second.budget.retries, second.budget.losses), (1, 2));
}

#[test]
fn a_grant_stays_within_a_chunk_and_the_next_one_is_touched_later() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let id = site.submit(4_100, |_| {});
    let mut border = Vec::new();
    while site.state(&id) != JobState::Succeeded {
        let grant = grants(&site, "node-a").remove(0);
        let run = grant.tasks[0];
        assert!(run.end() <= 4_096 || run.first >= 4_096, "{run}");
        if run.end() == 4_096 || run.first == 4_096 {
            border.push(run);
        }
        let first = grant.id.attempt(run.first, 1).to_string();
        let mut end = site.end(first.strip_prefix("default.").unwrap(), Outcome::Succeeded);
        end.tasks = run;
        site.report("node-a", stint_api::link::Report::Ended(end));
    }
    assert_eq!(
        border[1],
        TaskRange {
            first: 4_096,
            count: 1
        }
    );
    assert_eq!(site.tasks(&id), ["0-4099 succeeded"]);
    assert_eq!(site.view(&id).attempts, 4_100);
}

#[test]
fn tasks_that_turn_out_to_be_short_are_granted_in_longer_runs() {
    let sizes = |wall: Span| {
        let mut site = Site::with_nodes(&[("node-a", 2)]);
        let id = site.submit(2_000, |_| {});
        let mut sizes = Vec::new();
        while site.state(&id) != JobState::Succeeded {
            let grant = grants(&site, "node-a").remove(0);
            let run = grant.tasks[0];
            sizes.push(run.count);
            let first = grant.id.attempt(run.first, 1).to_string();
            let mut end = site.end(first.strip_prefix("default.").unwrap(), Outcome::Succeeded);
            end.tasks = run;
            end.usage.wall = Span::from_nanos(wall.as_nanos() * u64::from(run.count));
            site.report("node-a", stint_api::link::Report::Ended(end));
        }
        sizes
    };
    let short = sizes(Span::from_nanos(100_000));
    assert_eq!(short[..3], [64, 64, 128], "{short:?}");
    assert!(
        short.len() < 30 && short.iter().all(|size| *size >= 4),
        "{short:?}"
    );
    let long = sizes(Span::from_secs(1));
    assert!(
        long.len() > 50 && long.iter().all(|size| *size <= 64),
        "{long:?}"
    );
    assert_eq!(long[long.len() - 7..], [1; 7]);
}

#[test]
fn tasks_that_have_been_through_different_things_are_not_granted_together() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    site.submit(100, |spec| spec.retries = 2);
    assert_eq!(site.orders(), ["node-a run 1.g1: 0-24"]);
    let mut end = site.end("1.t3.g1.1", failed());
    end.verdict = Verdict::Retry { after: Span::ZERO };
    site.report("node-a", stint_api::link::Report::Ended(end));
    let mut end = site.end("1.t0.g1.1", Outcome::NodeLost);
    end.tasks = TaskRange {
        first: 0,
        count: 25,
    };
    end.try_number = 2;
    end.verdict = Verdict::Returned;
    site.report("node-a", stint_api::link::Report::Ended(end));
    assert_eq!(site.orders(), ["node-a run 1.g2: 0-2,4-25"]);
}
