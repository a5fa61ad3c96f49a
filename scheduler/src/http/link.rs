//! The node link: what nodes ask and say. Logs are kept before the reports
//! that came with them are taken, so that whoever hears that a job is over can
//! read all that it wrote.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use stint_api::id::{AttemptId, Digest, Generation, NodeId};
use stint_api::link::{
    Hello, LOG_BYTES_MAX, Leave, MESSAGE_BYTES_MAX, Orders, REPORTS_MAX, Report, Reports,
    ReportsAnswer, Welcome,
};
use tokio::sync::{mpsc, watch};
use tokio_util::io::ReaderStream;

use super::extract::{Params, Segment, json_body};
use super::problem::ApiError;
use super::{Api, Shared, json};
use crate::driver::OpenLink;
use crate::listen::stopped;
use crate::logs::Chunk;

/// Most bytes of a hello: a line for each grant that a node holds.
const HELLO_BYTES_MAX: usize = 4 << 20;
/// Most bytes of a goodbye: a name and a number.
const LEAVE_BYTES_MAX: usize = 4 << 10;
/// An empty line is sent into silence this often, so that both ends notice a dead stream.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// Bytes of a module that are read at once.
pub(super) const PIECE_BYTES: usize = 64 << 10;

/// Whose orders.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OrdersParams {
    /// The node.
    node: NodeId,
    /// From its last welcome.
    generation: u64,
}

async fn message<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
    max: usize,
) -> Result<T, ApiError> {
    let body = json_body(headers, body, max).await?;
    json::read_message(&body)
}

pub(super) async fn hello(
    State(api): Shared,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Welcome>, ApiError> {
    let hello: Hello = message(&headers, body, HELLO_BYTES_MAX).await?;
    let welcome = api.driver.call(move |turn| {
        let (welcome, effects) = turn.cluster.hello(turn.now, &hello)?;
        turn.links.close(&hello.node);
        turn.follow(effects);
        Ok(welcome)
    });
    Ok(Json(welcome.await?.map_err(ApiError::Hello)?))
}

pub(super) async fn orders(
    State(api): Shared,
    Params(OrdersParams { node, generation }): Params<OrdersParams>,
) -> Result<Response, ApiError> {
    let wanted = node.clone();
    let opened = api.driver.call(move |turn| {
        let full = turn.cluster.full(&wanted, Generation(generation))?;
        Some(turn.links.open(wanted, full))
    });
    let OpenLink { full, lines } = opened.await?.ok_or(ApiError::StaleOrders { node })?;
    let stream = OrdersStream {
        full: Some(full),
        lines,
        stop: api.stop.clone(),
    };
    let lines = stream::try_unfold(stream, async |mut stream| {
        let line = stream.next().await?;
        Ok::<_, io::Error>(line.map(|line| (line, stream)))
    });
    let body = Body::from_stream(lines);
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

struct OrdersStream {
    /// The first line.
    full: Option<Orders>,
    lines: mpsc::Receiver<Orders>,
    stop: watch::Receiver<bool>,
}

impl OrdersStream {
    /// The next line; none when the stream ends, and the node opens another.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if let Some(full) = self.full.take() {
            return line(&full).map(Some);
        }
        tokio::select! {
            () = stopped(self.stop.clone()) => Ok(None),
            next = tokio::time::timeout(LINE_INTERVAL, self.lines.recv()) => match next {
                Ok(orders) => orders.as_ref().map(line).transpose(),
                Err(_) => Ok(Some(Bytes::from_static(b"\n"))),
            },
        }
    }
}

fn line(orders: &Orders) -> io::Result<Bytes> {
    let mut line = serde_json::to_vec(orders).map_err(io::Error::other)?;
    line.push(b'\n');
    Ok(line.into())
}

pub(super) async fn reports(
    State(api): Shared,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ReportsAnswer>, ApiError> {
    let mut batch: Reports = message(&headers, body, MESSAGE_BYTES_MAX).await?;
    check(&batch)?;
    let chunks = take_logs(&mut batch);
    if !chunks.is_empty() {
        keep(&api, batch.node.clone(), chunks).await?;
    }
    let taken = api.driver.call(move |turn| {
        let effects = turn.cluster.report(turn.now, &batch)?;
        turn.follow(effects);
        Ok(turn.cluster.config().lease)
    });
    let lease = taken.await?.map_err(ApiError::Stale)?;
    Ok(Json(ReportsAnswer { lease }))
}

pub(super) async fn leave(
    State(api): Shared,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let Leave { node, generation } = message(&headers, body, LEAVE_BYTES_MAX).await?;
    let left = api.driver.call(move |turn| {
        let effects = turn.cluster.goodbye(turn.now, &node, generation)?;
        turn.links.close(&node);
        turn.follow(effects);
        Ok(())
    });
    left.await?.map_err(ApiError::Stale)?;
    Ok(StatusCode::NO_CONTENT)
}

fn check(batch: &Reports) -> Result<(), ApiError> {
    let wrong = |field, why| Err(ApiError::Reports { field, why });
    let count = batch.reports.len();
    if count > REPORTS_MAX {
        return wrong(
            "reports",
            format!("{count} in one batch; at most {REPORTS_MAX}"),
        );
    }
    for report in &batch.reports {
        match report {
            Report::Log { data, .. } if data.0.len() > LOG_BYTES_MAX => {
                let length = data.0.len();
                return wrong(
                    "data",
                    format!("{length} bytes in one report; at most {LOG_BYTES_MAX}"),
                );
            }
            _ => {}
        }
    }
    Ok(())
}

/// Takes the logs out of a batch: the heart decides nothing by them.
fn take_logs(batch: &mut Reports) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    for report in std::mem::take(&mut batch.reports) {
        match report {
            Report::Log {
                attempt,
                stream,
                offset,
                data,
            } => chunks.push(Chunk {
                attempt,
                stream,
                offset,
                data: data.0,
            }),
            other => batch.reports.push(other),
        }
    }
    chunks
}

/// Keeps what attempts wrote that the node holds; said twice, it is written once.
async fn keep(api: &Arc<Api>, node: NodeId, mut chunks: Vec<Chunk>) -> Result<(), ApiError> {
    let attempts: BTreeSet<AttemptId> = chunks.iter().map(|chunk| chunk.attempt.clone()).collect();
    let held = api.driver.call(move |turn| {
        let held = attempts.into_iter();
        let held = held.filter(|attempt| turn.cluster.holds(&node, attempt));
        held.collect::<BTreeSet<AttemptId>>()
    });
    let held = held.await?;
    chunks.retain(|chunk| held.contains(&chunk.attempt));
    let logs = Arc::clone(&api.logs);
    let kept = tokio::task::spawn_blocking(move || logs.append(&chunks)).await;
    kept.map_err(ApiError::internal)?
        .map_err(ApiError::internal)
}

pub(super) async fn module(
    State(api): Shared,
    Segment(digest): Segment<Digest>,
) -> Result<Response, ApiError> {
    let found = api.blobs.read(&digest).await?;
    let (file, size) = found.ok_or(ApiError::NoModule {
        digest,
        namespace: None,
    })?;
    let headers = [
        (CONTENT_TYPE, "application/wasm".to_owned()),
        (CONTENT_LENGTH, size.to_string()),
    ];
    let pieces = ReaderStream::with_capacity(file, PIECE_BYTES);
    Ok((headers, Body::from_stream(pieces)).into_response())
}
