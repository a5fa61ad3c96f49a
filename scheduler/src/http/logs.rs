//! `GET /v1/jobs/{id}/logs`: what a job's tasks wrote, as server-sent events
//! whose ids are positions in the job's log: whoever was cut off goes on there.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{Response, sse};
use base64::Engine as _;
use futures_util::stream;
use serde::Deserialize;
use stint_api::id::{JobId, TaskIndex};
use stint_api::link;
use stint_api::view::{EventKind, LogChunk};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;

use super::events::{answer, end, look_up};
use super::extract::{LastEventId, Params, Segment};
use super::problem::{ApiError, chain};
use super::{Api, Shared};
use crate::events::Look;
use crate::listen::stopped;
use crate::logs::{Choice, Chunk, LogError, Piece};

/// Which logs of a job.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogParams {
    /// One task's; all when absent.
    task: Option<TaskIndex>,
    /// One stream; both when absent.
    stream: Option<link::Stream>,
    /// Whether to wait for more until the job is over.
    #[serde(default)]
    follow: bool,
}

pub(super) async fn follow(
    State(api): Shared,
    Segment(job): Segment<JobId>,
    Params(params): Params<LogParams>,
    LastEventId(last): LastEventId,
) -> Result<Response, ApiError> {
    let (changes, head) = (api.logs.changes(), api.events.changes());
    let (view, newest) = look_up(&api, &job).await?;
    let follower = Follower {
        changes,
        head,
        stop: api.stop.clone(),
        choice: Choice {
            task: params.task,
            stream: params.stream,
        },
        wait: if params.follow && !view.state.is_final() {
            Wait::UntilOver { seen: newest }
        } else {
            Wait::No
        },
        position: last.unwrap_or(0),
        ready: VecDeque::new(),
        is_ended: false,
        api,
        job,
    };
    Ok(answer(stream::try_unfold(
        follower,
        async |mut follower| {
            let event = follower.next().await?;
            Ok(event.map(|event| (event, follower)))
        },
    )))
}

/// Whether to wait at the end of what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// There will be no more, or nobody asked for it.
    No,
    /// Events of the job were looked at up to `seen`; none of them was its last.
    UntilOver { seen: u64 },
}

struct Follower {
    api: Arc<Api>,
    job: JobId,
    choice: Choice,
    wait: Wait,
    /// Where the next read starts.
    position: u64,
    /// Chunks to send, each with the position after it.
    ready: VecDeque<(u64, Chunk)>,
    is_ended: bool,
    changes: broadcast::Receiver<JobId>,
    head: watch::Receiver<u64>,
    stop: watch::Receiver<bool>,
}

impl Follower {
    /// The next event to send; none when the stream ends.
    async fn next(&mut self) -> Result<Option<sse::Event>, io::Error> {
        while !self.is_ended {
            if let Some((position, chunk)) = self.ready.pop_front() {
                return message(position, chunk).map(Some);
            }
            // What a job wrote is kept before it is told to be over: known
            // before the read, it means that the read sees all.
            let wait = self.wait;
            let piece = self.read().await.map_err(|error| {
                tracing::error!(error = chain(&error), job = %self.job, "cannot read a log");
                io::Error::other("the log breaks off")
            })?;
            self.position = piece.next;
            self.ready = piece.chunks.into();
            if !self.ready.is_empty() || !piece.at_end {
                continue;
            }
            if wait == Wait::No {
                self.is_ended = true;
                return Ok(Some(end()));
            }
            tokio::select! {
                () = stopped(self.stop.clone()) => return Ok(None),
                () = grown(&mut self.changes, &self.job) => {}
                _ = self.head.changed() => self.look().await?,
            }
        }
        Ok(None)
    }

    async fn read(&self) -> Result<Piece, LogError> {
        let (logs, job) = (Arc::clone(&self.api.logs), self.job.clone());
        let (position, choice) = (self.position, self.choice);
        let read = tokio::task::spawn_blocking(move || logs.read(&job, position, choice));
        read.await.map_err(|_| LogError::Broke)?
    }

    /// Looks whether the job is over by now.
    async fn look(&mut self) -> Result<(), io::Error> {
        self.head.borrow_and_update();
        let Wait::UntilOver { seen } = self.wait else {
            return Ok(());
        };
        self.wait = match self.api.events.look(&self.job, seen) {
            Look::Found { events, after } => {
                let is_done = |what: &EventKind| matches!(what, EventKind::Done { .. });
                if events.iter().any(|event| is_done(&event.what)) {
                    Wait::No
                } else {
                    Wait::UntilOver { seen: after }
                }
            }
            // So much happened that the job has to be asked for itself.
            Look::TooLate => {
                let found = look_up(&self.api, &self.job).await;
                let (view, newest) =
                    found.map_err(|_| io::Error::other("the stream breaks off"))?;
                match view.state.is_final() {
                    true => Wait::No,
                    false => Wait::UntilOver { seen: newest },
                }
            }
        };
        Ok(())
    }
}

/// Waits until the job's log grew, or may have.
async fn grown(changes: &mut broadcast::Receiver<JobId>, job: &JobId) {
    loop {
        match changes.recv().await {
            Ok(changed) if changed != *job => {}
            Ok(_) | Err(RecvError::Lagged(_)) => return,
            // Nothing grows any more; the scheduler stops.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

fn message(position: u64, chunk: Chunk) -> Result<sse::Event, io::Error> {
    let chunk = LogChunk {
        attempt: chunk.attempt,
        stream: chunk.stream,
        offset: chunk.offset,
        data: base64::engine::general_purpose::STANDARD.encode(chunk.data),
    };
    let message = sse::Event::default().id(position.to_string());
    message.json_data(&chunk).map_err(io::Error::other)
}
