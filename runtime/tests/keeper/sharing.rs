//! Tasks of one grant that share a worker, one after another: they see nothing of
//! each other, and nobody else ever gets it.

use std::fs;

use rustix::process::Signal;
use stint_api::job::Isolation;
use stint_api::outcome::{Measured, Outcome};
use stint_api::time::Span;
use stint_runtime::keeper::client::Lifetime;
use stint_runtime::keeper::protocol::StartOrder;
use stint_sandbox::{Access, Dir};

use crate::node::Node;
use crate::site::{Site, is_gone, kill, until, workers};

const LONG: Span = Span::from_secs(60);

/// An attempt at `guest` whose worker may be shared, with a directory of its own.
fn order(site: &Site, attempt: &str, guest: &str) -> StartOrder {
    let mut order = site.order(attempt, guest, LONG);
    order.grant.plan.isolation = Isolation::Job;
    let scratch = site.dir().join(format!("{attempt}.scratch"));
    fs::create_dir(&scratch).unwrap();
    order.plan.dirs = vec![Dir {
        host: scratch,
        guest: "/scratch".to_owned(),
        access: Access::Write,
    }];
    order
}

/// The one worker that there is.
fn worker(node: &Node) -> i32 {
    match workers(node.pid())[..] {
        [worker] => worker,
        ref others => panic!("{others:?}"),
    }
}

fn descriptors(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

pub(crate) async fn nothing_of_an_attempt_is_visible_to_the_next() {
    let site = Site::new(Lifetime::Outlives);
    let mut node = site.connect_leased().await;
    let mut found = Vec::new();
    let mut seen = Vec::new();
    for task in 0..4 {
        let mut order = order(&site, &format!("a.1.t{task}.g1.1"), "traces");
        if task == 0 {
            let secret = ("SECRET".to_owned(), "known to the first".to_owned());
            order.plan.env.push(secret);
            order.plan.args.push("secret".to_owned());
        }
        let ended = node.run(&order).await;
        assert_eq!(ended.outcome, Outcome::Succeeded);
        // Of what a leaf counts, nobody could say whose it is.
        assert_eq!(ended.usage.measured, Measured::Process);
        assert!(ended.usage.cpu > Span::ZERO && ended.usage.wall > Span::ZERO);
        assert!(order.plan.dirs[0].host.join("trace").exists());
        found.push(fs::read(&order.plan.stdout).unwrap());
        seen.push((worker(&node), descriptors(worker(&node))));
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
    // No memory, no global, no table entry; three streams and a directory; one page.
    let clean = [0, 0, 0, 4, 1];
    for (task, found) in found.iter().enumerate() {
        assert_eq!(found[..5], clean, "task {task}");
        let given = if task == 0 { [2, 1] } else { [1, 0] };
        assert_eq!(found[5..7], given, "task {task}");
        const NO_ENTRY: u8 = 44;
        assert_eq!(found[7], NO_ENTRY, "task {task}");
        assert_eq!(found.len(), 8 + 16);
    }
    let chance: std::collections::BTreeSet<_> = found.iter().map(|found| &found[8..]).collect();
    assert_eq!(chance.len(), found.len());
}

pub(crate) async fn a_worker_is_shared_within_its_grant_only() {
    let site = Site::new(Lifetime::Outlives);
    let mut node = site.connect_leased().await;
    node.run(&order(&site, "a.1.t0.g1.1", "noop")).await;
    let first = worker(&node);
    // Another grant, of the same job even, gets another; so do other limits.
    node.run(&order(&site, "a.1.t1.g2.1", "noop")).await;
    assert_eq!(workers(node.pid()).len(), 2);
    let mut wider = order(&site, "a.1.t2.g1.1", "noop");
    wider.limits.memory.0 *= 2;
    node.run(&wider).await;
    assert_eq!(workers(node.pid()).len(), 3);
    let mut other = order(&site, "a.1.t3.g1.1", "exit-42");
    other.plan.args.push("0".to_owned());
    node.run(&other).await;
    assert_eq!(workers(node.pid()).len(), 4);
    // Each task its own process, and it is gone when the outcome is told.
    let mut alone = order(&site, "a.1.t4.g1.1", "noop");
    alone.grant.plan.isolation = Isolation::Task;
    node.run(&alone).await;
    assert_eq!(workers(node.pid()).len(), 4);
    // Nobody comes: they go.
    until("nobody is kept for long", || workers(node.pid()).is_empty()).await;
    assert!(is_gone(first));
}

pub(crate) async fn after_a_failure_the_next_gets_another_worker() {
    let site = Site::new(Lifetime::Outlives);
    let mut node = site.connect_leased().await;
    let mut exits = order(&site, "a.1.t0.g1.1", "exit-42");
    exits.plan.args.push("7".to_owned());
    let ended = node.run(&exits).await;
    assert_eq!(ended.outcome, Outcome::Exited { code: 7 });
    let kept = worker(&node);
    let mut spins = order(&site, "a.1.t1.g1.1", "spin");
    spins.timeout = Span::from_millis(50);
    assert_eq!(node.run(&spins).await.outcome.reason(), "deadline");
    let traps = order(&site, "a.1.t2.g1.1", "unreachable");
    let ended = node.run(&traps).await;
    assert_eq!(ended.outcome.reason(), "trapped");
    if node.kept.limits.starts_with("cgroup") {
        assert_eq!(
            ended.usage.measured,
            Measured::Cgroup,
            "it had it to itself"
        );
    }
    assert_eq!(worker(&node), kept);
}

pub(crate) async fn a_kept_worker_that_dies_is_not_missed() {
    let site = Site::new(Lifetime::Outlives);
    let mut node = site.connect_leased().await;
    for task in 0..5 {
        let order = order(&site, &format!("a.1.t{task}.g1.1"), "noop");
        assert_eq!(node.run(&order).await.outcome, Outcome::Succeeded);
        let kept = worker(&node);
        kill(kept, Signal::KILL);
        // Told of an attempt while it dies, too.
        if task % 2 == 0 {
            until("it is reaped", || is_gone(kept)).await;
        }
    }
    // It goes with the lease, and with the keeper.
    node.run(&order(&site, "a.1.t9.g1.1", "noop")).await;
    let (keeper, kept) = (node.pid(), worker(&node));
    node.keeper.exit().await.unwrap();
    node.until_gone().await;
    until("both are gone", || is_gone(kept) && is_gone(keeper)).await;
    assert_eq!(site.groups(), Vec::<std::path::PathBuf>::new());
}
