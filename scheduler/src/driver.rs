//! The driver: one thread that owns the heart and the store. Everybody else
//! holds a cheap [`Handle`] and asks it to call verbs.
//!
//! ```text
//!  Handle::call ──▶ queue ──▶ take what is there ─▶ verbs on the heart ─▶ ONE group commit
//!        ▲                                                                  │
//!        └──────────── answers, then orders to links, then events ◀─────────┘
//! ```
//!
//! Nothing leaves before it is durable. When a commit fails the heart already
//! believes what the disk does not know, so the thread ends, every waiting
//! answer fails, and the process must be started again.

mod links;
mod start;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use stint_api::time::{Span, Time};
use stint_api::view::Event;
use stint_cluster::{Cluster, Effects};
use stint_store::{BatchError, Change, CommitError, Store, Term, pack};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

pub(crate) use links::{Links, OpenLink};
pub use start::RestoreError;
pub(crate) use start::{Origin, start};

use crate::clock::Clock;
use crate::events::Events;
use crate::metrics::Metrics;

/// Calls that wait for the thread; beyond, callers wait for a place.
const QUEUE_MAX: usize = 1_024;
/// Calls that share one group commit: enough to make the sync cheap, few
/// enough that the first of them does not wait long.
const GROUP_MAX: usize = 256;
/// Longest wait for a place in the queue: by then the disk has been stuck for a while.
const PLACE_WAIT: Duration = Duration::from_secs(5);
/// Longest sleep without anything to do.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// A call was not answered; whether it had an effect is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    #[error("the scheduler has more to do than it can take on")]
    Busy,
    #[error("the scheduler is stopping")]
    Stopped,
}

/// Why the thread ended, other than because it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// What the heart decided could not be made durable.
    #[error("cannot make decisions durable; start the scheduler again when its disk is well")]
    Commit(#[source] CommitError),
    /// A record is too large for the store.
    #[error("a decision does not fit into the store")]
    Record(#[source] BatchError),
    /// The heart broke an invariant of its own.
    #[error("the scheduler's heart stopped")]
    Panicked,
}

/// What a call may touch.
pub(crate) struct Turn<'a> {
    pub(crate) now: Time,
    pub(crate) cluster: &'a mut Cluster,
    pub(crate) links: &'a mut Links,
    /// For reading: what it holds was committed in earlier turns.
    pub(crate) store: &'a dyn Store,
    effects: Effects,
}

impl Turn<'_> {
    /// Takes what follows from a verb; it is committed before the call is answered.
    pub(crate) fn follow(&mut self, effects: Effects) {
        self.effects.extend(effects);
    }
}

/// Releases an answer, once it is true on the disk.
type Release = Box<dyn FnOnce() + Send>;

struct Call {
    verb: Box<dyn FnOnce(&mut Turn<'_>) -> Release + Send>,
    /// The place in the queue.
    _place: OwnedSemaphorePermit,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Call")
    }
}

#[derive(Debug)]
enum Message {
    Call(Call),
    Stop,
}

/// Calls verbs on the heart; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    queue: Sender<Message>,
    places: Arc<Semaphore>,
}

impl Handle {
    /// Calls `verb` in its turn and answers when what follows from it is durable.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&mut Turn<'_>) -> T + Send + 'static,
    ) -> Result<T, CallError> {
        let place = tokio::time::timeout(PLACE_WAIT, Arc::clone(&self.places).acquire_owned());
        let place = place.await.map_err(|_| CallError::Busy)?;
        let (answer, answered) = oneshot::channel();
        let call = Call {
            verb: Box::new(move |turn| {
                let value = verb(turn);
                Box::new(move || {
                    // Whoever asked may be gone; what was decided stays.
                    let _ = answer.send(value);
                })
            }),
            _place: place.map_err(|_| CallError::Stopped)?,
        };
        let sent = self.queue.send(Message::Call(call));
        sent.map_err(|_| CallError::Stopped)?;
        answered.await.map_err(|_| CallError::Stopped)
    }

    /// Calls that wait for the thread.
    pub(crate) fn waiting(&self) -> usize {
        QUEUE_MAX - self.places.available_permits()
    }

    /// Asks the thread to end after what is in the queue.
    pub(crate) fn stop(&self) {
        // An error means that it has ended already.
        let _ = self.queue.send(Message::Stop);
    }
}

/// What the thread owns.
pub(crate) struct Driver {
    cluster: Cluster,
    store: Box<dyn Store>,
    term: Term,
    links: Links,
    clock: Clock,
    events: Arc<Events>,
    metrics: Arc<Metrics>,
    queue: Receiver<Message>,
}

impl Driver {
    fn run(mut self) -> Result<(), DriverError> {
        let mut calls = Vec::new();
        loop {
            let stop = self.gather(&mut calls);
            self.turn(&mut calls)?;
            if stop {
                return Ok(());
            }
        }
    }

    /// Waits for a call or the next wake, then takes what else is there; true when asked to stop.
    fn gather(&self, calls: &mut Vec<Call>) -> bool {
        let now = self.clock.now();
        let wake = self.cluster.next_wake();
        let wait = wake.map_or(SLEEP_MAX, |wake| {
            Duration::from(wake.since(now)).min(SLEEP_MAX)
        });
        let mut next = match self.queue.recv_timeout(wait) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return true,
        };
        while let Some(message) = next {
            match message {
                Message::Call(call) => calls.push(call),
                Message::Stop => return true,
            }
            if calls.len() == GROUP_MAX {
                break;
            }
            next = self.queue.try_recv().ok();
        }
        false
    }

    fn turn(&mut self, calls: &mut Vec<Call>) -> Result<(), DriverError> {
        let now = self.clock.now();
        let mut turn = Turn {
            now,
            cluster: &mut self.cluster,
            links: &mut self.links,
            store: self.store.as_ref(),
            effects: Effects::default(),
        };
        let mut releases: Vec<Release> = Vec::with_capacity(calls.len());
        for call in calls.drain(..) {
            releases.push((call.verb)(&mut turn));
        }
        if turn.cluster.next_wake().is_some_and(|wake| wake <= now) {
            let effects = turn.cluster.tick(now);
            turn.follow(effects);
        }
        let effects = turn.effects;
        self.commit(effects.changes)?;
        for release in releases {
            release();
        }
        for (node, orders) in effects.orders {
            self.links.send(&node, orders);
        }
        self.tell(effects.events);
        Ok(())
    }

    fn tell(&self, events: Vec<Event>) {
        self.metrics.events.inc_by(events.len() as u64);
        self.events.tell(events);
    }

    fn commit(&mut self, changes: Vec<stint_cluster::Change>) -> Result<(), DriverError> {
        if changes.is_empty() {
            return Ok(());
        }
        let records = changes.len() as u64;
        // Any prefix of the changes is consistent, so they may be cut anywhere.
        let batches = pack(changes.into_iter().map(stored)).map_err(DriverError::Record)?;
        let started = Instant::now();
        let committed = self.store.commit(self.term, &batches);
        committed.map_err(DriverError::Commit)?;
        let took = Span::from(started.elapsed());
        self.metrics.commits.inc();
        self.metrics.records_written.inc_by(records);
        self.metrics.commit_seconds.observe(took.as_secs_f64());
        Ok(())
    }
}

fn stored(change: stint_cluster::Change) -> Change {
    match change {
        stint_cluster::Change::Put { key, bytes } => Change::Put {
            key: key.to_string(),
            value: bytes,
        },
        stint_cluster::Change::Delete { key } => Change::Delete {
            key: key.to_string(),
        },
    }
}

#[cfg(test)]
mod tests;
