//! A node joins, is given work, and says what became of it.

use stint_api::client::{Follow, LogChoice};
use stint_api::link::{Held, Order, Report, Stream, Verdict};
use stint_api::outcome::Outcome;
use stint_api::view::{EventKind, JobState, NodeDuty, NodeState};

use super::{FakeNode, Site, hello, log, started, succeeded, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_through_to_its_results_its_logs_and_its_story() {
    let site = Site::start().await;
    let client = site.client();
    let (mut node, full) = FakeNode::join(&site, &hello("node-a")).await;
    assert!(matches!(full.as_slice(), [Order::Full { grants }] if grants.is_empty()));
    let id = site.submit(1).await;
    // Followed while it runs, and read again when it is over.
    let follow = LogChoice {
        follow: Follow::UntilOver,
        ..LogChoice::default()
    };
    let mut followed = client.logs(&id, follow);
    let mut events = client.events(&id);
    let grant = node.grant().await;
    assert_eq!(grant.id.job, id);
    node.report(vec![started(&grant), log(&grant, 0, "hello ")])
        .await
        .unwrap();
    assert_eq!(
        within(followed.next()).await.unwrap().unwrap().bytes,
        b"hello "
    );
    let result = "{\n  \"rows\": 3\n}";
    let reports = || vec![log(&grant, 6, "world"), succeeded(&grant, result)];
    node.report(reports()).await.unwrap();
    // A batch whose answer was lost is said again, and changes nothing.
    node.report(reports()).await.unwrap();
    assert_eq!(
        within(followed.next()).await.unwrap().unwrap().bytes,
        b"world"
    );
    assert_eq!(within(followed.next()).await.unwrap(), None);
    let mut kinds = Vec::new();
    while let Some(event) = within(events.next()).await.unwrap() {
        kinds.push(event.what);
    }
    assert!(
        matches!(
            kinds.as_slice(),
            [
                EventKind::Submitted,
                EventKind::Granted { .. },
                EventKind::Started { .. },
                EventKind::Ended {
                    outcome: Outcome::Succeeded,
                    ..
                },
                EventKind::Done {
                    state: JobState::Succeeded
                },
            ]
        ),
        "{kinds:#?}"
    );
    let job = client.job(&id).await.unwrap();
    assert_eq!((job.state, job.attempts), (JobState::Succeeded, 1));
    let tasks = client.tasks(&id, 0, 100, 100).await.unwrap();
    assert_eq!((tasks.runs.len(), tasks.history.len()), (1, 1));
    let mut results = client.results(&id).await.unwrap();
    let line = within(results.next()).await.unwrap().unwrap();
    let value: serde_json::Value = serde_json::from_str(line.result.get()).unwrap();
    assert_eq!((line.task, &value["rows"]), (0, &serde_json::json!(3)));
    assert!(within(results.next()).await.unwrap().is_none());
    let stderr = LogChoice {
        stream: Some(Stream::Stderr),
        ..LogChoice::default()
    };
    assert_eq!(within(client.logs(&id, stderr).next()).await.unwrap(), None);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_is_stopped_on_its_node() {
    let site = Site::start().await;
    let (mut node, _) = FakeNode::join(&site, &hello("node-a")).await;
    let id = site.submit(1).await;
    let grant = node.grant().await;
    site.client().cancel(&id).await.unwrap();
    let orders = node.next().await.unwrap();
    assert_eq!(
        orders,
        [Order::Stop {
            id: grant.id.clone(),
            why: Outcome::Cancelled
        }]
    );
    // What it still says of it changes nothing, and what it still logs is not kept.
    node.report(vec![log(&grant, 0, "late"), succeeded(&grant, "1")])
        .await
        .unwrap();
    assert_eq!(
        site.client().job(&id).await.unwrap().state,
        JobState::Cancelled
    );
    let mut logs = site.client().logs(&id, LogChoice::default());
    assert_eq!(within(logs.next()).await.unwrap(), None);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_said_hello_again_is_refused_under_its_old_generation() {
    let site = Site::start().await;
    let (mut old, _) = FakeNode::join(&site, &hello("node-a")).await;
    site.submit(1).await;
    let grant = old.grant().await;
    let mut again = hello("node-a");
    again.cluster = Some(site.client().hello(&hello("node-b")).await.unwrap().cluster);
    again.held = vec![Held {
        id: grant.id.clone(),
        tasks: grant.tasks.clone(),
    }];
    let (new, full) = FakeNode::join(&site, &again).await;
    assert!(
        matches!(full.as_slice(), [Order::Full { grants }] if grants[0].id == grant.id),
        "{full:?}"
    );
    // The stream of the old one ends, and nobody hears it any more.
    assert!(old.next().await.is_none());
    let refused = old.report(vec![succeeded(&grant, "1")]).await.unwrap_err();
    assert!(refused.is_stale_generation());
    let refused = site
        .client()
        .orders(&old.id, old.generation)
        .await
        .unwrap_err();
    assert!(refused.is_stale_generation());
    new.report(vec![succeeded(&grant, "1")]).await.unwrap();
    let job = site.client().job(&grant.id.job).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_protocol_is_told_what_to_install() {
    let site = Site::start().await;
    let mut other = hello("node-a");
    other.protocol += 1;
    let refused = site.client().hello(&other).await.unwrap_err();
    assert!(!refused.is_stale_generation() && !refused.is_transient());
    assert!(refused.problem().unwrap().detail.contains("same version"));
    assert!(site.client().nodes().await.unwrap().nodes.is_empty());
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_beyond_the_limits_of_the_link_is_refused() {
    let site = Site::start().await;
    let (mut node, _) = FakeNode::join(&site, &hello("node-a")).await;
    site.submit(1).await;
    let grant = node.grant().await;
    let long = "x".repeat(stint_api::link::LOG_BYTES_MAX + 1);
    let refused = node.report(vec![log(&grant, 0, &long)]).await.unwrap_err();
    assert_eq!(refused.problem().unwrap().status, 422);
    let many = vec![started(&grant); stint_api::link::REPORTS_MAX + 1];
    let refused = node.report(many).await.unwrap_err();
    assert_eq!(refused.problem().unwrap().status, 422);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_no_node_could_hold_is_refused_with_the_largest() {
    let site = Site::start().await;
    FakeNode::join(&site, &hello("node-a")).await;
    let mut spec = stint_api::job::JobSpec::new(site.push().await);
    spec.memory = stint_api::quantity::Bytes::mebi(1 << 20);
    let refused = site.client().submit(&spec, "k").await.unwrap_err();
    let problem = refused.problem().unwrap();
    assert_eq!(problem.kind, "urn:stint:never-fits");
    assert!(
        problem.detail.contains("the largest node has"),
        "{problem:#?}"
    );
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tasks_return_their_results_in_order() {
    let site = Site::start().await;
    let (mut node, _) = FakeNode::join(&site, &hello("node-a")).await;
    let id = site.submit(300).await;
    let mut done = 0;
    while done < 300 {
        for order in node.next().await.unwrap() {
            let Order::Run(grant) = order else { continue };
            for run in grant.tasks.iter().rev() {
                let mut part = grant.clone();
                part.tasks = vec![*run];
                node.report(vec![succeeded(&part, "[1]")]).await.unwrap();
                done += run.count;
            }
        }
    }
    let mut results = site.client().results(&id).await.unwrap();
    for task in 0..300 {
        let line = within(results.next()).await.unwrap().unwrap();
        assert_eq!(line.task, task);
    }
    assert!(within(results.next()).await.unwrap().is_none());
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_is_tried_again_stays_with_its_node() {
    let site = Site::start().await;
    let (mut node, _) = FakeNode::join(&site, &hello("node-a")).await;
    let mut spec = stint_api::job::JobSpec::new(site.push().await);
    spec.retries = 1;
    let id = site.client().submit(&spec, "k").await.unwrap().id;
    let grant = node.grant().await;
    let Report::Ended(mut failed) = succeeded(&grant, "1") else {
        unreachable!("it ended");
    };
    failed.outcome = Outcome::Exited { code: 7 };
    failed.verdict = Verdict::Retry {
        after: stint_api::time::Span::from_millis(1),
    };
    failed.results.clear();
    let Report::Ended(mut second) = succeeded(&grant, "1") else {
        unreachable!("it ended");
    };
    second.try_number = 2;
    node.report(vec![Report::Ended(failed), Report::Ended(second)])
        .await
        .unwrap();
    let tasks = site.client().tasks(&id, 0, 100, 100).await.unwrap();
    let outcomes: Vec<&Outcome> = tasks
        .history
        .iter()
        .map(|attempt| &attempt.outcome)
        .collect();
    assert_eq!(
        outcomes,
        [&Outcome::Exited { code: 7 }, &Outcome::Succeeded]
    );
    let nodes = site.client().nodes().await.unwrap().nodes;
    assert_eq!((nodes[0].state, nodes[0].grants), (NodeState::Ready, 0));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_drained_and_works_again_when_it_is_let() {
    let site = Site::start().await;
    let client = site.client();
    let (mut node, _) = FakeNode::join(&site, &hello("node-a")).await;
    let mut jobs = Vec::new();
    for _ in 0..2 {
        jobs.push(site.submit(1).await);
    }
    // The same key makes one job of both.
    assert_eq!(jobs[0], jobs[1]);
    let grant = node.grant().await;
    let id = "node-a".parse().unwrap();
    let view = client
        .drain(&id, stint_api::time::Span::ZERO)
        .await
        .unwrap();
    assert_eq!(view.duty, NodeDuty::Draining);
    let orders = node.next().await.unwrap();
    let [Order::GiveBack { id: told, kill }] = orders.as_slice() else {
        panic!("{orders:?}");
    };
    assert_eq!((told, kill), (&grant.id, &Some(Outcome::Drained)));
    let tasks = grant.tasks.clone();
    let report = Report::GaveBack {
        id: grant.id.clone(),
        tasks,
    };
    node.report(vec![report]).await.unwrap();
    let nodes = client.nodes().await.unwrap().nodes;
    assert_eq!((nodes[0].duty, nodes[0].grants), (NodeDuty::Drained, 0));
    assert_eq!(client.uncordon(&id).await.unwrap().duty, NodeDuty::Open);
    assert_eq!(node.grant().await.id.grant.0, 2);
    assert_eq!(client.cordon(&id).await.unwrap().duty, NodeDuty::Cordoned);
    for (path, status, kind) in [
        ("/v1/nodes/node-b:drain", 404, "no-node"),
        ("/v1/nodes/node-a:reboot", 404, "no-verb"),
        ("/v1/nodes/node-a", 404, "no-verb"),
        ("/v1/nodes/node-a:drain?within=soon", 400, "bad-query"),
        ("/v1/nodes/node-a:drain?within=9999h", 400, "bad-query"),
        ("/v1/nodes/node-a:cordon?within=1s", 400, "bad-query"),
        ("/v1/nodes/Node:cordon", 400, "bad-id"),
    ] {
        let (answered, problem) = site.ask("POST", path, "").await;
        assert_eq!(answered, status, "{path}: {problem}");
        assert_eq!(problem["type"], format!("urn:stint:{kind}"), "{path}");
    }
    site.stop().await;
}
