//! Modules: kept whole or not at all.

use serde_json::json;
use sha2::{Digest as _, Sha256};
use stint_api::id::{Digest, Namespace};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Site, module_bytes, module_file, within};

fn digest(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// Files that uploads have left.
fn leftovers(site: &Site) -> usize {
    let modules = site.directory.path().join("modules");
    let uploads = std::fs::read_dir(modules.join("uploads")).unwrap().count();
    uploads + std::fs::read_dir(modules).unwrap().count() - 1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_is_pushed_shown_and_given_to_nodes() {
    let site = Site::start().await;
    let client = site.client();
    let namespace = Namespace::default();
    let path = module_file(site.directory.path());
    let pushed = client.push_module(&namespace, &path).await.unwrap();
    assert_eq!(pushed.digest, digest(&module_bytes()));
    assert_eq!(client.push_module(&namespace, &path).await.unwrap(), pushed);
    assert_eq!(
        client.module(&namespace, &pushed.digest).await.unwrap(),
        pushed
    );
    assert_eq!(
        client.modules(&namespace).await.unwrap().modules,
        std::slice::from_ref(&pushed)
    );
    let mut bytes = Vec::new();
    let mut stream = client.module_bytes(&pushed.digest).await.unwrap();
    while let Some(piece) = within(stream.next()).await.unwrap() {
        bytes.extend_from_slice(&piece);
    }
    assert_eq!(bytes, module_bytes());
    let other = "other".parse().unwrap();
    assert!(client.modules(&other).await.unwrap().modules.is_empty());
    let unknown = client.module(&other, &pushed.digest).await.unwrap_err();
    assert_eq!(unknown.problem().unwrap().status, 404);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_module_or_another_one_leaves_nothing() {
    let site = Site::start().await;
    let wrong = format!("/v1/modules?digest={}", digest(b"something else"));
    let (status, problem) = site.ask("PUT", &wrong, module_bytes()).await;
    assert_eq!(
        (status, &problem["type"]),
        (422, &json!("urn:stint:digest-mismatch"))
    );
    for (bytes, named) in [
        (b"".to_vec(), "empty"),
        (b"(module)".to_vec(), "text"),
        (module_bytes()[..20].to_vec(), "cut off"),
        (
            wat::parse_str(r#"(module (import "env" "secret" (func)) (func (export "_start")))"#)
                .unwrap(),
            "env.secret",
        ),
    ] {
        let path = format!("/v1/modules?digest={}", digest(&bytes));
        let (status, problem) = site.ask("PUT", &path, bytes).await;
        assert_eq!(
            (status, &problem["type"]),
            (422, &json!("urn:stint:module-rejected"))
        );
        assert!(
            problem["detail"].as_str().unwrap().contains(named),
            "{problem:#}"
        );
        assert!(problem["hint"].is_string());
    }
    let (status, problem) = site.ask("PUT", "/v1/modules?digest=md5:1", "x").await;
    assert_eq!(
        (status, &problem["type"]),
        (400, &json!("urn:stint:bad-query"))
    );
    assert_eq!(leftovers(&site), 0);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_cut_leaves_nothing() {
    let site = Site::start().await;
    let bytes = module_bytes();
    let address = site.url.trim_start_matches("http://").to_owned();
    let mut socket = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "PUT /v1/modules?digest={} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
        digest(&bytes),
        bytes.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(&bytes[..bytes.len() / 2]).await.unwrap();
    socket.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let _ = within(socket.read_to_end(&mut answer)).await;
    let (_, list) = site.get("/v1/modules").await;
    assert_eq!(list, json!({ "modules": [] }));
    let (status, _) = site
        .get(&format!("/v1/link/modules/{}", digest(&bytes)))
        .await;
    assert_eq!(status, 404);
    assert_eq!(leftovers(&site), 0);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_says_it_is_too_large_is_refused_before_it_is_sent() {
    let site = Site::start().await;
    let address = site.url.trim_start_matches("http://").to_owned();
    let mut socket = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "PUT /v1/modules?digest={} HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        digest(b""),
        1_u64 << 40
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    within(socket.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 413");
    site.stop().await;
}
