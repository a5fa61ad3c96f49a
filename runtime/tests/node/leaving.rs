//! A node that goes in order, and one that dies.

use stint_api::link::{Report, Verdict};
use stint_api::outcome::Outcome;
use stint_runtime::node::KeeperLifetime;

use crate::site::{Site, ended, guest, last};

fn started(reports: &[Report]) -> Option<()> {
    let mut all = reports.iter();
    all.any(|report| matches!(report, Report::Started { .. }))
        .then_some(())
}

pub(crate) async fn a_node_that_goes_gives_its_tasks_back_and_leaves_nothing() {
    let mut site = Site::start().await;
    site.run(&guest("spin"), |_| ()).await;
    site.scheduler.wait(started).await;
    site.stop_node().await;
    let end = last(&site.scheduler.reports()).unwrap();
    assert_eq!(
        (end.outcome, end.verdict),
        (Outcome::Drained, Verdict::Returned)
    );
    assert_eq!(site.names("node/slots"), [] as [&str; 0]);
    assert!(site.spooled().is_empty());
}

pub(crate) async fn a_node_that_starts_anew_goes_on_with_what_runs() {
    let mut site = Site::start().await;
    site.stop_node().await;
    site.start_node(KeeperLifetime::Outlives).await;
    site.run(&guest("spin"), |grant| {
        grant.plan.timeout = stint_api::time::Span::from_secs(2);
    })
    .await;
    site.scheduler.wait(started).await;
    site.kill_node().await;
    site.start_node(KeeperLifetime::Outlives).await;
    let end = site.last().await;
    assert_eq!((end.outcome.reason(), end.try_number), ("deadline", 1));
    assert_eq!(ended(&site.scheduler.reports()).count(), 1);
    let held = site.scheduler.hellos().pop().unwrap().held;
    assert_eq!(held.len(), 1, "the new process says what it found");
    site.let_go().await;
    site.stop_node().await;
}
