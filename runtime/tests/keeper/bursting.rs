//! Attempts for which nobody waits: a worker is born for each, and whatever happens
//! to it or to its zygote meanwhile, the attempt has one outcome and nothing stays.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use rustix::process::Signal;
use stint_api::outcome::Outcome;
use stint_api::time::Span;
use stint_runtime::keeper::client::{Event, Lifetime};

use crate::node::Node;
use crate::site::{
    self, Site, berthed, children, is_gone, is_in_state, kill, until, workers, workers_of, zygotes,
};

const LONG: Span = Span::from_secs(60);
/// Groups of the tree.
const HIERARCHIES: usize = 4;

/// A keeper with which nobody may wait, and whose zygote is ready.
async fn fertile(site: &Site) -> Node {
    let node = site.connect_leased().await;
    site::fertile(node.pid()).await;
    node
}

/// Whether a process was forked by a zygote: its command line is still that one's.
fn is_borne(pid: i32) -> bool {
    let line = fs::read_to_string(format!("/proc/{pid}/cmdline"));
    line.is_ok_and(|line| line.contains("__zygote"))
}

/// Takes what is said until `count` attempts have ended.
async fn outcomes(node: &mut Node, count: usize) -> BTreeMap<u32, Outcome> {
    let mut outcomes = BTreeMap::new();
    while outcomes.len() < count {
        match node.next().await {
            Some(Event::Ended(spooled)) => {
                let twice = outcomes.insert(spooled.attempt.task, spooled.outcome);
                assert_eq!(twice, None);
            }
            Some(Event::Started { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    outcomes
}

pub(crate) async fn where_nobody_waits_a_worker_is_born_for_the_attempt() {
    let site = Site::new(Lifetime::Outlives).with_berths(0);
    let mut node = fertile(&site).await;
    for task in 0..3 {
        let order = site.order(&format!("a.1.t{task}.g1.1"), "spin", LONG);
        node.start(&order).await;
        node.started(&order).await;
        assert_eq!(berthed(node.pid()), Vec::<i32>::new());
        let [worker] = workers(node.pid())[..] else {
            panic!("{:?}", workers(node.pid()));
        };
        assert!(is_borne(worker));
        node.kill(&order.attempt, Outcome::Cancelled).await;
        assert_eq!(node.ended(&order).await.outcome, Outcome::Cancelled);
        assert!(is_gone(worker));
    }
}

pub(crate) async fn an_attempt_can_be_killed_before_its_worker_is_born() {
    let site = Site::new(Lifetime::Outlives).with_berths(0);
    let mut node = fertile(&site).await;
    let keeper = node.pid();
    for task in 0..50 {
        let order = site.order(&format!("a.1.t{task}.g1.1"), "spin", LONG);
        node.start(&order).await;
        node.kill(&order.attempt, Outcome::Cancelled).await;
    }
    let outcomes = outcomes(&mut node, 50).await;
    assert!(outcomes.values().all(|it| *it == Outcome::Cancelled));
    until("all are reaped", || workers_of(keeper).len() <= 1).await;
    until("their leaves are gone", || {
        site.groups().len() <= HIERARCHIES
    })
    .await;
}

pub(crate) async fn a_zygote_that_dies_while_it_bears_is_not_missed() {
    let site = Site::new(Lifetime::Outlives).with_berths(0);
    let mut node = fertile(&site).await;
    let keeper = node.pid();
    for round in 1..5 {
        site::fertile(keeper).await;
        let zygote = zygotes(keeper)[0];
        for task in 0..20 {
            let order = site.order(&format!("a.1.t{task}.g{round}.1"), "noop", LONG);
            node.start(&order).await;
            if task == 5 * round {
                kill(zygote, Signal::KILL);
            }
        }
        let outcomes = outcomes(&mut node, 20).await;
        assert!(outcomes.values().all(|it| *it == Outcome::Succeeded));
    }
    node.keeper.exit().await.unwrap();
    node.until_gone().await;
    until("everybody is gone", || workers_of(keeper).is_empty()).await;
    assert_eq!(site.groups(), Vec::<PathBuf>::new());
}

pub(crate) async fn a_zygote_that_stands_still_is_replaced() {
    let site = Site::new(Lifetime::Outlives).with_berths(0);
    let mut node = fertile(&site).await;
    let zygote = zygotes(node.pid())[0];
    kill(zygote, Signal::STOP);
    let order = site.order("a.1.t1.g1.1", "noop", LONG);
    assert_eq!(node.run(&order).await.outcome, Outcome::Succeeded);
    until("it is gone", || is_gone(zygote)).await;
    site::fertile(node.pid()).await;
}

/// A keeper that is slow to hear of a birth finds all of the worker's life in its
/// socket, and the worker in no group any more.
pub(crate) async fn a_worker_that_is_done_before_it_is_heard_has_run_once() {
    let site = Site::new(Lifetime::Outlives).with_berths(0);
    let mut node = fertile(&site).await;
    let (keeper, zygote) = (node.pid(), zygotes(node.pid())[0]);
    kill(zygote, Signal::STOP);
    let order = site.order("a.1.t1.g1.1", "hello", LONG);
    node.start(&order).await;
    until("the worker is ordered and told", || {
        order.plan.stdout.exists() && is_in_state(keeper, 'S')
    })
    .await;
    kill(keeper, Signal::STOP);
    kill(zygote, Signal::CONT);
    let said = || fs::read_to_string(&order.plan.stdout).unwrap_or_default();
    until("it is done", || {
        let mut children = children(keeper).into_iter();
        !said().is_empty() && children.any(|pid| is_in_state(pid, 'Z'))
    })
    .await;
    let once = said();
    kill(keeper, Signal::CONT);
    node.started(&order).await;
    assert_eq!(node.ended(&order).await.outcome, Outcome::Succeeded);
    assert_eq!(said(), once);
}
