//! Submitting, listing, cancelling: over both versions of HTTP.

use serde_json::json;
use stint_api::id::Namespace;
use stint_api::job::{JobBatch, JobSpec};
use stint_api::link::Order;
use stint_api::view::JobState;

use super::{FakeNode, Site, hello};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_and_body_make_one_job() {
    let site = Site::start().await;
    let body = json!({ "module": site.push().await }).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", "k"),
    ];
    let submit = |body: String| site.ask_with("POST", "/v1/jobs", &headers, body);
    let (status, made) = submit(body.clone()).await;
    assert_eq!(status, 201, "{made}");
    let (status, same) = submit(body.clone()).await;
    assert_eq!((status, &same), (200, &made));
    let (status, problem) = submit(body.replace('}', ",\"tasks\":2}")).await;
    assert_eq!(status, 422);
    assert_eq!(problem["type"], "urn:stint:idempotency-key-reused");
    // In another namespace the key is another one.
    let (status, problem) = submit(body.replace('}', ",\"namespace\":\"b\"}")).await;
    assert_eq!(
        (status, &problem["type"]),
        (422, &json!("urn:stint:module-unknown"))
    );
    let (_, list) = site.get("/v1/jobs").await;
    assert_eq!(list["jobs"].as_array().unwrap().len(), 1);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_submits_at_once_make_one_job() {
    let site = Site::start().await;
    let body = json!({ "module": site.push().await }).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", "k"),
    ];
    let submits = (0..32).map(|_| site.ask_with("POST", "/v1/jobs", &headers, body.clone()));
    let statuses: Vec<u16> = futures_util::future::join_all(submits)
        .await
        .into_iter()
        .map(|(status, _)| status)
        .collect();
    let made = statuses.iter().filter(|status| **status == 201).count();
    assert_eq!(made, 1, "{statuses:?}");
    assert!(
        statuses.iter().all(|s| [200, 201, 409].contains(s)),
        "{statuses:?}"
    );
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_listed_in_pages_newest_first_and_cancelled_once() {
    let site = Site::start().await;
    let client = site.client();
    let mut spec = JobSpec::new(site.push().await);
    for tasks in 1..=3 {
        spec.tasks = tasks;
        client.submit(&spec, &format!("k{tasks}")).await.unwrap();
    }
    let namespace = Namespace::default();
    let first = client.jobs(&namespace, None, 2).await.unwrap();
    let numbers = |list: &stint_api::view::JobList| -> Vec<u64> {
        list.jobs.iter().map(|job| job.id.number).collect()
    };
    assert_eq!(numbers(&first), [3, 2]);
    let rest = client
        .jobs(&namespace, first.next.as_deref(), 2)
        .await
        .unwrap();
    assert_eq!((numbers(&rest), rest.next), (vec![1], None));
    assert!(first.jobs[0].waiting.is_some());
    let id = "default.2".parse().unwrap();
    for _ in 0..2 {
        client.cancel(&id).await.unwrap();
        assert_eq!(client.job(&id).await.unwrap().state, JobState::Cancelled);
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_jobs_are_submitted_at_once_and_a_wrong_one_is_named() {
    let site = Site::start().await;
    let client = site.client();
    let spec = JobSpec::new(site.push().await);
    let batch = JobBatch {
        jobs: vec![spec.clone(); 1_000],
    };
    let made = client.submit_batch(&batch, "k").await.unwrap();
    assert_eq!(made.ids.len(), 1_000);
    let again = client.submit_batch(&batch, "k").await.unwrap();
    assert_eq!(again, made);
    let mut wrong = batch.clone();
    wrong.jobs[7].tasks = 0;
    let error = client.submit_batch(&wrong, "l").await.unwrap_err();
    assert!(error.to_string().contains("`jobs[7]`: `tasks`"), "{error}");
    let misspelt = json!({ "jobs": [{ "module": spec.module, "taks": 1 }] });
    let (status, problem) = site
        .ask("POST", "/v1/jobs:batch", misspelt.to_string())
        .await;
    assert_eq!(
        (status, &problem["type"]),
        (422, &json!("urn:stint:unknown-field"))
    );
    let (status, problem) = site.ask("POST", "/v1/jobs:batch", r#"{"jobs":[]}"#).await;
    assert_eq!(
        (status, &problem["type"]),
        (422, &json!("urn:stint:invalid-field"))
    );
    let list = client
        .jobs(&Namespace::default(), None, 1_000)
        .await
        .unwrap();
    assert_eq!((list.jobs.len(), list.next), (1_000, None));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_suspended_resumed_and_run_once_more() {
    let site = Site::start().await;
    let client = site.client();
    let (mut node, _) = FakeNode::join(&site, &hello("node-a")).await;
    let job = site.submit(40).await;
    let grants = node.next().await.unwrap();
    assert_eq!(grants.len(), 4);
    client.suspend(&job).await.unwrap();
    let orders = node.next().await.unwrap();
    assert!(matches!(
        orders.as_slice(),
        [Order::GiveBack { kill: None, .. }, ..]
    ));
    assert!(client.job(&job).await.unwrap().suspended_at.is_some());
    client.resume(&job).await.unwrap();
    assert!(client.job(&job).await.unwrap().suspended_at.is_none());
    let nothing = client.rerun(&job, true, "k").await.unwrap_err();
    assert!(nothing.to_string().contains("no task of job"), "{nothing}");
    client.cancel(&job).await.unwrap();
    let (status, problem) = site
        .ask("POST", &format!("/v1/jobs/{job}:suspend"), "")
        .await;
    assert_eq!(
        (status, &problem["type"]),
        (409, &json!("urn:stint:job-over"))
    );
    let again = client.rerun(&job, true, "k").await.unwrap().id;
    assert_eq!(client.rerun(&job, true, "k").await.unwrap().id, again);
    let view = client.job(&again).await.unwrap();
    assert_eq!((view.rerun_of.as_ref(), view.tasks.total), (Some(&job), 40));
    let path = format!("/v1/jobs/{job}:cancel?failed=true");
    let (status, problem) = site.ask("POST", &path, "").await;
    assert_eq!(
        (status, &problem["type"]),
        (400, &json!("urn:stint:bad-query"))
    );
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_job_waits_is_explained_with_figures() {
    let site = Site::start().await;
    let (_node, _) = FakeNode::join(&site, &hello("node-a")).await;
    let job = site.submit(10).await;
    let (status, why) = site.get(&format!("/v1/jobs/{job}/explain")).await;
    assert_eq!(status, 200, "{why}");
    assert_eq!(why["slots"], 4);
    assert_eq!(why["wait"]["for"], "room");
    assert_eq!(why["wait"]["queue"]["position"], 1);
    let lack = &why["wait"]["nodes"]["lacking"][0];
    assert_eq!(
        *lack,
        json!({ "resource": "CPU", "need": "1", "nodes": 1, "free": ["0"] })
    );
    let explained = site.client().explain(&job).await.unwrap();
    let view = site.client().job(&job).await.unwrap();
    assert_eq!(explained.summary, view.waiting);
    assert!(view.waiting.unwrap().contains("lacks CPU: need 1, free 0"));
    let (status, _) = site.get("/v1/jobs/default.9/explain").await;
    assert_eq!(status, 404);
    site.stop().await;
}
