//! Node processes come and go, the keeper stays; and when it does not, nothing
//! of it stays either.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use stint_api::outcome::{DeadlineScope, Outcome};
use stint_api::time::Span;
use stint_runtime::keeper::client::{Lifetime, Options};

use crate::site::{EXE, Site, children, is_gone, kill, until, workers, workers_of};

const LONG: Span = Span::from_secs(60);
/// A tree without leaves: one group in each of at most four hierarchies.
const GROUPS_OF_A_TREE: usize = 4;

pub(crate) async fn attempts_outlive_the_connection_and_are_told_of_again() {
    let site = Site::new(Lifetime::Outlives);
    let mut node = site.connect_leased().await;
    let order = site.order("a.1.t0.g1.1", "spin", LONG);
    node.start(&order).await;
    let started_at = node.started(&order).await;
    let keeper = node.pid();
    let workers = workers(keeper);
    drop(node);

    let mut node = site.connect().await;
    assert_eq!(node.pid(), keeper);
    assert_eq!(crate::site::workers(keeper), workers);
    let [running] = node.kept.running.as_slice() else {
        panic!("{:?}", node.kept);
    };
    assert_eq!(running.attempt, order.attempt);
    assert_eq!(running.grant, order.grant);
    assert_eq!(running.started_at, Some(started_at));
    node.kill(&order.attempt, Outcome::Cancelled).await;
    assert_eq!(node.ended(&order).await.outcome, Outcome::Cancelled);
}

pub(crate) async fn what_ended_while_no_node_was_there_waits_in_the_spool() {
    let site = Site::new(Lifetime::Outlives);
    let mut node = site.connect_leased().await;
    let order = site.order("a.1.t0.g1.1", "spin", Span::from_millis(200));
    node.start(&order).await;
    node.started(&order).await;
    let keeper = node.pid();
    drop(node);
    until("the outcome is in the spool", || {
        site.is_spooled(&order.attempt)
    })
    .await;

    let expected = Outcome::Deadline {
        scope: DeadlineScope::Attempt,
    };
    let node = site.connect().await;
    assert_eq!(node.pid(), keeper);
    assert_eq!(node.kept.running, []);
    assert_eq!(node.kept.spooled.len(), 1);
    assert_eq!(node.kept.spooled[0].outcome, expected);
    // It outlives the keeper too.
    kill(keeper, Signal::KILL);
    node.until_gone().await;
    let node = site.connect().await;
    assert_ne!(node.pid(), keeper);
    assert_eq!(node.kept.spooled.len(), 1);
    assert_eq!(node.kept.spooled[0].outcome, expected);
    node.keeper.discard(order.attempt.clone()).await.unwrap();
    until("the outcome is forgotten", || {
        !site.is_spooled(&order.attempt)
    })
    .await;
}

pub(crate) async fn a_newer_connection_replaces_the_older() {
    let site = Site::new(Lifetime::WithNode);
    let older = site.connect_leased().await;
    let mut newer = site.connect().await;
    assert_eq!(newer.pid(), older.pid());
    older.until_gone().await;
    // The keeper goes with the newer, not with the older.
    let order = site.order("a.1.t0.g1.1", "noop", LONG);
    assert_eq!(newer.run(&order).await.outcome, Outcome::Succeeded);
}

pub(crate) async fn a_killed_keeper_takes_its_workers_and_the_next_clears_up() {
    let site = Site::new(Lifetime::Outlives);
    let mut node = site.connect_leased().await;
    let orders: Vec<_> = ["spin", "sleep"]
        .into_iter()
        .enumerate()
        .map(|(task, guest)| site.order(&format!("a.1.t{task}.g1.1"), guest, LONG))
        .collect();
    for order in &orders {
        node.start(order).await;
        node.started(order).await;
    }
    let keeper = node.pid();
    assert_eq!(workers(keeper).len(), 2);
    // Those that wait, and the zygote, too.
    let workers = children(keeper);
    let confined = node.kept.limits.starts_with("cgroup");
    assert_eq!(site.groups().len() > GROUPS_OF_A_TREE, confined);

    kill(keeper, Signal::KILL);
    node.until_gone().await;
    until("the workers are gone", || {
        workers.iter().all(|pid| is_gone(*pid))
    })
    .await;

    let mut node = site.connect().await;
    assert_ne!(node.pid(), keeper);
    assert_eq!(node.kept.running, []);
    assert_eq!(node.kept.spooled, []);
    assert!(
        site.groups().len() <= GROUPS_OF_A_TREE,
        "{:?}",
        site.groups()
    );
    node.lease(LONG).await;
    let order = site.order("a.1.t0.g1.1", "noop", LONG);
    assert_eq!(node.run(&order).await.outcome, Outcome::Succeeded);
}

/// It may be in the middle of anything: a leaf half made, a worker not yet in it.
pub(crate) async fn a_keeper_that_is_killed_at_any_moment_leaves_nothing_for_long() {
    let site = Site::new(Lifetime::Outlives);
    let mut random = fastrand::Rng::with_seed(3);
    for round in 0..20 {
        let node = site.connect().await;
        let keeper = node.pid();
        assert_eq!(node.kept.running, [], "round {round}");
        assert!(
            site.groups().len() <= GROUPS_OF_A_TREE,
            "{:?}",
            site.groups()
        );
        node.lease(LONG).await;
        for task in 0..4 {
            let order = site.order(&format!("a.1.t{task}.g{}.1", round + 1), "sleep", LONG);
            node.start(&order).await;
        }
        tokio::time::sleep(Duration::from_micros(random.u64(..8_000))).await;
        kill(keeper, Signal::KILL);
        node.until_gone().await;
        until("the workers are gone", || workers_of(keeper).is_empty()).await;
    }
    let node = site.connect().await;
    node.keeper.exit().await.unwrap();
    node.until_gone().await;
    assert_eq!(site.groups(), Vec::<PathBuf>::new());
}

pub(crate) async fn a_directory_has_one_keeper() {
    let site = Site::new(Lifetime::Outlives);
    let node = site.connect_leased().await;
    let Options { dir, .. } = site.options();
    let second = Command::new(EXE)
        .arg("__keeper")
        .arg(dir)
        .args(["auto", "outlives", "16"])
        .output()
        .unwrap();
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("another keeper"), "{said}");
    // The first is as it was, and can be found.
    let again = site.connect().await;
    assert_eq!(again.pid(), node.pid());
}
