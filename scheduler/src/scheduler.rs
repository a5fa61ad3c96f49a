//! A scheduler from its start to its end: opens what it keeps, serves, and
//! stops in an order in which nothing acknowledged is lost.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use stint_api::id::ClusterId;
use stint_api::time::Span;
use stint_cluster::Keep;
use stint_objects::{Objects, Reach};
use stint_store::{OpenError, SqliteStore};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

use crate::blobs::Blobs;
use crate::clock::Clock;
use crate::driver::{self, DriverError, Handle, Origin, RestoreError};
use crate::files::Files;
use crate::http::{self, Api};
use crate::listen::{Waits, listen};
use crate::logs::Logs;
use crate::metrics::Metrics;
use crate::sweep::Sweep;

/// Shortest lease: below, a busy machine is taken for a dead one.
const LEASE_MIN: Span = Span::from_millis(100);
/// Longest lease: beyond, a dead machine's work waits for nobody knows what.
const LEASE_MAX: Span = Span::from_secs(3_600);

/// What an operator decides about a scheduler.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it keeps records, modules and logs; made when it is not there.
    pub data_dir: PathBuf,
    /// How long a node may act without hearing from it; 100 ms to 1 h.
    pub lease: Span,
    /// What everybody has to bear who asks for more than a sign of life; nothing when absent.
    pub token: Option<String>,
    /// A directory of files by their sha-256 in 64 hexadecimal digits, which it gives
    /// away as if they had been put, and does not change.
    pub library: Option<PathBuf>,
    /// How long jobs are kept that are over.
    pub keep: Keep,
    /// What it may list for jobs whose inputs are split into tasks.
    pub allow_inputs: Reach,
}

/// Why a scheduler did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The lease cannot work.
    #[error("a lease of {lease} is out of range; it takes {LEASE_MIN} to {LEASE_MAX}")]
    Lease {
        /// What was asked for.
        lease: Span,
    },
    /// A token that everybody bears.
    #[error("the token is empty")]
    EmptyToken,
    /// The data directory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The state cannot be had from the store.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The directory of modules cannot be used.
    #[error("cannot keep modules in {data_dir}")]
    Modules {
        /// The data directory.
        data_dir: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// The directory of logs cannot be used.
    #[error("cannot keep logs in {data_dir}")]
    Logs {
        /// The data directory.
        data_dir: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// The system gives no random bytes.
    #[error("cannot read /dev/urandom")]
    Random(#[source] std::io::Error),
    /// The opening broke off.
    #[error("the opening of the data directory broke off")]
    Broke,
}

/// Why a scheduler that served does so no more.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The driver ended; what it acknowledged is on the disk.
    #[error(transparent)]
    Driver(#[from] DriverError),
}

/// A scheduler that serves. Dropped, it stops without waiting for anybody.
#[derive(Debug)]
pub struct Scheduler {
    handle: Handle,
    thread: JoinHandle<()>,
    ended: oneshot::Receiver<Result<(), DriverError>>,
    stop: watch::Sender<bool>,
    listening: tokio::task::JoinHandle<()>,
}

/// What is opened before anything runs.
struct Opened {
    store: SqliteStore,
    blobs: Blobs,
    files: Files,
    logs: Logs,
    new: ClusterId,
}

impl Scheduler {
    /// Opens the store, restores, serves on `listener`; ready when it returns.
    ///
    /// # Errors
    /// When the configuration or the data directory cannot be used.
    pub async fn start(listener: TcpListener, config: Config) -> Result<Self, StartError> {
        let lease = config.lease;
        if !(LEASE_MIN..=LEASE_MAX).contains(&lease) {
            return Err(StartError::Lease { lease });
        }
        if config.token.as_ref().is_some_and(String::is_empty) {
            return Err(StartError::EmptyToken);
        }
        let metrics = Arc::new(Metrics::new());
        let (directory, counted) = (config.data_dir, Arc::clone(&metrics));
        let library = config.library;
        let opened = tokio::task::spawn_blocking(move || open(&directory, library, counted));
        let opened = opened.await.map_err(|_| StartError::Broke)??;
        let driver = driver::start(Origin {
            store: Box::new(opened.store),
            cluster: stint_cluster::Config {
                lease,
                keep: config.keep,
                ..stint_cluster::Config::default()
            },
            new: opened.new,
            clock: Clock::start(),
            metrics: Arc::clone(&metrics),
        });
        let driver = driver.await?;
        let (stop, stopping) = watch::channel(false);
        let api = Api {
            driver: driver.handle.clone(),
            blobs: Arc::new(opened.blobs),
            files: Arc::new(opened.files),
            logs: Arc::new(opened.logs),
            events: driver.events,
            metrics: Arc::clone(&metrics),
            token: config.token.as_deref().map(http::Token::new),
            submits: http::Submits::default(),
            objects: Objects::new(config.allow_inputs),
            stop: stopping.clone(),
        };
        let sweep = Sweep {
            driver: driver.handle.clone(),
            logs: Arc::clone(&api.logs),
            blobs: Arc::clone(&api.blobs),
            files: Arc::clone(&api.files),
            keep: config.keep.age.into(),
        };
        tokio::spawn(sweep.run(stopping.clone()));
        let router = http::router(Arc::new(api));
        let listening = tokio::spawn(listen(
            listener,
            router,
            metrics,
            stopping,
            Waits::default(),
        ));
        Ok(Self {
            handle: driver.handle,
            thread: driver.thread,
            ended: driver.ended,
            stop,
            listening,
        })
    }

    /// Serves until `stop` resolves, then answers what is under way and
    /// returns; or until a commit fails.
    ///
    /// # Errors
    /// The driver ended by itself: the process must be started again.
    pub async fn run(mut self, stop: impl Future<Output = ()> + Send) -> Result<(), RunError> {
        let failed = tokio::select! {
            () = stop => None,
            ended = &mut self.ended => Some(ended.unwrap_or(Err(DriverError::Panicked))),
        };
        // Streams end first, so that connections become idle; then those, then the driver.
        self.stop.send_replace(true);
        let _ = (&mut self.listening).await;
        let ended = match failed {
            Some(ended) => ended,
            None => {
                self.handle.stop();
                self.ended.await.unwrap_or(Err(DriverError::Panicked))
            }
        };
        // The store is closed, and its lock released, when the thread is gone.
        let _ = tokio::task::spawn_blocking(move || self.thread.join()).await;
        Ok(ended?)
    }
}

/// Blocks: locks and opens the data directory before anything in it is touched.
fn open(
    data_dir: &Path,
    library: Option<PathBuf>,
    metrics: Arc<Metrics>,
) -> Result<Opened, StartError> {
    let store = SqliteStore::open(data_dir)?;
    let blobs = Blobs::open(data_dir, stint_scan::limits::MODULE_BYTES_MAX);
    let blobs = blobs.map_err(|cause| StartError::Modules {
        data_dir: data_dir.to_owned(),
        cause,
    })?;
    let files = Files::open(data_dir, library);
    let files = files.map_err(|cause| StartError::Modules {
        data_dir: data_dir.to_owned(),
        cause,
    })?;
    let logs = Logs::open(data_dir, metrics);
    let logs = logs.map_err(|cause| StartError::Logs {
        data_dir: data_dir.to_owned(),
        cause,
    })?;
    let mut random = [0; 8];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut random))
        .map_err(StartError::Random)?;
    // 53 bits: exact in the doubles of a browser too.
    let new = ClusterId(u64::from_le_bytes(random) >> 11);
    Ok(Opened {
        store,
        blobs,
        files,
        logs,
        new,
    })
}
