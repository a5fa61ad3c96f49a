//! What is wrong is answered with a problem that names it and says what to do.

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Site, within};

/// Asserts a problem of this kind, with a hint; its detail.
#[track_caller]
fn detail((status, problem): (u16, Value), expected: u16, kind: &str) -> String {
    assert_eq!(status, expected, "{problem:#}");
    assert_eq!(problem["status"], expected);
    assert_eq!(problem["type"], format!("urn:stint:{kind}"), "{problem:#}");
    assert!(
        problem["hint"]
            .as_str()
            .is_some_and(|hint| !hint.is_empty())
    );
    problem["detail"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_with_a_wrong_field_is_refused_by_name() {
    let site = Site::start().await;
    let module = format!("\"module\":\"{}\"", site.push().await);
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    for (fields, status, kind, named) in [
        (
            r#","memroy":"1Mi""#,
            422,
            "unknown-field",
            "did you mean `memory`",
        ),
        (r#","tasks":1,"tasks":2"#, 422, "duplicate-field", "`tasks`"),
        (r#","tasks":"many""#, 422, "wrong-type", "`tasks`"),
        (r#","memory":"lots""#, 422, "wrong-type", "`memory`"),
        (r#","tasks":1e999"#, 422, "wrong-type", "`tasks`"),
        (r#","tasks":0"#, 422, "invalid-field", "`tasks`"),
        (r#","env":{"STINT_X":""}"#, 422, "invalid-field", "`env`"),
        (r#","args":"#, 400, "malformed-json", "not JSON"),
        (
            &format!(",\"args\":{deep}"),
            400,
            "malformed-json",
            "deeper",
        ),
    ] {
        let answer = site
            .ask("POST", "/v1/jobs", format!("{{{module}{fields}}}"))
            .await;
        let detail = detail(answer, status, kind);
        assert!(detail.contains(named), "{detail}");
    }
    let missing = site.ask("POST", "/v1/jobs", "{}").await;
    assert!(detail(missing, 422, "invalid-field").contains("`module`"));
    let unknown = format!("{{\"module\":\"sha256:{}\"}}", "9".repeat(64));
    detail(
        site.ask("POST", "/v1/jobs", unknown).await,
        422,
        "module-unknown",
    );
    let (_, list) = site.get("/v1/jobs").await;
    assert_eq!(list["jobs"].as_array().unwrap().len(), 0);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_beyond_the_limit_is_refused_whether_or_not_it_says_its_length() {
    let site = Site::start().await;
    let huge = vec![b'x'; 20 << 20];
    let said = site.ask("POST", "/v1/jobs", huge.clone()).await;
    detail(said, 413, "body-too-large");
    let pieces = futures_util::stream::iter(
        huge.chunks(1 << 20)
            .map(|piece| Ok::<_, std::io::Error>(piece.to_vec()))
            .collect::<Vec<_>>(),
    );
    let unsaid = site
        .ask("POST", "/v1/jobs", reqwest::Body::wrap_stream(pieces))
        .await;
    detail(unsaid, 413, "body-too-large");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_page_cannot_drive_a_scheduler_that_asks_for_no_token() {
    let mut site = Site::start().await;
    let job = site.submit(1).await;
    let cancel = format!("/v1/jobs/{job}:cancel");
    for header in [
        ("origin", "https://example.com"),
        ("sec-fetch-site", "cross-site"),
        ("host", "example.com"),
    ] {
        let answer = site.ask_with("POST", &cancel, &[header], "").await;
        detail(answer, 403, "foreign-page");
    }
    let (_, view) = site.get(&format!("/v1/jobs/{job}")).await;
    assert_eq!(view["state"], "queued");
    let own = [
        ("origin", site.url.as_str()),
        ("sec-fetch-site", "same-origin"),
    ];
    assert_eq!(site.ask_with("POST", &cancel, &own, "").await.0, 204);
    // With a token, the token decides.
    site.ask_to_stop();
    let site = Site::start_in(tempfile::tempdir().unwrap(), Some("secret")).await;
    let proxied = [
        ("host", "stint.example.com"),
        ("origin", "https://stint.example.com"),
        ("authorization", "Bearer secret"),
    ];
    let answer = site.ask_with("POST", &cancel, &proxied, "").await;
    detail(answer, 404, "no-job");
    let answer = site.ask_with("POST", &cancel, &proxied[..2], "").await;
    detail(answer, 401, "unauthorized");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_fits_nowhere_is_told_where_to_look() {
    let site = Site::start().await;
    let unknown = detail(site.get("/v1/jobs/default.9").await, 404, "no-job");
    assert!(unknown.contains("default.9"));
    detail(site.get("/v1/jobs/default.9/events").await, 404, "no-job");
    detail(site.get("/v1/jobs/default.9/logs").await, 404, "no-job");
    detail(site.get("/v1/jobs/default.9/results").await, 404, "no-job");
    detail(site.get("/v1/jobs/default.9/tasks").await, 404, "no-job");
    detail(
        site.ask("POST", "/v1/jobs/default.9:cancel", "").await,
        404,
        "no-job",
    );
    detail(
        site.ask("POST", "/v1/jobs/default.9:explode", "").await,
        404,
        "no-verb",
    );
    detail(site.get("/v1/jobs/..%2f..%2fetc").await, 400, "bad-id");
    detail(site.get("/v1/jobs/%ff").await, 404, "no-route");
    detail(site.get("/v1/jobs?cursor=!!").await, 400, "bad-cursor");
    detail(site.get("/v1/jobs?limit=0").await, 400, "bad-query");
    detail(site.get("/v1/jobs?colour=red").await, 400, "bad-query");
    let limit = detail(site.get("/v1/jobs?limit=many").await, 400, "bad-query");
    assert!(limit.starts_with("`limit`: "), "{limit}");
    detail(
        site.ask("DELETE", "/v1/jobs", "").await,
        405,
        "method-not-allowed",
    );
    detail(
        site.ask("POST", "/healthz", "").await,
        405,
        "method-not-allowed",
    );
    let text = [("content-type", "text/plain")];
    let answer = site.ask_with("POST", "/v1/jobs", &text, "{}").await;
    detail(answer, 415, "media-type");
    let (_, problem) = site.get("/v1/pods").await;
    assert!(
        problem["hint"].as_str().unwrap().contains("`/v1/jobs`"),
        "{problem:#}"
    );
    detail(site.get("/v1/pods").await, 404, "no-route");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_bears_the_token_is_answered() {
    let site = Site::start_in(tempfile::tempdir().unwrap(), Some("secret")).await;
    for path in ["/healthz", "/readyz", "/openapi.json"] {
        assert_eq!(site.get(path).await.0, 200, "{path}");
    }
    for path in [
        "/v1/jobs",
        "/v1/nodes",
        "/v1/nothing",
        "/metrics",
        "/v1/link/orders?node=x&generation=1",
    ] {
        detail(site.get(path).await, 401, "unauthorized");
        let wrong = [("authorization", "Bearer secre")];
        detail(
            site.ask_with("GET", path, &wrong, "").await,
            401,
            "unauthorized",
        );
    }
    assert!(site.client().nodes().await.unwrap().nodes.is_empty());
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_of_the_contract_is_served() {
    let site = Site::start().await;
    let (status, contract) = site.get("/openapi.json").await;
    assert_eq!(status, 200);
    for (path, methods) in contract["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let path = path
                .replace("{id}", "default.9")
                .replace("{digest}", &"0".repeat(64));
            let answer = site.ask_with(&method.to_uppercase(), &path, &[], "").await;
            let kind = answer.1["type"].as_str().unwrap_or_default();
            let served = ![
                "urn:stint:no-route",
                "urn:stint:method-not-allowed",
                "urn:stint:no-verb",
            ]
            .contains(&kind);
            assert!(served, "{method} {path}: {answer:?}");
        }
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_what_there_is() {
    let site = Site::start().await;
    site.submit(3).await;
    let answer = reqwest::get(format!("{}/metrics", site.url)).await.unwrap();
    let text = answer.text().await.unwrap();
    for line in [
        "stint_jobs{state=\"queued\"} 1",
        "stint_tasks{state=\"pending\"} 3",
        "stint_nodes{state=\"ready\"} 0",
        "stint_jobs_waiting 1",
        "stint_jobs_submitted_total 1",
        "stint_modules 1",
        "stint_http_answers_total{class=\"200\"}",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_request_are_answered_or_cut_and_harm_nobody() {
    let site = Site::start().await;
    let address = site.url.trim_start_matches("http://").to_owned();
    for bytes in [
        &b"PRI * HTTP/2.0\r\n\r\nXX"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnot a frame, but long enough for one",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"P",
    ] {
        let mut socket = TcpStream::connect(&address).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = within(socket.read_to_end(&mut answer)).await;
    }
    assert_eq!(site.get("/readyz").await.0, 200);
    site.stop().await;
}
