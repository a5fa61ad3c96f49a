//! One attempt after the other, and many at once.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rustix::process::Signal;
use stint_api::outcome::{DeadlineScope, Measured, Outcome};
use stint_api::quantity::Millicores;
use stint_api::time::Span;
use stint_runtime::keeper::client::{Event, Lifetime};

use crate::site::{Site, kill, until, workers};

const LONG: Span = Span::from_secs(60);
const DEADLINE: Outcome = Outcome::Deadline {
    scope: DeadlineScope::Attempt,
};

fn site() -> Site {
    Site::new(Lifetime::Outlives)
}

pub(crate) async fn an_attempt_is_told_of_from_start_to_end() {
    let site = site();
    let mut node = site.connect_leased().await;
    let order = site.order("a.1.t0.g1.1", "noop", LONG);
    node.start(&order).await;
    let started_at = node.started(&order).await;
    let ended = node.ended(&order).await;
    assert_eq!(ended.outcome, Outcome::Succeeded);
    assert_eq!(ended.grant, order.grant);
    assert_eq!(ended.started_at, Some(started_at));
    assert!(ended.ended_at >= started_at);
    assert!(ended.usage.cpu > Span::ZERO);
    let limits = stint_runtime::limits_probe();
    assert_eq!(node.kept.limits, limits);
    if limits.starts_with("cgroup") {
        assert_eq!(ended.usage.measured, Measured::Cgroup);
        assert!(ended.usage.peak_memory.0 > 0);
    }
    assert!(site.is_spooled(&order.attempt));
    node.keeper.discard(order.attempt.clone()).await.unwrap();
    until("the outcome is forgotten", || {
        !site.is_spooled(&order.attempt)
    })
    .await;
}

pub(crate) async fn without_cgroups_it_runs_and_says_so() {
    let site = site().without_cgroups();
    let mut node = site.connect_leased().await;
    assert!(
        node.kept.limits.starts_with("wasmtime only: "),
        "{:?}",
        node.kept
    );
    let order = site.order("a.1.t0.g1.1", "noop", LONG);
    let ended = node.run(&order).await;
    assert_eq!(ended.outcome, Outcome::Succeeded);
    assert_eq!(ended.usage.measured, Measured::Process);
    assert!(ended.usage.cpu > Span::ZERO);
    let order = site.order("a.1.t1.g1.1", "spin", Span::from_millis(50));
    assert_eq!(node.run(&order).await.outcome, DEADLINE);
    assert_eq!(site.groups(), Vec::<PathBuf>::new());
}

pub(crate) async fn an_exit_code_is_told_exactly() {
    let site = site();
    let mut node = site.connect_leased().await;
    let mut order = site.order("a.1.t0.g1.1", "exit-42", LONG);
    assert_eq!(node.run(&order).await.outcome, Outcome::Exited { code: 42 });
    order = site.order("a.1.t0.g1.2", "exit-42", LONG);
    order.plan.args.push("4294967295".to_owned());
    let all = Outcome::Exited { code: u32::MAX };
    assert_eq!(node.run(&order).await.outcome, all);
}

pub(crate) async fn a_start_that_is_repeated_changes_nothing() {
    let site = site();
    let mut node = site.connect_leased().await;
    let order = site.order("a.1.t0.g1.1", "spin", LONG);
    node.start(&order).await;
    let started_at = node.started(&order).await;
    node.start(&order).await;
    match node.next().await {
        Some(Event::Running(running)) => assert_eq!(running.started_at, Some(started_at)),
        other => panic!("{other:?}"),
    }
    assert_eq!(workers(node.pid()).len(), 1);
    node.kill(&order.attempt, Outcome::Cancelled).await;
    let ended = node.ended(&order).await;
    node.start(&order).await;
    assert_eq!(node.ended(&order).await, ended);
    assert_eq!(workers(node.pid()).len(), 0);
}

pub(crate) async fn a_killed_attempt_ends_with_the_reason_that_was_given() {
    let site = site();
    let mut node = site.connect_leased().await;
    for (number, guest) in ["spin", "sleep"].into_iter().enumerate() {
        let order = site.order(&format!("a.1.t{number}.g1.1"), guest, LONG);
        node.start(&order).await;
        node.started(&order).await;
        node.kill(&order.attempt, Outcome::Cancelled).await;
        assert_eq!(node.ended(&order).await.outcome, Outcome::Cancelled);
        // It is over: nothing is said, and the next word is about another.
        node.kill(&order.attempt, Outcome::Drained).await;
    }
}

pub(crate) async fn a_guest_that_computes_past_its_deadline_traps() {
    let site = site();
    let mut node = site.connect_leased().await;
    let order = site.order("a.1.t0.g1.1", "compute", Span::from_millis(50));
    let ended = node.run(&order).await;
    assert_eq!(ended.outcome, DEADLINE);
    assert!(
        ended.usage.wall >= Span::from_millis(50),
        "{:?}",
        ended.usage
    );
    assert!(ended.usage.wall < Span::from_secs(5), "{:?}", ended.usage);
}

pub(crate) async fn a_guest_that_sits_in_a_host_call_past_its_deadline_is_killed() {
    let site = site();
    let mut node = site.connect_leased().await;
    let order = site.order("a.1.t0.g1.1", "sleep", Span::from_millis(50));
    let ended = node.run(&order).await;
    assert_eq!(ended.outcome, DEADLINE);
    assert!(ended.usage.wall < Span::from_secs(5), "{:?}", ended.usage);
}

pub(crate) async fn a_guest_that_stands_still_is_killed_at_its_deadline_all_the_same() {
    let site = site();
    let mut node = site.connect_leased().await;
    for (task, guest) in ["spin", "sleep"].into_iter().enumerate() {
        let mut order = site.order(&format!("a.1.t{task}.g1.1"), guest, Span::from_millis(300));
        // Once its hundredth of a core is used up, it does not run for most of a second.
        order.limits.cpu = Millicores(1);
        node.start(&order).await;
        node.started(&order).await;
        let ended = node.ended(&order).await;
        assert_eq!(ended.outcome, DEADLINE);
        let over = ended.usage.wall - Span::from_millis(300);
        assert!(over < Span::from_millis(200), "{over}");
    }
}

pub(crate) async fn a_worker_that_is_killed_is_lost() {
    let site = site();
    let mut node = site.connect_leased().await;
    let order = site.order("a.1.t0.g1.1", "spin", LONG);
    node.start(&order).await;
    node.started(&order).await;
    for worker in workers(node.pid()) {
        kill(worker, Signal::KILL);
    }
    let lost = Outcome::WorkerLost { signal: 9 };
    assert_eq!(node.ended(&order).await.outcome, lost);
}

pub(crate) async fn nothing_starts_without_a_lease() {
    let site = site();
    let mut node = site.connect().await;
    let order = site.order("a.1.t0.g1.1", "noop", LONG);
    node.start(&order).await;
    let refused = node.ended(&order).await;
    assert_eq!(refused.outcome, Outcome::NodeLost);
    assert_eq!(refused.started_at, None);
    assert!(!site.is_spooled(&order.attempt));
    // Nothing of it ran, so it may be asked for again.
    node.lease(LONG).await;
    assert_eq!(node.run(&order).await.outcome, Outcome::Succeeded);
}

pub(crate) async fn everything_ends_with_the_lease() {
    let site = site();
    let mut node = site.connect().await;
    node.lease(Span::from_secs(2)).await;
    let orders = ["spin", "sleep"].map(|guest| {
        let task = guest.len();
        site.order(&format!("a.1.t{task}.g1.1"), guest, LONG)
    });
    for order in &orders {
        node.start(order).await;
        node.started(order).await;
    }
    let mut ended = BTreeSet::new();
    for _ in &orders {
        match node.next().await {
            Some(Event::Ended(spooled)) => {
                assert_eq!(spooled.outcome, Outcome::NodeLost);
                ended.insert(spooled.attempt);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ended.len(), orders.len());
    let order = site.order("a.1.t0.g1.1", "noop", LONG);
    node.start(&order).await;
    assert_eq!(node.ended(&order).await.outcome, Outcome::NodeLost);
}

pub(crate) async fn a_plan_that_cannot_be_run_fails_to_start() {
    let site = site();
    let mut node = site.connect_leased().await;
    let mut order = site.order("a.1.t0.g1.1", "noop", LONG);
    order.plan.artifact = site.dir().join("nothing");
    node.start(&order).await;
    let outcome = node.ended(&order).await.outcome;
    assert_eq!(outcome.reason(), "start-failed", "{outcome}");
    assert!(outcome.to_string().contains("nothing"), "{outcome}");

    let mut order = site.order("a.1.t1.g1.1", "noop", LONG);
    order.plan.artifact_sha256[0] ^= 1;
    node.start(&order).await;
    let ended = node.ended(&order).await;
    assert_eq!(ended.outcome.reason(), "start-failed", "{ended:?}");
    assert_eq!(ended.started_at, None, "no byte of it ran");
}

pub(crate) async fn stopping_all_ends_each_with_the_reason() {
    let site = site();
    let mut node = site.connect_leased().await;
    let order = site.order("a.1.t0.g1.1", "spin", LONG);
    node.start(&order).await;
    node.started(&order).await;
    node.keeper.stop_all(Outcome::Drained).await.unwrap();
    assert_eq!(node.ended(&order).await.outcome, Outcome::Drained);
    // It goes on.
    let order = site.order("a.1.t1.g1.1", "noop", LONG);
    assert_eq!(node.run(&order).await.outcome, Outcome::Succeeded);
}

pub(crate) async fn a_hundred_slots_at_once_are_served() {
    let site = site();
    let mut node = site.connect_leased().await;
    let orders: Vec<_> = (0..100)
        .map(|task| site.order(&format!("a.1.t{task}.g1.1"), "sleep", LONG))
        .collect();
    for order in &orders {
        node.start(order).await;
    }
    for order in &orders {
        let started = node.next().await;
        assert!(
            matches!(started, Some(Event::Started { .. })),
            "{started:?}"
        );
        assert!(!site.is_spooled(&order.attempt));
    }
    // One of them is no slower to kill than if it were alone.
    node.kill(&orders[57].attempt, Outcome::Cancelled).await;
    assert_eq!(node.ended(&orders[57]).await.outcome, Outcome::Cancelled);
    node.keeper.stop_all(Outcome::Drained).await.unwrap();
    for _ in 1..orders.len() {
        match node.next().await {
            Some(Event::Ended(spooled)) => assert_eq!(spooled.outcome, Outcome::Drained),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(workers(node.pid()).len(), 0);
    // A slot's own leaf is named after its attempt.
    let named = |group: &PathBuf| {
        let name = group.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("a.1."))
    };
    until("their leaves are gone", || !site.groups().iter().any(named)).await;
}
