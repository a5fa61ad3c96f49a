//! When a keeper goes, and that nothing is left behind.

use std::path::PathBuf;
use std::process::Stdio;

use rustix::process::Signal;
use stint_api::outcome::Outcome;
use stint_api::time::Span;
use stint_runtime::keeper::client::{Event, Lifetime};
use stint_runtime::keeper::protocol::StartOrder;
use tokio::process::Command;

use crate::node::Node;
use crate::site::{EXE, Site, children, is_gone, kill, until};

const LONG: Span = Span::from_secs(60);

async fn spinning(site: &Site) -> (Node, StartOrder) {
    let mut node = site.connect_leased().await;
    let order = site.order("a.1.t0.g1.1", "spin", LONG);
    node.start(&order).await;
    node.started(&order).await;
    (node, order)
}

/// Waits until the keeper and `workers` are gone, and finds nothing of them.
async fn nothing_is_left(site: &Site, keeper: i32, workers: &[i32]) {
    until("the keeper is gone", || is_gone(keeper)).await;
    assert!(workers.iter().all(|pid| is_gone(*pid)));
    assert_eq!(site.groups(), Vec::<PathBuf>::new());
    assert!(!site.dir().join("keeper.sock").exists());
}

fn outcomes(events: Vec<Event>) -> Vec<Outcome> {
    let ended = events.into_iter().filter_map(|event| match event {
        Event::Ended(spooled) => Some(spooled.outcome),
        _ => None,
    });
    ended.collect()
}

pub(crate) async fn with_its_node_it_goes_as_soon_as_the_connection_closes() {
    let site = Site::new(Lifetime::WithNode);
    let (node, order) = spinning(&site).await;
    let keeper = node.pid();
    let workers = children(keeper);
    drop(node);
    nothing_is_left(&site, keeper, &workers).await;
    assert!(site.is_spooled(&order.attempt));
}

pub(crate) async fn a_keeper_with_nothing_left_to_keep_goes() {
    let site = Site::new(Lifetime::Outlives);
    let node = site.connect().await;
    let keeper = node.pid();
    drop(node);
    nothing_is_left(&site, keeper, &[]).await;
}

pub(crate) async fn a_keeper_that_nobody_talks_to_goes() {
    let started = ["outlives", "with-node"].map(|lifetime| {
        let site = Site::new(Lifetime::Outlives);
        let keeper = Command::new(EXE)
            .arg("__keeper")
            .arg(&site.options().dir)
            .args(["auto", lifetime, "16"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        (site, keeper)
    });
    for (site, mut keeper) in started {
        assert!(keeper.wait().await.unwrap().success());
        assert_eq!(site.groups(), Vec::<PathBuf>::new());
    }
}

pub(crate) async fn a_keeper_that_keeps_stays_until_the_lease_is_over() {
    let site = Site::new(Lifetime::Outlives);
    let mut node = site.connect().await;
    node.lease(Span::from_secs(2)).await;
    let order = site.order("a.1.t0.g1.1", "spin", LONG);
    node.start(&order).await;
    node.started(&order).await;
    let keeper = node.pid();
    let workers = children(keeper);
    drop(node);
    nothing_is_left(&site, keeper, &workers).await;
    let node = site.connect().await;
    let [spooled] = node.kept.spooled.as_slice() else {
        panic!("{:?}", node.kept);
    };
    assert_eq!(spooled.outcome, Outcome::NodeLost);
    assert!(spooled.usage.wall < Span::from_secs(10));
}

pub(crate) async fn told_to_exit_it_ends_what_runs_first() {
    let site = Site::new(Lifetime::Outlives);
    let (node, order) = spinning(&site).await;
    let keeper = node.pid();
    let workers = children(keeper);
    node.keeper.exit().await.unwrap();
    assert_eq!(outcomes(node.until_gone().await), [Outcome::Drained]);
    nothing_is_left(&site, keeper, &workers).await;
    assert!(site.is_spooled(&order.attempt));
}

pub(crate) async fn a_signal_ends_it_in_order() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let site = Site::new(Lifetime::Outlives);
        let (node, _) = spinning(&site).await;
        let keeper = node.pid();
        let workers = children(keeper);
        kill(keeper, signal);
        assert_eq!(outcomes(node.until_gone().await), [Outcome::Drained]);
        nothing_is_left(&site, keeper, &workers).await;
    }
}
