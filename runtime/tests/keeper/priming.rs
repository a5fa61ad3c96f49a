//! Modules that are in demand are loaded by workers that wait: an attempt finds its
//! module there, and nothing else that the attempts before it had.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rustix::process::Signal;
use stint_api::outcome::Outcome;
use stint_api::time::Span;
use stint_runtime::keeper::client::Lifetime;

use crate::node::Node;
use crate::site::{Site, berthed, is_gone, is_waiting, kill, until, workers};

const LONG: Span = Span::from_secs(60);
/// Starts after which a module is in demand.
const STARTS: u32 = 3;

/// Workers that wait and have mapped `artifact`.
fn primed(node: &Node, artifact: &Path) -> Vec<i32> {
    let artifact = artifact.display().to_string();
    let has = |pid: &i32| {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps"));
        maps.is_ok_and(|maps| maps.contains(&artifact))
    };
    berthed(node.pid()).into_iter().filter(has).collect()
}

/// Workers that wait and have not.
fn free(node: &Node, artifact: &Path) -> Vec<i32> {
    let with = primed(node, artifact);
    let berthed = berthed(node.pid()).into_iter();
    berthed.filter(|pid| !with.contains(pid)).collect()
}

/// Waits until of two workers one has loaded it and the other has not, as it stays
/// then; gives both.
async fn one_is_primed(node: &Node, artifact: &Path) -> (i32, i32) {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    until("one of two has loaded it", || {
        (with, without) = (primed(node, artifact), free(node, artifact));
        let all = with.iter().chain(&without);
        with.len() == 1 && without.len() == 1 && all.copied().all(is_waiting)
    })
    .await;
    (with[0], without[0])
}

/// The next attempt at `guest`.
struct Attempts(u32);

impl Attempts {
    fn next(&mut self, site: &Site, guest: &str) -> stint_runtime::keeper::protocol::StartOrder {
        self.0 += 1;
        site.order(&format!("a.1.t{}.g1.1", self.0), guest, LONG)
    }
}

pub(crate) async fn a_module_in_demand_is_loaded_by_a_worker_that_waits() {
    let site = Site::new(Lifetime::Outlives).with_berths(2);
    let mut node = site.connect_leased().await;
    let mut attempts = Attempts(0);
    for _ in 0..STARTS {
        let order = attempts.next(&site, "noop");
        assert_eq!(primed(&node, &order.plan.artifact), Vec::<i32>::new());
        assert_eq!(node.run(&order).await.outcome, Outcome::Succeeded);
    }
    let artifact = attempts.next(&site, "noop").plan.artifact;
    // Another module's attempt gets the one that has not.
    let (with, without) = one_is_primed(&node, &artifact).await;
    let other = attempts.next(&site, "spin");
    node.start(&other).await;
    node.started(&other).await;
    assert_eq!(workers(node.pid()), [without]);
    assert!(!is_gone(with));
    node.kill(&other.attempt, Outcome::Cancelled).await;
    node.ended(&other).await;
    // Its own gets the one that has.
    for _ in 0..3 {
        let (with, without) = one_is_primed(&node, &artifact).await;
        let order = attempts.next(&site, "noop");
        assert_eq!(node.run(&order).await.outcome, Outcome::Succeeded);
        assert!(is_gone(with) && !is_gone(without));
    }
}

pub(crate) async fn an_attempt_finds_nothing_but_its_module_in_a_worker_that_has_it() {
    let site = Site::new(Lifetime::Outlives).with_berths(2);
    let mut node = site.connect_leased().await;
    let mut attempts = Attempts(0);
    let mut found = Vec::new();
    for round in 0..STARTS + 4 {
        let mut order = attempts.next(&site, "traces");
        let scratch = site.dir().join(format!("{round}.scratch"));
        fs::create_dir(&scratch).unwrap();
        order.plan.dirs = vec![stint_sandbox::Dir {
            host: scratch,
            guest: "/scratch".to_owned(),
            access: stint_sandbox::Access::Write,
        }];
        let mut waiting = None;
        if round >= STARTS {
            waiting = Some(one_is_primed(&node, &order.plan.artifact).await);
        } else {
            let secret = ("SECRET".to_owned(), "of another attempt".to_owned());
            order.plan.env.push(secret);
            order.plan.args.push("secret".to_owned());
        }
        let ended = node.run(&order).await;
        assert_eq!(ended.outcome, Outcome::Succeeded, "round {round}");
        if let Some((with, without)) = waiting {
            assert!(is_gone(with) && !is_gone(without));
            found.push(fs::read(&order.plan.stdout).unwrap());
        }
    }
    for found in &found {
        // No memory, no global, no table entry; three streams and a directory; one page;
        // one argument and no variable.
        assert_eq!(found[..7], [0, 0, 0, 4, 1, 1, 0]);
    }
    let chance: BTreeSet<_> = found.iter().map(|found| &found[8..]).collect();
    assert_eq!(chance.len(), found.len());
}

pub(crate) async fn a_worker_with_a_module_that_is_killed_is_not_missed() {
    let site = Site::new(Lifetime::Outlives).with_berths(2);
    let mut node = site.connect_leased().await;
    let mut attempts = Attempts(0);
    for _ in 0..3 {
        for _ in 0..STARTS {
            let order = attempts.next(&site, "noop");
            assert_eq!(node.run(&order).await.outcome, Outcome::Succeeded);
        }
        let order = attempts.next(&site, "noop");
        let (pid, _) = one_is_primed(&node, &order.plan.artifact).await;
        kill(pid, Signal::KILL);
        assert_eq!(node.run(&order).await.outcome, Outcome::Succeeded);
        until("it is reaped", || is_gone(pid)).await;
    }
}
