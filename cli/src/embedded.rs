//! The scheduler and the node that `run` brings along when none is named. All
//! that they keep is gone with them, but for compiled modules: those stay in the
//! user's cache, so that the next run starts at once.

use std::collections::BTreeMap;

use anyhow::Context as _;
use stint_api::client::Client;
use stint_api::time::Span;
use stint_objects::Reach;
use stint_runtime::node::{Config, KeeperLifetime, SandboxChoice, ScratchChoice};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::kit::Library;
use crate::limits::LimitsArgs;
use crate::local::{Local, Plan};
use crate::sweep::sweep;
use crate::verb::node::{INPUTS, OUTPUTS};
use crate::{places, random};

/// Both ends of the link are in one process, which only a machine that sleeps silences.
const LEASE: Span = Span::from_secs(10);
/// What the node is called, in messages and in the history.
const NAME: &str = "here";
/// Before the random part of the name of its directory.
const PREFIX: &str = "stint-run-";
/// What the scheduler holds locked while it lives, in that directory.
const LOCK: &str = "scheduler/lock";

/// A scheduler and a node of one command.
#[derive(Debug)]
pub(crate) struct Embedded {
    local: Local,
    dir: TempDir,
}

impl Embedded {
    /// Starts both; the node is ready when this returns.
    pub(crate) async fn start(limits: LimitsArgs) -> anyhow::Result<Self> {
        let within = places::temporary();
        // A start does not fail for what another run left.
        let _ = sweep(&within, PREFIX, LOCK);
        let dir = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(&within)
            .with_context(|| format!("cannot make a directory in `{}`", within.display()))?;
        let mut local = Local::start(Plan {
            listener: TcpListener::bind(("127.0.0.1", 0)).await?,
            data_dir: dir.path().join("scheduler"),
            lease: LEASE,
            // Others on this machine can reach the port, and must not run as this user.
            token: Some(random::hex()?),
            library: Library::open().ok().and_then(|library| library.files_dir()),
            allow_inputs: Reach::whole("scheduler", INPUTS),
        })
        .await?;
        let own = dir.path().join("node");
        let config = Config {
            server: local.url().clone(),
            token: local.token(),
            artifacts: places::artifacts().unwrap_or_else(|| own.join("artifacts")),
            dir: own,
            name: NAME.parse()?,
            labels: BTreeMap::new(),
            capacity: None,
            // The job is the user's own: it may name what the user may open.
            allow_inputs: Reach::whole("node", INPUTS),
            allow_outputs: Reach::whole("node", OUTPUTS),
            exe: "/proc/self/exe".into(),
            keeper: KeeperLifetime::DiesWithNode,
            limits: limits.choice(),
            scratch: ScratchChoice::default(),
            sandbox: SandboxChoice::Weaker,
        };
        local.add(config).await?;
        local.ready().await?;
        Ok(Self { local, dir })
    }

    /// Speaks to the scheduler.
    pub(crate) const fn client(&self) -> &Client {
        self.local.client()
    }

    /// How the node holds its slots to their limits.
    pub(crate) fn limits(&self) -> &str {
        self.local.limits()
    }

    /// Stops both and removes what they kept.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        let stopped = self.local.stop().await;
        let path = self.dir.path().display().to_string();
        self.dir
            .close()
            .with_context(|| format!("cannot remove `{path}`"))?;
        stopped
    }
}
