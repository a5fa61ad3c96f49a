//! Kits: what they are made of is put before, and all of it has to be there.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use stint_api::id::{Digest, Namespace};
use stint_api::job::JobSpec;
use stint_api::kit::{Entry, KitSpec, Returns, Script, ScriptFile, Stub};

use super::{Site, within};

fn digest(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

fn reactor() -> Vec<u8> {
    let text = r#"(module
        (import "host" "call" (func (param i32) (result i32)))
        (func (export "run") (result i32) i32.const 0))"#;
    wat::parse_str(text).unwrap()
}

fn kit(files: &[u8]) -> KitSpec {
    KitSpec {
        about: "a test".into(),
        module: digest(&reactor()),
        entry: Entry {
            export: "run".into(),
            returns: Returns::Code,
            stubs: vec![Stub {
                module: "host".into(),
                name: "call".into(),
                result: -1,
            }],
        },
        files: Some(digest(files)),
        suffix: Some("s".into()),
        scripts: "/job".into(),
        args: vec!["x".into(), "{script}".into()],
        env: std::collections::BTreeMap::new(),
        available: std::collections::BTreeMap::new(),
        memory: None,
        compile: None,
    }
}

fn files() -> Vec<u8> {
    let list = json!({"dirs": [{"at": "/lib", "files": [
        {"path": "a.zip", "digest": digest(b"library"), "bytes": 7}]}]});
    list.to_string().into_bytes()
}

impl Site {
    async fn put(&self, bytes: &[u8]) -> (u16, Value) {
        let path = format!("/v1/files?digest={}", digest(bytes));
        self.ask("PUT", &path, bytes.to_vec()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kit_is_added_when_all_of_it_is_there_and_given_to_nodes() {
    let site = Site::start().await;
    let client = site.client();
    let namespace = Namespace::default();
    let missing = async || {
        let error = client.add_kit(&namespace, "k", &kit(&files())).await;
        let problem = error.unwrap_err().problem().unwrap().clone();
        assert_eq!(problem.kind, "urn:stint:file-unknown");
        problem.detail
    };
    for (part, named) in [
        (files(), "the list of files"),
        (b"library".to_vec(), "a file of the kit"),
        (reactor(), "the kit's module"),
    ] {
        assert!(missing().await.contains(named));
        assert_eq!(site.put(&part).await.0, 201);
    }
    let added = client
        .add_kit(&namespace, "k", &kit(&files()))
        .await
        .unwrap();
    assert_eq!(added.files_bytes.0, 7);
    assert_eq!(client.kits(&namespace).await.unwrap().kits, [added]);
    let module = client
        .module(&namespace, &digest(&reactor()))
        .await
        .unwrap();
    assert_eq!(module.entry, "run");
    let mut bytes = client.module_bytes(&module.digest).await.unwrap();
    assert!(within(bytes.next()).await.unwrap().is_some());
    let mut bytes = client.file_bytes(&digest(b"library")).await.unwrap();
    assert_eq!(within(bytes.next()).await.unwrap().unwrap(), "library");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_is_put_before_the_job_that_runs_it() {
    let site = Site::start().await;
    let client = site.client();
    for part in [files(), b"library".to_vec(), reactor()] {
        site.put(&part).await;
    }
    let beside = ScriptFile {
        name: "b.s".into(),
        digest: digest(b"beside"),
    };
    let script = Script {
        files: vec![beside],
        ..Script::new("a.s".into(), digest(b"script"))
    };
    let spec = JobSpec::of_script("k".into(), script);
    let refused = async |key: &str| {
        let error = client.submit(&spec, key).await.unwrap_err();
        error.problem().unwrap().kind.clone()
    };
    assert_eq!(refused("1").await, "urn:stint:file-unknown");
    site.put(b"script").await;
    assert_eq!(refused("2").await, "urn:stint:file-unknown");
    site.put(b"beside").await;
    assert_eq!(refused("2").await, "urn:stint:kit-unknown");
    client
        .add_kit(&Namespace::default(), "k", &kit(&files()))
        .await
        .unwrap();
    let job = client.submit(&spec, "3").await.unwrap();
    let spec = client.job(&job.id).await.unwrap().spec;
    assert_eq!(spec.module, digest(&reactor()));
    assert_eq!(spec.kit.as_deref(), Some("k"));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kit_that_is_not_for_its_module_is_refused_by_name() {
    let site = Site::start().await;
    for part in [files(), b"library".to_vec(), reactor()] {
        site.put(&part).await;
    }
    let put = async |name: &str, change: fn(&mut KitSpec)| {
        let mut spec = kit(&files());
        change(&mut spec);
        let body = serde_json::to_string(&spec).unwrap();
        let (status, problem) = site.ask("PUT", &format!("/v1/kits/{name}"), body).await;
        (
            status,
            problem["type"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let (status, kind) = put("k", |spec| spec.entry.stubs.clear()).await;
    assert_eq!((status, kind.as_str()), (422, "urn:stint:module-rejected"));
    let (status, kind) = put("k", |spec| spec.args.clear()).await;
    assert_eq!((status, kind.as_str()), (422, "urn:stint:invalid-field"));
    let (status, kind) = put("K", |_| {}).await;
    assert_eq!((status, kind.as_str()), (400, "urn:stint:bad-id"));
    assert_eq!(put("k", |_| {}).await.0, 201);
    assert_eq!(put("k", |_| {}).await.0, 200);
    let (status, problem) = site.get("/v1/kits/other").await;
    assert_eq!(
        (status, &problem["type"]),
        (404, &json!("urn:stint:no-kit"))
    );
    site.stop().await;
}
