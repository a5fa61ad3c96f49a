//! A scheduler and its nodes in this process: what `run` brings along when no
//! scheduler is named, and what `dev` is. Keeper, workers and compilers are
//! processes of their own here as everywhere.

use std::path::PathBuf;
use std::time::Duration;

use stint_api::client::{self, Client};
use stint_api::time::Span;
use stint_api::view::NodeState;
use stint_objects::Reach;
use stint_runtime::node::{self, Node};
use stint_scheduler::Scheduler;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use url::Url;

use crate::failure::hinted;

/// Longest until the nodes have joined: they start in milliseconds, a busy machine takes seconds.
const READY_WAIT: Duration = Duration::from_secs(30);
/// How often is looked whether they have.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The scheduler of this process.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) listener: TcpListener,
    pub(crate) data_dir: PathBuf,
    pub(crate) lease: Span,
    pub(crate) token: Option<String>,
    /// Files that it may give away beside those that are put.
    pub(crate) library: Option<PathBuf>,
    /// What it may list for jobs whose inputs are split.
    pub(crate) allow_inputs: Reach,
}

/// A scheduler and nodes that run.
#[derive(Debug)]
pub(crate) struct Local {
    client: Client,
    url: Url,
    token: Option<String>,
    limits: String,
    /// One task.
    scheduler: JoinSet<anyhow::Result<()>>,
    stop_scheduler: watch::Sender<bool>,
    nodes: JoinSet<anyhow::Result<()>>,
    stop_nodes: watch::Sender<bool>,
}

impl Local {
    /// Starts the scheduler; it answers when this returns.
    pub(crate) async fn start(plan: Plan) -> anyhow::Result<Self> {
        let url = format!("http://{}", plan.listener.local_addr()?);
        let config = stint_scheduler::Config {
            data_dir: plan.data_dir,
            lease: plan.lease,
            token: plan.token.clone(),
            library: plan.library,
            keep: stint_scheduler::Keep::default(),
            allow_inputs: plan.allow_inputs,
        };
        let scheduler = Scheduler::start(plan.listener, config).await?;
        let (stop_scheduler, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { Ok(scheduler.run(told(stopped)).await?) });
        Ok(Self {
            client: Client::new(&url, plan.token.clone())?,
            url: url.parse()?,
            token: plan.token,
            limits: String::new(),
            scheduler: tasks,
            stop_scheduler,
            nodes: JoinSet::new(),
            stop_nodes: watch::channel(false).0,
        })
    }

    /// The scheduler's address.
    pub(crate) const fn url(&self) -> &Url {
        &self.url
    }

    /// What the scheduler asks for.
    pub(crate) fn token(&self) -> Option<String> {
        self.token.clone()
    }

    /// Starts a node and links it up.
    pub(crate) async fn add(&mut self, config: node::Config) -> anyhow::Result<()> {
        let node = Node::start(config).await?;
        self.limits = node.limits().to_owned();
        let stopped = self.stop_nodes.subscribe();
        self.nodes
            .spawn(async move { Ok(node.run(told(stopped)).await?) });
        Ok(())
    }

    /// Waits until every node that was added has joined.
    pub(crate) async fn ready(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + READY_WAIT;
        loop {
            if self.joined().await? >= self.nodes.len() {
                return Ok(());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(hinted(
                    format!("a node did not join its scheduler within {READY_WAIT:?}"),
                    "is the machine very busy? --log info says what goes on",
                ));
            }
            tokio::select! {
                ended = self.ended() => return ended,
                () = tokio::time::sleep(LOOK_AGAIN.min(left)) => {}
            }
        }
    }

    async fn joined(&self) -> Result<usize, client::Error> {
        let list = self.client.nodes().await?;
        let ready = |node: &&stint_api::view::NodeView| node.state == NodeState::Ready;
        Ok(list.nodes.iter().filter(ready).count())
    }

    /// Speaks to the scheduler.
    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    /// How the nodes hold their slots to limits.
    pub(crate) fn limits(&self) -> &str {
        &self.limits
    }

    /// Waits until one of them ends though nobody asked it to.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<()> {
        tokio::select! {
            Some(ended) = self.scheduler.join_next() => flat(ended),
            Some(ended) = self.nodes.join_next() => flat(ended),
            else => Ok(()),
        }
    }

    /// Stops the nodes, then the scheduler that they give their tasks back to.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let mut result = Ok(());
        self.stop_nodes.send_replace(true);
        while let Some(ended) = self.nodes.join_next().await {
            let ended = flat(ended);
            result = result.and(ended);
        }
        self.stop_scheduler.send_replace(true);
        while let Some(ended) = self.scheduler.join_next().await {
            let ended = flat(ended);
            result = result.and(ended);
        }
        result
    }
}

/// A task that panicked is as bad as one that failed.
fn flat(ended: Result<anyhow::Result<()>, JoinError>) -> anyhow::Result<()> {
    ended.map_err(anyhow::Error::from).flatten()
}

/// Waits until told to stop, or until nobody is left to tell.
async fn told(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
