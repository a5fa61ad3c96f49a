//! Stopping and starting again: everything is remembered, nobody is kept waiting.

use std::time::{Duration, Instant};

use stint_api::link::{Held, Order};
use stint_api::time::Span;
use stint_api::view::JobState;
use stint_objects::Reach;
use stint_scheduler::{Config, Keep, Scheduler, StartError};
use tokio::net::TcpListener;

use super::{FakeNode, Site, hello, succeeded, within};

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_remembered_by_the_next_process() {
    let site = Site::start().await;
    let (mut node, _) = FakeNode::join(&site, &hello("node-a")).await;
    let id = site.submit(1).await;
    let grant = node.grant().await;
    let cluster = site.client().hello(&hello("node-b")).await.unwrap().cluster;
    let nodes = site.client().nodes().await.unwrap().nodes.len();
    let mut site = Site::start_in(site.stop().await, None).await;
    // A node that goes on is known, and so is what it holds.
    let mut again = hello("node-a");
    again.cluster = Some(cluster);
    again.held = vec![Held {
        id: grant.id.clone(),
        tasks: grant.tasks.clone(),
    }];
    let (node, full) = FakeNode::join(&site, &again).await;
    assert!(matches!(full.as_slice(), [Order::Full { grants }] if grants[0].id == grant.id));
    node.report(vec![succeeded(&grant, "{\"a\":1}")])
        .await
        .unwrap();
    site = Site::start_in(site.stop().await, None).await;
    let client = site.client();
    assert_eq!(client.job(&id).await.unwrap().state, JobState::Succeeded);
    assert_eq!(
        client.tasks(&id, 0, 100, 100).await.unwrap().history.len(),
        1
    );
    let mut results = client.results(&id).await.unwrap();
    let line = within(results.next()).await.unwrap().unwrap();
    assert_eq!(line.result.get(), "{\"a\":1}");
    assert_eq!(client.nodes().await.unwrap().nodes.len(), nodes);
    // The key is remembered as well: the same submit is the same job.
    assert_eq!(site.submit(1).await, id);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_streams_do_not_hold_up_the_stop() {
    let site = Site::start().await;
    let (mut node, _) = FakeNode::join(&site, &hello("node-a")).await;
    let id = site.submit(1).await;
    node.grant().await;
    let mut events = site.client().events(&id);
    within(events.next()).await.unwrap().unwrap();
    // Connections that say nothing, and half of what HTTP/2 begins with.
    let address = site.url.trim_start_matches("http://").to_owned();
    let _silent = tokio::net::TcpStream::connect(&address).await.unwrap();
    let mut half = tokio::net::TcpStream::connect(&address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut half, b"PRI * HT")
        .await
        .unwrap();
    let asked = Instant::now();
    site.stop().await;
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "{:?}",
        asked.elapsed()
    );
    assert!(node.next().await.is_none(), "its stream ends in good order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_has_one_scheduler_and_a_lease_its_bounds() {
    let site = Site::start().await;
    let start = async |lease: Span, token: Option<&str>| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = Config {
            data_dir: site.directory.path().to_owned(),
            lease,
            token: token.map(str::to_owned),
            library: None,
            keep: Keep::default(),
            allow_inputs: Reach::new("scheduler", "--allow-inputs", Vec::new()),
        };
        Scheduler::start(listener, config).await.unwrap_err()
    };
    let error = start(Span::from_secs(2), None).await;
    assert!(matches!(error, StartError::Open(_)), "{error}");
    assert!(error.to_string().contains("locked by another scheduler"));
    let error = start(Span::ZERO, None).await;
    assert!(matches!(error, StartError::Lease { .. }), "{error}");
    let error = start(Span::from_secs(2), Some("")).await;
    assert!(matches!(error, StartError::EmptyToken), "{error}");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_is_dropped_gives_its_directory_back() {
    let directory = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = Config {
        data_dir: directory.path().to_owned(),
        lease: Span::from_secs(2),
        token: None,
        library: None,
        keep: Keep::default(),
        allow_inputs: Reach::new("scheduler", "--allow-inputs", Vec::new()),
    };
    drop(Scheduler::start(listener, config.clone()).await.unwrap());
    let again = async {
        loop {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            if Scheduler::start(listener, config.clone()).await.is_ok() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    within(again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_of_a_job_that_nobody_knows_go_when_a_scheduler_starts() {
    let directory = tempfile::tempdir().unwrap();
    let unknown = directory.path().join("logs/default/77");
    std::fs::create_dir_all(&unknown).unwrap();
    std::fs::write(unknown.join("index"), "x").unwrap();
    let site = Site::start_in(directory, None).await;
    within(async {
        while unknown.exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    site.stop().await;
}
