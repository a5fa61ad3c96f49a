//! A link that breaks, a scheduler that is silent, one that refuses.

use stint_api::time::Span;
use stint_runtime::node::{KeeperLifetime, RunError};

use crate::scheduler::Manners;
use crate::site::{Site, ended, guest, until};

pub(crate) async fn an_answer_that_is_lost_is_asked_for_again() {
    let site = Site::start().await;
    site.scheduler.behave(Manners::LosesOneAnswer);
    site.run(&guest("hello"), |_| ()).await;
    // Only what was answered lets the node forget.
    until("a second hello", || site.scheduler.hellos().len() > 1).await;
    site.last().await;
    site.let_go().await;
    let hello = site.scheduler.hellos().pop().unwrap();
    assert_eq!(hello.held.len(), 1, "it says what it holds");
    assert!(hello.cluster.is_some());
    let ends = ended(&site.scheduler.reports()).count();
    assert!((1..=2).contains(&ends), "told {ends} times");
}

pub(crate) async fn a_scheduler_that_says_nothing_loses_the_node() {
    let site = Site::with_lease(Span::from_millis(700)).await;
    site.run(&guest("spin"), |_| ()).await;
    site.scheduler
        .wait(|reports| (!reports.is_empty()).then_some(()))
        .await;
    until("a worker runs", || site.names("node/slots").len() == 1).await;
    site.scheduler.behave(Manners::Silent);
    until("its lease ends it", || site.spooled().len() == 1).await;
    let outcomes: Vec<_> = site.spooled().into_values().collect();
    assert_eq!(outcomes[0]["reason"], "node-lost");
}

pub(crate) async fn a_refusal_ends_the_node() {
    let mut site = Site::start().await;
    until("the first hello", || !site.scheduler.hellos().is_empty()).await;
    site.kill_node().await;
    site.scheduler.behave(Manners::Refuses);
    site.start_node(KeeperLifetime::DiesWithNode).await;
    let refused = site.node_ended().await.unwrap_err();
    let RunError::Refused(cause) = &refused else {
        panic!("{refused}");
    };
    assert_eq!(cause.to_string(), "the token is wrong");
}
