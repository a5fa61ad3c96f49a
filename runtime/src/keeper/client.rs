//! The node's end of its keeper: find it or start it, give it orders, hear what
//! happens. It holds no opinion and remembers nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use stint_api::id::{AttemptId, Digest};
use stint_api::outcome::Outcome;
use stint_api::time::Time;
use stint_jail::Layers;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use super::launch::{self, LaunchError};
use super::protocol::{
    BootTime, CompileOrder, FromKeeper, PROTOCOL, Running, Spooled, StartOrder, ToKeeper,
};
use crate::frame::{Channel, Decoder, FrameError, NODE_FRAME_BYTES_MAX, encode};

pub use super::options::{BERTHS, Lifetime, LimitsMode, Options};

/// Longest wait for a keeper to be found or started and to say what it holds. A
/// start takes milliseconds; a machine that swaps takes seconds.
const CONNECT_SECONDS_MAX: u64 = 20;
/// First wait before looking again for a keeper that was just starting or going; doubles.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Longest such wait.
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(500);
/// Orders that wait to be written; the keeper never stops reading, so few do.
const ORDERS_MAX: usize = 64;
/// Events that wait to be handled; beyond, they wait in the keeper.
const EVENTS_MAX: usize = 256;
/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;

/// A keeper that was found or started.
#[derive(Debug)]
pub struct Connection {
    /// Gives it orders. When the last clone is dropped, the connection closes.
    pub keeper: Handle,
    /// What happens, in the keeper's order. Ends when the keeper is gone; then
    /// its workers are gone too, and connecting anew starts the next keeper.
    pub events: mpsc::Receiver<Event>,
    /// What it held when the connection was made.
    pub kept: Kept,
}

/// What a keeper held when it was found.
#[derive(Debug, Default)]
pub struct Kept {
    /// Attempts that run.
    pub running: Vec<Running>,
    /// Attempts that ended and were not discarded.
    pub spooled: Vec<Spooled>,
    /// How it holds slots to their limits: `cgroup v1`, `cgroup v2` or `wasmtime only: <why>`.
    pub limits: String,
    /// Which layers of the jail its workers have.
    pub jail: Layers,
    /// Its process id, for people and for tests.
    pub pid: Option<i32>,
}

/// What a keeper says after it was found.
#[derive(Debug)]
pub enum Event {
    /// Said again to a repeated start: the attempt runs already.
    Running(Box<Running>),
    /// The guest is about to run.
    Started {
        /// The attempt.
        attempt: AttemptId,
        /// When.
        at: Time,
    },
    /// Tasks of a run ended. May be said more than once until it is discarded.
    Passed(Box<Spooled>),
    /// An attempt of a run is about to write to its logs.
    Speaks {
        /// The attempt.
        attempt: AttemptId,
        /// What its slot is called.
        slot: AttemptId,
    },
    /// An attempt ended. May be said more than once until it is discarded.
    Ended(Box<Spooled>),
    /// A module was compiled, or was not.
    Compiled {
        /// The module.
        module: Digest,
        /// The sha-256 of the artifact, or why there is none.
        result: Result<Digest, Outcome>,
    },
}

/// A keeper could not be found or started.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// It could not be started.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// Its socket cannot be used.
    #[error("connect to the keeper")]
    Socket(#[source] io::Error),
    /// It was silent, or came and went, for too long.
    #[error("no keeper came up within {CONNECT_SECONDS_MAX} s; see {}", log.display())]
    Silent {
        /// What it wrote.
        log: PathBuf,
    },
    /// A keeper of another version runs attempts there.
    #[error(
        "the keeper speaks protocol {theirs}, this node {PROTOCOL}: let its attempts end, or stop it"
    )]
    Protocol {
        /// What it speaks.
        theirs: u32,
    },
    /// What answers there is not a keeper of this version.
    #[error("the keeper's answer cannot be read")]
    Frame(#[from] FrameError),
}

/// An order could not be given.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The keeper is gone: the events have ended too, or are about to.
    #[error("the keeper is gone")]
    Gone,
    /// The order is larger than a keeper takes.
    #[error("order for the keeper")]
    Frame(#[from] FrameError),
}

/// Finds the keeper of `options.dir`, or starts one from the binary `exe`
/// (`/proc/self/exe` for this one), and hears what it holds.
///
/// A keeper that is found runs with the options it was started with.
///
/// # Errors
/// See [`ConnectError`]; nothing was started, or it is gone again.
pub async fn connect_or_spawn(exe: &Path, options: &Options) -> Result<Connection, ConnectError> {
    let site = launch::Site::open(options)?;
    let until = Instant::now() + Duration::from_secs(CONNECT_SECONDS_MAX);
    let search = timeout_at(until, search(&site, exe));
    match search.await {
        Ok(found) => found,
        Err(_) => Err(ConnectError::Silent { log: site.log() }),
    }
}

/// Looks, starts, and looks again, until a keeper says hello.
async fn search(site: &launch::Site, exe: &Path) -> Result<Connection, ConnectError> {
    let mut wait = LOOK_AGAIN;
    let mut launched = false;
    loop {
        match UnixStream::connect(site.socket()).await {
            Ok(stream) => {
                if let Some(connection) = greet(stream).await? {
                    return Ok(connection);
                }
            }
            Err(error) if is_passing(&error) => {}
            Err(error) if !nobody_listens(&error) => return Err(ConnectError::Socket(error)),
            Err(_) if !launched => {
                site.launch(exe).await?;
                launched = true;
                continue;
            }
            Err(_) => {}
        }
        // Whoever was there is just going, or another node process won the start.
        sleep(wait).await;
        wait = (wait * 2).min(LOOK_AGAIN_MAX);
        launched = false;
    }
}

/// Whether a keeper was there, and has just died or is too busy to take one more.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::WouldBlock
    )
}

fn nobody_listens(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

/// Says hello; nothing when the keeper went before it had said all.
async fn greet(stream: UnixStream) -> Result<Option<Connection>, ConnectError> {
    let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
    let (mut input, mut output) = stream.into_split();
    let hello = order(&ToKeeper::Hello { protocol: PROTOCOL })?;
    if output.write_all(&hello).await.is_err() {
        return Ok(None);
    }
    let mut decoder = Decoder::new(Channel::Node, NODE_FRAME_BYTES_MAX);
    let mut kept = Kept {
        pid,
        ..Kept::default()
    };
    let mut buffer = vec![0; READ_BYTES];
    loop {
        while let Some(message) = decoder.take()? {
            match message {
                FromKeeper::Running(running) => kept.running.push(*running),
                FromKeeper::Ended(spooled) | FromKeeper::Passed(spooled) => {
                    kept.spooled.push(*spooled);
                }
                // Said again below; what it is about is still to be told in full.
                FromKeeper::Started { .. }
                | FromKeeper::Speaks { .. }
                | FromKeeper::Compiled { .. } => {}
                FromKeeper::Kept { protocol, .. } if protocol != PROTOCOL => {
                    return Err(ConnectError::Protocol { theirs: protocol });
                }
                FromKeeper::Kept { limits, jail, .. } => {
                    kept.limits = limits;
                    kept.jail = jail;
                    let (orders, queue) = mpsc::channel(ORDERS_MAX);
                    let (sender, events) = mpsc::channel(EVENTS_MAX);
                    tokio::spawn(write_orders(queue, output));
                    tokio::spawn(read_events(input, decoder, sender));
                    return Ok(Some(Connection {
                        keeper: Handle { orders },
                        events,
                        kept,
                    }));
                }
            }
        }
        match input.read(&mut buffer).await {
            Ok(0) | Err(_) => return Ok(None),
            Ok(count) => decoder.push(&buffer[..count]),
        }
    }
}

fn order<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    encode(Channel::Node, NODE_FRAME_BYTES_MAX, message)
}

/// Ends when the last handle is dropped, which closes this half: the keeper then closes the other.
async fn write_orders(mut queue: mpsc::Receiver<Vec<u8>>, mut output: OwnedWriteHalf) {
    while let Some(frame) = queue.recv().await {
        if let Err(error) = output.write_all(&frame).await {
            tracing::debug!(%error, "the keeper no longer takes orders");
            return;
        }
    }
}

/// Ends, and with it the events, when the keeper is gone or nobody listens.
async fn read_events(mut input: OwnedReadHalf, mut decoder: Decoder, events: mpsc::Sender<Event>) {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        loop {
            let event = match decoder.take() {
                Ok(Some(FromKeeper::Running(running))) => Event::Running(running),
                Ok(Some(FromKeeper::Started { attempt, at })) => Event::Started { attempt, at },
                Ok(Some(FromKeeper::Ended(spooled))) => Event::Ended(spooled),
                Ok(Some(FromKeeper::Passed(spooled))) => Event::Passed(spooled),
                Ok(Some(FromKeeper::Speaks { attempt, slot })) => Event::Speaks { attempt, slot },
                Ok(Some(FromKeeper::Compiled { module, result })) => {
                    Event::Compiled { module, result }
                }
                Ok(Some(FromKeeper::Kept { .. })) => continue,
                Ok(None) => break,
                Err(error) => {
                    tracing::error!(%error, "the keeper's words cannot be read");
                    return;
                }
            };
            if events.send(event).await.is_err() {
                return;
            }
        }
        let read = tokio::select! {
            read = input.read(&mut buffer) => read,
            () = events.closed() => return,
        };
        match read {
            Ok(0) => return,
            Ok(count) => decoder.push(&buffer[..count]),
            Err(error) => {
                tracing::debug!(%error, "the keeper no longer speaks");
                return;
            }
        }
    }
}

/// Gives a keeper its orders; they are written in the order they were given.
#[derive(Clone, Debug)]
pub struct Handle {
    orders: mpsc::Sender<Vec<u8>>,
}

impl Handle {
    /// Lets slots run until `until`; see [`ToKeeper::Lease`].
    ///
    /// # Errors
    /// [`OrderError::Gone`].
    pub async fn lease(&self, until: BootTime) -> Result<(), OrderError> {
        self.send(&ToKeeper::Lease { until }).await
    }

    /// Starts an attempt; see [`ToKeeper::Start`].
    ///
    /// # Errors
    /// [`OrderError::Gone`], or [`OrderError::Frame`] for an order that is too large.
    pub async fn start(&self, order: StartOrder) -> Result<(), OrderError> {
        self.send(&ToKeeper::Start(Box::new(order))).await
    }

    /// Kills an attempt, which then ends with `why`.
    ///
    /// # Errors
    /// [`OrderError::Gone`].
    pub async fn kill(&self, attempt: AttemptId, why: Outcome) -> Result<(), OrderError> {
        self.send(&ToKeeper::Kill { attempt, why }).await
    }

    /// Lets the keeper forget an attempt that ended.
    ///
    /// # Errors
    /// [`OrderError::Gone`].
    pub async fn discard(&self, attempt: AttemptId) -> Result<(), OrderError> {
        self.send(&ToKeeper::Discard { attempt }).await
    }

    /// Compiles a module; see [`ToKeeper::Compile`].
    ///
    /// # Errors
    /// [`OrderError::Gone`].
    pub async fn compile(&self, order: CompileOrder) -> Result<(), OrderError> {
        self.send(&ToKeeper::Compile(order)).await
    }

    /// Kills everything that runs; each attempt ends with `why`.
    ///
    /// # Errors
    /// [`OrderError::Gone`].
    pub async fn stop_all(&self, why: Outcome) -> Result<(), OrderError> {
        self.send(&ToKeeper::StopAll { why }).await
    }

    /// Ends the keeper, and what it runs; the events end when it is gone.
    ///
    /// # Errors
    /// [`OrderError::Gone`].
    pub async fn exit(&self) -> Result<(), OrderError> {
        self.send(&ToKeeper::Exit).await
    }

    async fn send(&self, message: &ToKeeper) -> Result<(), OrderError> {
        let frame = order(message)?;
        self.orders.send(frame).await.map_err(|_| OrderError::Gone)
    }
}
