//! That workers are in the jail which their keeper says they have, as the kernel
//! sees them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use stint_api::outcome::{Outcome, Sandbox};
use stint_api::time::Span;
use stint_jail::{Identity, Layer, LayerSet};
use stint_runtime::keeper::client::Lifetime;

use crate::node::Node;
use crate::site::{Site, berthed, fertile, until, workers};

const LONG: Span = Span::from_secs(60);

/// What the kernel says of a process.
fn status(pid: i32) -> BTreeMap<String, String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Starts two attempts that go on, and gives their workers.
async fn two(site: &Site, node: &mut Node) -> Vec<i32> {
    for attempt in ["a.1.t0.g1.1", "b.2.t0.g1.1"] {
        let order = site.order(attempt, "spin", LONG);
        node.start(&order).await;
        node.started(&order).await;
    }
    let workers = workers(node.pid());
    assert_eq!(workers.len(), 2);
    workers
}

pub(crate) async fn workers_are_in_the_jail_that_their_keeper_tells_of() {
    are_jailed(Site::new(Lifetime::Outlives)).await;
}

pub(crate) async fn workers_that_are_born_for_an_attempt_are_in_that_jail_too() {
    are_jailed(Site::new(Lifetime::Outlives).with_berths(0)).await;
}

async fn are_jailed(site: Site) {
    let mut node = site.connect_leased().await;
    fertile(node.pid()).await;
    let held = node.kept.jail.held;
    if is_root() {
        assert_eq!(held, LayerSet::ALL, "{}", node.kept.jail);
    }
    let mut users = BTreeSet::new();
    for pid in two(&site, &mut node).await {
        let status = status(pid);
        let is = |field: &str, value: &str| status[field] == value;
        assert!(is("Threads", "1"));
        if held.contains(Layer::SmallFilter) {
            // Two filters, in the mode of filters.
            assert!(is("Seccomp", "2") && is("Seccomp_filters", "2"));
            assert!(is("NoNewPrivs", "1"));
        }
        if held.contains(Layer::Capabilities) {
            for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
                assert_eq!(u64::from_str_radix(&status[set], 16), Ok(0), "{set}");
            }
        }
        if held.contains(Layer::Identity) {
            users.insert(status["Uid"].clone());
            assert!(is("Groups", ""));
            let root = fs::read_dir(format!("/proc/{pid}/root")).unwrap();
            assert_eq!(root.count(), 0, "its root is empty");
            let namespace = |of: &str| fs::read_link(format!("/proc/{of}/ns/net")).unwrap();
            assert_ne!(namespace(&pid.to_string()), namespace("self"));
        }
    }
    // No two are the same user.
    assert_eq!(users.len(), if is_root() { 2 } else { 0 });
}

pub(crate) async fn a_worker_that_waits_is_jailed_before_it_knows_of_a_job() {
    let site = Site::new(Lifetime::Outlives);
    let node = site.connect_leased().await;
    let held = node.kept.jail.held;
    until("somebody waits in jail", || {
        berthed(node.pid()).into_iter().any(|pid| {
            let status = status(pid);
            !held.contains(Layer::WideFilter) || status["Seccomp_filters"] == "1"
        })
    })
    .await;
}

pub(crate) async fn an_outcome_says_what_stood_between_the_attempt_and_the_machine() {
    let site = Site::new(Lifetime::Outlives);
    let mut node = site.connect_leased().await;
    let ended = node.run(&site.order("a.1.t0.g1.1", "noop", LONG)).await;
    assert_eq!(ended.outcome, Outcome::Succeeded);
    let whole = LayerSet::NEEDED.but_not(node.kept.jail.held).is_empty();
    let sandbox = if whole {
        Sandbox::Whole
    } else {
        Sandbox::Weaker
    };
    assert_eq!(ended.usage.sandbox, sandbox);
}

pub(crate) async fn what_a_job_may_write_to_belongs_to_its_own_user() {
    let site = Site::new(Lifetime::Outlives);
    let mut node = site.connect_leased().await;
    let mut order = site.order("a.1.t0.g1.1", "spin", LONG);
    let dir = site.dir().join("room");
    fs::create_dir(&dir).unwrap();
    order.plan.dirs.push(stint_sandbox::Dir {
        host: dir.clone(),
        guest: "/scratch".to_owned(),
        access: stint_sandbox::Access::Write,
    });
    node.start(&order).await;
    node.started(&order).await;
    let owner = fs::metadata(&dir).unwrap().uid();
    if node.kept.jail.held.contains(Layer::Identity) {
        let slots = Identity::of_slot(0).uid..=Identity::of_slot(u16::MAX).uid;
        assert!(slots.contains(&owner), "{owner}");
    } else {
        assert_eq!(owner, rustix::process::geteuid().as_raw());
    }
}
