//! Somebody decides what a namespace may have, and is told what it has.

use stint_api::id::Namespace;
use stint_api::namespace::{NamespaceSpec, Quota};

use super::{FakeNode, Site, hello};

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_kept_told_and_kept_over_a_restart() {
    let site = Site::start().await;
    let client = site.client();
    let namespace = Namespace::default();
    let (slots, jobs) = (Some(2), Some(1));
    let spec = NamespaceSpec {
        borrow: false,
        weight: 3,
        quota: Quota {
            slots,
            jobs,
            ..Quota::default()
        },
    };
    client.set_namespace(&namespace, &spec).await.unwrap();
    let (_node, _) = FakeNode::join(&site, &hello("node-a")).await;
    let id = site.submit(4).await;
    let why = client.job(&id).await.unwrap().waiting.unwrap();
    let told = "2 of 4 tasks wait: the quota of namespace default allows slots 2: 2 are taken";
    assert!(why.starts_with(told), "{why}");
    let view = client.namespace(&namespace).await.unwrap();
    assert_eq!((view.spec, view.used.slots, view.used.jobs), (spec, 2, 1));
    assert!((view.share - 0.5 / 3.0).abs() < 1e-9, "{view:?}");
    let body = serde_json::json!({ "module": site.push().await.to_string() });
    let (status, problem) = site.ask("POST", "/v1/jobs", body.to_string()).await;
    assert_eq!((status, &problem["type"]), (403, &"urn:stint:quota".into()));
    let path = "/v1/namespaces/default";
    let (status, problem) = site.ask("PUT", path, r#"{"weight": 0}"#).await;
    assert_eq!(status, 422, "{problem}");
    let (status, problem) = site.ask("PUT", path, r#"{"quota": {"cpus": 1}}"#).await;
    assert_eq!(status, 422, "{problem}");
    assert_eq!(site.get("/v1/namespaces/Nope").await.0, 400);
    let site = Site::start_in(site.stop().await, None).await;
    let list = site.client().namespaces().await.unwrap().namespaces;
    assert_eq!((list.len(), list[0].spec), (1, spec));
    site.stop().await;
}
