//! A node of one test with its scheduler, and what to ask of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use stint_api::id::{AttemptId, Digest};
use stint_api::link::{Ended, Grant, Order, Plan, Report, RetryBudget, Verdict};
use stint_api::quantity::{Bytes, Millicores, Resources};
use stint_api::tasks::TaskRange;
use stint_api::time::Span;
use stint_objects::{Allowed, Reach};
use stint_runtime::node::{
    Config, DirError, KeeperLifetime, LimitsChoice, Node, RunError, SandboxChoice, ScratchChoice,
    StartError,
};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::scheduler::Scheduler;

/// Long enough that a busy machine keeps it.
pub(crate) const CALM: Span = Span::from_secs(10);

/// A scheduler, a directory, and a node that runs.
pub(crate) struct Site {
    pub(crate) scheduler: Scheduler,
    temporary: tempfile::TempDir,
    node: Option<Running>,
}

struct Running {
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), RunError>>,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::with_lease(CALM).await
    }

    pub(crate) async fn with_lease(lease: Span) -> Self {
        let mut site = Self {
            scheduler: Scheduler::start(lease).await,
            temporary: tempfile::tempdir().unwrap(),
            node: None,
        };
        site.start_node(KeeperLifetime::DiesWithNode).await;
        site
    }

    pub(crate) async fn start_node(&mut self, keeper: KeeperLifetime) {
        let data = self.path("data");
        fs::create_dir_all(&data).unwrap();
        let config = Config {
            server: self.scheduler.url().parse().unwrap(),
            token: None,
            dir: self.path("node"),
            artifacts: self.path("artifacts"),
            name: "node-a".parse().unwrap(),
            labels: BTreeMap::new(),
            capacity: Some(Resources {
                cpu: Millicores(8000),
                memory: Bytes::mebi(4096),
                scratch: Bytes::mebi(4096),
            }),
            allow_inputs: Reach::new("node", "--allow-inputs", vec![Allowed::Dir(data.clone())]),
            allow_outputs: Reach::new("node", "--allow-outputs", vec![Allowed::Dir(data)]),
            exe: "/proc/self/exe".into(),
            keeper,
            limits: LimitsChoice::Auto,
            scratch: ScratchChoice::default(),
            sandbox: SandboxChoice::Weaker,
        };
        let node = loop {
            match Node::start(config.clone()).await {
                // A look at an attempt's files that is under way when a node is killed
                // holds the directory until it is through; a dead process would not.
                Err(StartError::Dir(DirError::Locked { .. })) => tokio::task::yield_now().await,
                started => break started.unwrap(),
            }
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(node.run(async {
            // A node that is killed is not told to go.
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
        }));
        self.node = Some(Running { stop, ended });
    }

    /// Tells the node to go, and waits until it has.
    pub(crate) async fn stop_node(&mut self) {
        let Running { stop, ended } = self.node.take().unwrap();
        stop.send(()).unwrap();
        ended.await.unwrap().unwrap();
    }

    /// Ends the node process's part without a word, as its death would.
    pub(crate) async fn kill_node(&mut self) {
        let Running { ended, .. } = self.node.take().unwrap();
        ended.abort();
        assert!(ended.await.unwrap_err().is_cancelled());
    }

    /// Waits until the node ends by itself.
    pub(crate) async fn node_ended(&mut self) -> Result<(), RunError> {
        self.node.take().unwrap().ended.await.unwrap()
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.temporary.path().canonicalize().unwrap().join(path)
    }

    /// Names in a directory of the node, in order.
    pub(crate) fn names(&self, dir: &str) -> Vec<String> {
        names(&self.path(dir))
    }

    /// The outcomes in the spool, as the next keeper would read them.
    pub(crate) fn spooled(&self) -> BTreeMap<String, serde_json::Value> {
        let text = fs::read_to_string(self.path("node/spool/outcomes.jsonl"));
        let mut found = BTreeMap::new();
        for line in text.unwrap_or_default().lines() {
            let mut line: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
            if let Some(attempt) = line["discarded"].as_str() {
                found.remove(attempt);
            } else if let Some(attempt) = line["ended"]["attempt"].as_str() {
                found.insert(attempt.to_owned(), line["ended"]["outcome"].take());
            }
        }
        found
    }

    /// Orders one task of the guest to be run, changed by `change`.
    pub(crate) async fn run(&self, wat: &[u8], change: impl FnOnce(&mut Grant)) -> AttemptId {
        let module = self
            .scheduler
            .add_module(wat::parse_bytes(wat).unwrap().into());
        self.run_module(module, change).await
    }

    pub(crate) async fn run_module(
        &self,
        module: Digest,
        change: impl FnOnce(&mut Grant),
    ) -> AttemptId {
        let first: AttemptId = "default.1.t0.g1.1".parse().unwrap();
        let mut grant = grant(&first, module);
        change(&mut grant);
        self.scheduler.order(Order::Run(grant)).await;
        first
    }

    /// Waits for the last word on a task, and says how it came to it.
    pub(crate) async fn last(&self) -> Ended {
        self.scheduler.wait(last).await
    }

    /// Waits until the node has let go of everything that it had for attempts.
    pub(crate) async fn let_go(&self) {
        until("the node lets go", || {
            self.names("node/slots").is_empty() && self.spooled().is_empty()
        })
        .await;
    }
}

/// The end of a task, if it is told.
pub(crate) fn last(reports: &[Report]) -> Option<Ended> {
    ended(reports).find(|ended| !matches!(ended.verdict, Verdict::Retry { .. }))
}

/// Every end that is told, in order.
pub(crate) fn ended(reports: &[Report]) -> impl Iterator<Item = Ended> {
    reports.iter().filter_map(|report| match report {
        Report::Ended(ended) => Some(ended.clone()),
        _ => None,
    })
}

/// Names in a directory, in order.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let list = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = list
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    const BOUND: std::time::Duration = std::time::Duration::from_secs(20);
    const LOOK: std::time::Duration = std::time::Duration::from_millis(5);
    let waited = tokio::time::timeout(BOUND, async {
        while !condition() {
            tokio::time::sleep(LOOK).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// A guest of the end-to-end tests.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/jobs");
    fs::read(dir.join(format!("{name}.wat"))).unwrap()
}

fn grant(attempt: &AttemptId, module: Digest) -> Grant {
    Grant {
        id: attempt.grant_id(),
        tasks: vec![TaskRange::one(attempt.task)],
        plan: Plan {
            module,
            kit: None,
            args: Vec::new(),
            env: BTreeMap::new(),
            task_count: 1,
            retry: Vec::new(),
            limits: Resources {
                cpu: Millicores(1000),
                memory: Bytes::mebi(32),
                scratch: Bytes::mebi(4),
            },
            timeout: Span::from_secs(30),
            inputs: Vec::new(),
            output: None,
            stall: None,
            isolation: stint_api::job::Isolation::Task,
        },
        budget: RetryBudget {
            retries: 0,
            losses: 2,
            time: None,
            backoff: Span::from_millis(20),
            backoff_max: Span::from_millis(100),
        },
    }
}
