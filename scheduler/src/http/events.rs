//! `GET /v1/jobs/{id}/events`: what happens to a job, from its start until it
//! is over, as server-sent events.
//!
//! ```text
//!  no Last-Event-ID ──▶ from its first event ──────────────┐
//!       │ forgotten                                        ▼
//!       ▼                                          events as they come ──▶ done ──▶ `end`
//!  snapshot: what the records say of its story ────────────▲
//!       ▲ forgotten                                        │
//!  Last-Event-ID ──────────▶ from there on ────────────────┘
//! ```
//!
//! A stream that ends without `end` was cut; the follower opens it again.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::Stream;
use futures_util::stream;
use stint_api::id::JobId;
use stint_api::view::{Event, EventKind, JobView};
use tokio::sync::watch;

use super::extract::{LastEventId, Segment};
use super::problem::ApiError;
use super::{Api, Shared, pages};
use crate::events::Look;
use crate::listen::stopped;

/// A comment is sent into silence this often: proxies cut what is idle for a minute.
pub(super) const COMMENT_INTERVAL: Duration = Duration::from_secs(15);

pub(super) async fn follow(
    State(api): Shared,
    Segment(job): Segment<JobId>,
    LastEventId(last): LastEventId,
) -> Result<Response, ApiError> {
    let (view, newest) = look_up(&api, &job).await?;
    let follower = Follower {
        head: api.events.changes(),
        stop: api.stop.clone(),
        api,
        job,
        place: last.map_or(Place::Beginning, Place::After),
        told_until: newest,
        is_over: view.state.is_final(),
        ready: VecDeque::new(),
        step: Step::Following,
    };
    Ok(answer(stream::try_unfold(
        follower,
        async |mut follower| {
            let event = follower.next().await?;
            Ok(event.map(|event| (event, follower)))
        },
    )))
}

/// A stream of events as an answer.
pub(super) fn answer(
    events: impl Stream<Item = Result<sse::Event, io::Error>> + Send + 'static,
) -> Response {
    let alive = KeepAlive::new().interval(COMMENT_INTERVAL);
    Sse::new(events).keep_alive(alive).into_response()
}

/// The last event of a stream that is whole.
pub(super) fn end() -> sse::Event {
    sse::Event::default().event("end").data("{}")
}

/// A job, and the newest event as of then.
pub(super) async fn look_up(api: &Api, job: &JobId) -> Result<(JobView, u64), ApiError> {
    let wanted = job.clone();
    let found = api.driver.call(move |turn| {
        let view = turn.cluster.job(&wanted)?;
        Some((view, turn.cluster.newest_event()))
    });
    found.await?.ok_or_else(|| ApiError::NoJob(job.clone()))
}

/// Where a follower stands in the story.
#[derive(Clone, Copy, Debug)]
enum Place {
    Beginning,
    After(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Following,
    /// The last event of the job is out.
    Done,
    Ended,
}

struct Follower {
    api: Arc<Api>,
    job: JobId,
    place: Place,
    /// The driver knows events up to here; before they are told, looking is too early.
    told_until: u64,
    /// The job was over as of `told_until`.
    is_over: bool,
    /// Events to send, those with an id after which one may go on.
    ready: VecDeque<(Option<u64>, Event)>,
    step: Step,
    head: watch::Receiver<u64>,
    stop: watch::Receiver<bool>,
}

impl Follower {
    /// The next event to send; none when the stream ends.
    async fn next(&mut self) -> Result<Option<sse::Event>, io::Error> {
        loop {
            if let Some((id, event)) = self.ready.pop_front() {
                if matches!(event.what, EventKind::Done { .. }) {
                    self.step = Step::Done;
                }
                let message = sse::Event::default().json_data(&event);
                let message = message.map_err(io::Error::other)?;
                return Ok(Some(match id {
                    Some(id) => message.id(id.to_string()),
                    None => message,
                }));
            }
            match self.step {
                Step::Following => {}
                Step::Done => {
                    self.step = Step::Ended;
                    return Ok(Some(end()));
                }
                Step::Ended => return Ok(None),
            }
            if !self.gather().await? {
                return Ok(None);
            }
        }
    }

    /// Waits for something to send, or the end; false when the scheduler stops.
    async fn gather(&mut self) -> Result<bool, io::Error> {
        let until = self.told_until;
        let told = self.head.wait_for(|head| *head >= until);
        tokio::select! {
            _ = told => {}
            () = stopped(self.stop.clone()) => return Ok(false),
        }
        // Before looking, so that what comes while looking wakes the wait below.
        self.head.borrow_and_update();
        let after = match self.place {
            Place::After(after) => Some(after),
            Place::Beginning => self.api.events.before_first(&self.job),
        };
        let look = after.map(|after| (after, self.api.events.look(&self.job, after)));
        match look {
            Some((before, Look::Found { events, after })) => {
                self.place = Place::After(after);
                let events = events.into_iter().map(|event| (Some(event.seq), event));
                self.ready.extend(events);
                if after > before {
                    return Ok(true);
                }
            }
            Some((_, Look::TooLate)) | None => {
                self.snapshot().await?;
                return Ok(true);
            }
        }
        if self.is_over {
            self.step = Step::Done;
            return Ok(true);
        }
        tokio::select! {
            _ = self.head.changed() => Ok(true),
            () = stopped(self.stop.clone()) => Ok(false),
        }
    }

    /// Tells the story from the records. Only its last event has an id: who
    /// hears half of it hears it from the beginning again.
    async fn snapshot(&mut self) -> Result<(), io::Error> {
        let (view, newest, events) = snapshot(&self.api, &self.job).await.map_err(|error| {
            tracing::warn!(?error, job = %self.job, "a follower's stream breaks off");
            io::Error::other("the stream breaks off")
        })?;
        self.place = Place::After(newest);
        self.told_until = newest;
        self.is_over = view.state.is_final();
        self.ready = events.into_iter().map(|event| (None, event)).collect();
        if let Some((id, _)) = self.ready.back_mut() {
            *id = Some(newest);
        }
        Ok(())
    }
}

/// A job's story as its records have it, each event with the newest number:
/// those that they had once are not kept.
async fn snapshot(api: &Arc<Api>, job: &JobId) -> Result<(JobView, u64, Vec<Event>), ApiError> {
    let wanted = job.clone();
    let found = api.driver.call(move |turn| {
        let view = turn.cluster.job(&wanted)?;
        Some((
            view,
            turn.cluster.pages(&wanted)?,
            turn.cluster.newest_event(),
        ))
    });
    let (view, index, seq) = found.await?.ok_or_else(|| ApiError::NoJob(job.clone()))?;
    let attempts = pages::attempts(Arc::clone(api), index, usize::MAX).await?;
    let mut story = vec![(view.submitted_at, EventKind::Submitted)];
    story.extend(attempts.list.into_iter().map(|ended| {
        let what = EventKind::Ended {
            attempt: ended.attempt,
            tasks: ended.tasks,
            node: ended.node,
            outcome: ended.outcome,
            usage: ended.usage,
            retry_in_seconds: None,
            is_final: ended.is_final,
        };
        (ended.ended_at, what)
    }));
    if let Some(at) = view.ended_at {
        story.push((at, EventKind::Done { state: view.state }));
    }
    let events = story.into_iter().map(|(at, what)| Event {
        seq,
        at,
        job: job.clone(),
        what,
    });
    Ok((view, seq, events.collect()))
}
