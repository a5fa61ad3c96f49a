//! Connections: HTTP/1.1, and HTTP/2 by prior knowledge, on one listener. Every
//! wait has an end: for the first bytes, for a head, for a sign of life.

use std::io::Cursor;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::metrics::Metrics;

/// Connections at once: half of a usual limit of open files is 512, but
/// services are given more; a node and a client take one each. Beyond, new
/// ones wait in the kernel.
const CONNECTIONS_MAX: usize = 4_096;
/// Bytes of a request head: ours take a few hundred.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// The same for HTTP/2, where the two are counted apart.
const HEADER_LIST_BYTES_MAX: u32 = 64 << 10;
/// Requests at once on one HTTP/2 connection: followed logs and events of many jobs.
const STREAMS_MAX: u32 = 256;
/// Bytes that one request may have under way: uploads go at the speed of the disk.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// Bytes that one connection may have under way.
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// A silent HTTP/2 connection is asked for a sign of life this often…
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// …and is broken when none comes for this long.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Wait after the system could not give a connection, for example because too
/// many files are open: trying again at once would only burn CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long connections are waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waits {
    /// For the first bytes, and for a whole request head.
    pub(crate) head: Duration,
    /// For requests under way once the scheduler stops; streams end at once.
    pub(crate) stop: Duration,
}

impl Default for Waits {
    /// A head is one packet or two; a request under way waits for a disk, or
    /// for the rest of an upload.
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            stop: Duration::from_secs(10),
        }
    }
}

/// What an HTTP/2 client says first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Accepts connections until `stop` says so or nobody can say it any more,
/// then waits, within bounds, for what is under way.
pub(crate) async fn listen(
    listener: TcpListener,
    router: Router,
    metrics: Arc<Metrics>,
    stop: watch::Receiver<bool>,
    waits: Waits,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    // Dropped with this function: what has not ended by then is cut.
    let mut connections = tokio::task::JoinSet::new();
    let mut stopped = pin!(stopped(stop.clone()));
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            () = &mut stopped => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, place)) = accepted else {
            tokio::select! {
                () = &mut stopped => break,
                () = tokio::time::sleep(ACCEPT_PAUSE) => continue,
            }
        };
        let connection = Connection {
            service: TowerToHyperService::new(router.clone()),
            watcher: graceful.watcher(),
            head_wait: waits.head,
            _place: place,
        };
        let (metrics, stop) = (Arc::clone(&metrics), stop.clone());
        connections.spawn(async move {
            metrics.connections.inc();
            tokio::select! {
                version = first_bytes(stream, waits.head) => connection.serve(version).await,
                () = self::stopped(stop) => {}
            }
            metrics.connections.dec();
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(waits.stop, graceful.shutdown()).await;
}

/// Waits for the signal to stop; who could give it being gone is one too.
pub(crate) async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// A connection and its place; none when the system has none to give.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            None
        }
    }
}

/// A connection by the version of HTTP that it speaks, nothing of it lost.
enum Version<Io> {
    One(Io),
    Two(Io),
}

/// Tells the version by the first bytes; none when they do not come in time.
async fn first_bytes(
    stream: TcpStream,
    wait: Duration,
) -> Option<Version<impl hyper::rt::Read + hyper::rt::Write + Unpin>> {
    // Answers are written whole; waiting to fill a packet only delays them.
    stream.set_nodelay(true).ok()?;
    let (mut from, to) = stream.into_split();
    let mut first = Vec::with_capacity(PREFACE.len());
    let read = async {
        while first.len() < PREFACE.len() && PREFACE.starts_with(&first) {
            let mut rest = (&mut from).take((PREFACE.len() - first.len()) as u64);
            if rest.read_buf(&mut first).await? == 0 {
                break;
            }
        }
        Ok::<_, std::io::Error>(())
    };
    tokio::time::timeout(wait, read).await.ok()?.ok()?;
    let version = if first == PREFACE {
        Version::Two
    } else {
        Version::One
    };
    let from = Cursor::new(first).chain(from);
    Some(version(TokioIo::new(tokio::io::join(from, to))))
}

/// What serves one connection.
struct Connection {
    service: TowerToHyperService<Router>,
    watcher: Watcher,
    head_wait: Duration,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    /// Serves until the connection ends; how it ends is the client's affair.
    async fn serve<Io>(self, version: Option<Version<Io>>)
    where
        Io: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let served = match version {
            Some(Version::One(io)) => {
                let connection = http1(self.head_wait).serve_connection(io, self.service);
                self.watcher.watch(connection).await
            }
            Some(Version::Two(io)) => {
                let connection = http2().serve_connection(io, self.service);
                self.watcher.watch(connection).await
            }
            None => Ok(()),
        };
        if let Err(error) = served {
            tracing::debug!(%error, "a connection broke");
        }
    }
}

fn http1(head_wait: Duration) -> hyper::server::conn::http1::Builder {
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(head_wait)
        .max_buf_size(HEAD_BYTES_MAX);
    builder
}

fn http2() -> hyper::server::conn::http2::Builder<TokioExecutor> {
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(HEADER_LIST_BYTES_MAX);
    builder
}

#[cfg(test)]
mod tests;
