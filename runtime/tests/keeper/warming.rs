//! Workers that wait for work: they are there when it comes, and whatever happens
//! to them or to their zygote, an attempt starts all the same and nothing stays.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use rustix::process::Signal;
use stint_api::outcome::Outcome;
use stint_api::time::Span;
use stint_runtime::keeper::client::{Event, Lifetime};

use crate::node::Node;
use crate::site::{
    Site, berthed, children, is_gone, is_waiting, kill, until, workers, workers_of, zygotes,
};

const LONG: Span = Span::from_secs(60);
/// Groups of the tree, and of each leaf, at most.
const HIERARCHIES: usize = 4;
/// Workers that may wait at once.
const BERTHED_MAX: usize = 16;

/// Waits until two workers wait, as they do before anything was started.
async fn two_wait(node: &Node) -> Vec<i32> {
    let keeper = node.pid();
    until("two workers wait", || berthed(keeper).len() == 2).await;
    // Their names are given before they are warm.
    until("they are warm", || {
        berthed(keeper).iter().all(|pid| is_waiting(*pid))
    })
    .await;
    berthed(keeper)
}

pub(crate) async fn a_start_takes_a_worker_that_waits() {
    let site = Site::new(Lifetime::Outlives);
    let mut node = site.connect_leased().await;
    let waiting = two_wait(&node).await;
    let order = site.order("a.1.t0.g1.1", "spin", LONG);
    node.start(&order).await;
    node.started(&order).await;
    let [worker] = workers(node.pid())[..] else {
        panic!("{:?}", workers(node.pid()));
    };
    assert!(waiting.contains(&worker));
    // It is held to the limits of the order, not to those that it waited with.
    let limit = order.limits.memory.0 + (64 << 20);
    let held = site.groups().into_iter().any(|group| {
        let inside = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        let limits = ["memory.limit_in_bytes", "memory.max"];
        let limited = limits.iter().any(|file| {
            fs::read_to_string(group.join(file)).is_ok_and(|text| text.trim() == limit.to_string())
        });
        inside.trim() == worker.to_string() && limited
    });
    assert_eq!(held, node.kept.limits.starts_with("cgroup"));
    // Another takes its place.
    until("two workers wait again", || berthed(node.pid()).len() >= 2).await;
    node.kill(&order.attempt, Outcome::Cancelled).await;
    assert_eq!(node.ended(&order).await.outcome, Outcome::Cancelled);
    assert!(is_gone(worker));
}

pub(crate) async fn without_cgroups_workers_wait_too() {
    let site = Site::new(Lifetime::Outlives).without_cgroups();
    let mut node = site.connect_leased().await;
    let waiting = two_wait(&node).await;
    let order = site.order("a.1.t0.g1.1", "spin", LONG);
    node.start(&order).await;
    node.started(&order).await;
    assert!(waiting.contains(&workers(node.pid())[0]));
    node.kill(&order.attempt, Outcome::Cancelled).await;
    let ended = node.ended(&order).await;
    // What it used before it was told of the attempt is not the attempt's.
    assert!(ended.usage.cpu < Span::from_secs(5), "{:?}", ended.usage);
}

pub(crate) async fn a_zygote_that_is_killed_is_replaced() {
    let site = Site::new(Lifetime::Outlives);
    let mut node = site.connect_leased().await;
    let keeper = node.pid();
    for round in 1..4 {
        until("there is one", || {
            zygotes(keeper).len() == 1 && !berthed(keeper).is_empty()
        })
        .await;
        let zygote = zygotes(keeper)[0];
        kill(zygote, Signal::KILL);
        // Those that wait are used up, and then workers start by themselves.
        for task in 0..2 * BERTHED_MAX {
            let order = site.order(&format!("a.1.t{task}.g{round}.1"), "noop", LONG);
            assert_eq!(node.run(&order).await.outcome, Outcome::Succeeded);
        }
        until("it is gone", || is_gone(zygote)).await;
    }
}

pub(crate) async fn a_worker_that_is_killed_at_its_berth_is_not_missed() {
    let site = Site::new(Lifetime::Outlives);
    let mut node = site.connect_leased().await;
    for pid in two_wait(&node).await {
        kill(pid, Signal::KILL);
    }
    let order = site.order("a.1.t0.g1.1", "noop", LONG);
    assert_eq!(node.run(&order).await.outcome, Outcome::Succeeded);
    // Killed in any state, from birth on, they are replaced and leave no zombie.
    let keeper = node.pid();
    for _ in 0..20 {
        until("one is there", || !berthed(keeper).is_empty()).await;
        let killed = berthed(keeper);
        killed.iter().for_each(|pid| kill(*pid, Signal::KILL));
        until("they are reaped", || killed.iter().all(|pid| is_gone(*pid))).await;
    }
    let order = site.order("a.1.t1.g1.1", "noop", LONG);
    assert_eq!(node.run(&order).await.outcome, Outcome::Succeeded);
}

pub(crate) async fn a_worker_that_is_killed_while_it_is_assigned_is_replaced() {
    let site = Site::new(Lifetime::Outlives);
    let mut node = site.connect_leased().await;
    let waiting = two_wait(&node).await;
    for pid in &waiting {
        kill(*pid, Signal::STOP);
    }
    let orders = [0, 1, 2].map(|task| site.order(&format!("a.1.t{task}.g1.1"), "noop", LONG));
    for order in &orders {
        node.start(order).await;
    }
    // The last finds nobody who waits, and comes after the others.
    let mut outcomes = BTreeMap::new();
    while !outcomes.contains_key(&2) {
        hear(&mut node, &mut outcomes).await;
    }
    assert!(!outcomes.contains_key(&0), "{outcomes:?}");
    for pid in &waiting {
        kill(*pid, Signal::KILL);
    }
    while outcomes.len() < orders.len() {
        hear(&mut node, &mut outcomes).await;
    }
    // Nothing of the guest had run, so others took their places.
    assert!(
        outcomes.values().all(|it| *it == Outcome::Succeeded),
        "{outcomes:?}"
    );
}

/// Takes one word of the keeper.
async fn hear(node: &mut Node, outcomes: &mut BTreeMap<u32, Outcome>) {
    match node.next().await {
        Some(Event::Ended(spooled)) => {
            outcomes.insert(spooled.attempt.task, spooled.outcome);
        }
        Some(Event::Started { .. }) => {}
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn nobody_waits_without_a_lease() {
    let site = Site::new(Lifetime::Outlives);
    let node = site.connect().await;
    let keeper = node.pid();
    assert_eq!(children(keeper), Vec::<i32>::new());
    node.lease(Span::from_secs(2)).await;
    two_wait(&node).await;
    until("the lease is over and all are gone", || {
        children(keeper).is_empty()
    })
    .await;
    until("their leaves are gone", || {
        site.groups().len() <= HIERARCHIES
    })
    .await;
    node.lease(LONG).await;
    two_wait(&node).await;
}

pub(crate) async fn a_thousand_starts_leave_nothing_behind() {
    let site = Site::new(Lifetime::Outlives);
    let mut node = site.connect_leased().await;
    let keeper = node.pid();
    two_wait(&node).await;
    let before = descriptors(keeper);
    let orders: Vec<_> = (0..1_000)
        .map(|task| site.order(&format!("a.1.t{task}.g1.1"), "noop", LONG))
        .collect();
    for some in orders.chunks(8) {
        for order in some {
            node.start(order).await;
        }
        let mut left = some.len();
        while left > 0 {
            match node.next().await {
                Some(Event::Ended(spooled)) => {
                    assert_eq!(spooled.outcome, Outcome::Succeeded);
                    node.keeper.discard(spooled.attempt).await.unwrap();
                    left -= 1;
                }
                Some(Event::Started { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    until("all workers that ran are reaped", || {
        children(keeper).len() <= zygotes(keeper).len() + BERTHED_MAX && workers(keeper).is_empty()
    })
    .await;
    until("their leaves are gone", || {
        site.groups().len() <= HIERARCHIES * (1 + berthed(keeper).len())
    })
    .await;
    assert!(descriptors(keeper) <= before + 16 * BERTHED_MAX);
    until("the spool is empty", || site.spooled().is_empty()).await;
    node.keeper.exit().await.unwrap();
    node.until_gone().await;
    until("everybody is gone", || workers_of(keeper).is_empty()).await;
    assert_eq!(site.groups(), Vec::<PathBuf>::new());
}

fn descriptors(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}
