//! A whole scheduler on a loopback socket, spoken to as clients and nodes do.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod input;
mod jobs;
mod kits;
mod namespaces;
mod nodes;
mod stopping;
mod streams;
mod uploads;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use stint_api::client::Client;
use stint_api::id::{Digest, Generation, Incarnation, JobId, Namespace, NodeId};
use stint_api::job::JobSpec;
use stint_api::link::{Ended, Grant, Hello, Order, PROTOCOL, Report, Reports, Stream, Verdict};
use stint_api::outcome::{Outcome, Usage};
use stint_api::quantity::{Bytes, Millicores, Resources};
use stint_api::time::{Span, Time};
use stint_objects::Reach;
use stint_scheduler::{Config, Keep, RunError, Scheduler};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Longest wait for anything: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// A scheduler that runs in this process.
struct Site {
    directory: tempfile::TempDir,
    url: String,
    token: Option<String>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Result<(), RunError>>,
}

impl Site {
    async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), None).await
    }

    async fn start_in(directory: tempfile::TempDir, token: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let config = Config {
            data_dir: directory.path().to_owned(),
            lease: Span::from_secs(30),
            token: token.map(str::to_owned),
            library: None,
            keep: Keep::default(),
            allow_inputs: Reach::new("scheduler", "--allow-inputs", Vec::new()),
        };
        let scheduler = Scheduler::start(listener, config).await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(scheduler.run(async {
            let _ = stopped.await;
        }));
        Self {
            directory,
            url,
            token: token.map(str::to_owned),
            stop: Some(stop),
            running,
        }
    }

    fn client(&self) -> Client {
        Client::new(&self.url, self.token.clone()).unwrap()
    }

    fn ask_to_stop(&mut self) {
        drop(self.stop.take());
    }

    /// Stops in good order; what it kept.
    async fn stop(mut self) -> tempfile::TempDir {
        self.ask_to_stop();
        within(self.running).await.unwrap().unwrap();
        self.directory
    }

    /// Pushes a module that could run; its digest.
    async fn push(&self) -> Digest {
        let path = module_file(self.directory.path());
        let (client, namespace) = (self.client(), Namespace::default());
        let pushed = client.push_module(&namespace, &path).await;
        pushed.unwrap().digest
    }

    /// Submits a job of `tasks` tasks of a module that could run.
    async fn submit(&self, tasks: u32) -> JobId {
        let mut spec = JobSpec::new(self.push().await);
        spec.tasks = tasks;
        let key = format!("{tasks} tasks");
        self.client().submit(&spec, &key).await.unwrap().id
    }

    /// Any request over HTTP/1.1; status and body.
    async fn ask(&self, method: &str, path: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let json = [("content-type", "application/json")];
        self.ask_with(method, path, &json, body).await
    }

    async fn ask_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> (u16, Value) {
        let mut request = reqwest::Client::new()
            .request(method.parse().unwrap(), format!("{}{path}", self.url))
            .body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = within(request.send()).await.unwrap();
        let status = answer.status().as_u16();
        let bytes = within(answer.bytes()).await.unwrap();
        (
            status,
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        )
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.ask("GET", path, "").await
    }
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("in time")
}

fn module_bytes() -> Vec<u8> {
    let text = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;
    wat::parse_str(text).unwrap()
}

fn module_file(directory: &Path) -> PathBuf {
    let path = directory.join("module.wasm");
    std::fs::write(&path, module_bytes()).unwrap();
    path
}

/// A node that does what a test says.
struct FakeNode {
    client: Client,
    id: NodeId,
    generation: Generation,
    orders: stint_api::client::OrdersStream,
}

fn hello(name: &str) -> Hello {
    Hello {
        protocol: PROTOCOL,
        version: "0".to_owned(),
        node: name.parse().unwrap(),
        incarnation: Incarnation(1),
        cluster: None,
        capacity: Resources {
            cpu: Millicores(4_000),
            memory: Bytes::mebi(4_096),
            scratch: Bytes::mebi(4_096),
        },
        labels: std::collections::BTreeMap::new(),
        limits: "none".to_owned(),
        held: Vec::new(),
        sent_at: Time::default(),
    }
}

impl FakeNode {
    /// Joins, and reads the first line of its orders.
    async fn join(site: &Site, hello: &Hello) -> (Self, Vec<Order>) {
        let client = site.client();
        let welcome = client.hello(hello).await.unwrap();
        let orders = client.orders(&hello.node, welcome.generation).await;
        let mut node = Self {
            client,
            id: hello.node.clone(),
            generation: welcome.generation,
            orders: orders.unwrap(),
        };
        let full = node.next().await.unwrap();
        (node, full)
    }

    /// The next orders; none when the stream ends.
    async fn next(&mut self) -> Option<Vec<Order>> {
        let orders = within(self.orders.next()).await.unwrap()?;
        assert_eq!(orders.generation, self.generation);
        Some(orders.orders)
    }

    /// The next grant.
    async fn grant(&mut self) -> Grant {
        match self.next().await.unwrap().as_slice() {
            [Order::Run(grant)] => grant.clone(),
            other => panic!("not one grant: {other:?}"),
        }
    }

    async fn report(&self, reports: Vec<Report>) -> Result<Span, stint_api::client::Error> {
        let batch = Reports {
            node: self.id.clone(),
            generation: self.generation,
            reports,
        };
        Ok(self.client.report(&batch).await?.lease)
    }
}

fn log(grant: &Grant, offset: u64, text: &str) -> Report {
    Report::Log {
        attempt: grant.id.attempt(grant.tasks[0].first, 1),
        stream: Stream::Stdout,
        offset,
        data: stint_api::link::Base64(text.as_bytes().to_vec()),
    }
}

fn started(grant: &Grant) -> Report {
    Report::Started {
        attempt: grant.id.attempt(grant.tasks[0].first, 1),
        at: Time::from_nanos(1),
    }
}

/// All tasks of the grant's first run ended well, each with a result.
fn succeeded(grant: &Grant, result: &str) -> Report {
    let tasks = grant.tasks[0];
    let raw = |_| serde_json::from_str(result).unwrap();
    Report::Ended(Ended {
        id: grant.id.clone(),
        tasks,
        try_number: 1,
        outcome: Outcome::Succeeded,
        usage: Usage::default(),
        at: Time::from_nanos(2),
        verdict: Verdict::Final,
        stderr_tail: None,
        results: tasks.iter().map(|task| (task, raw(task))).collect(),
    })
}
