//! A node's end of the connection, as the tests use it.

use std::time::Duration;

use stint_api::id::AttemptId;
use stint_api::outcome::Outcome;
use stint_api::time::{Span, Time};
use stint_runtime::keeper::client::{Connection, Event, Handle, Kept};
use stint_runtime::keeper::protocol::{BootTime, Spooled, StartOrder};
use tokio::sync::mpsc;

/// Longest wait for the keeper's next word.
const BOUND: Duration = Duration::from_secs(20);

/// A node that is connected.
pub(crate) struct Node {
    pub(crate) keeper: Handle,
    events: mpsc::Receiver<Event>,
    pub(crate) kept: Kept,
}

impl Node {
    pub(crate) fn new(connection: Connection) -> Self {
        Self {
            keeper: connection.keeper,
            events: connection.events,
            kept: connection.kept,
        }
    }

    /// The keeper's process.
    pub(crate) fn pid(&self) -> i32 {
        self.kept.pid.unwrap()
    }

    pub(crate) async fn lease(&self, span: Span) {
        let until = BootTime::now().after(span);
        self.keeper.lease(until).await.unwrap();
    }

    pub(crate) async fn start(&self, order: &StartOrder) {
        self.keeper.start(order.clone()).await.unwrap();
    }

    /// The keeper's next word; none when it is gone.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        let next = tokio::time::timeout(BOUND, self.events.recv()).await;
        next.expect("the keeper says nothing")
    }

    /// When the attempt started, which is the next word.
    pub(crate) async fn started(&mut self, order: &StartOrder) -> Time {
        match self.next().await {
            Some(Event::Started { attempt, at }) if attempt == order.attempt => at,
            other => panic!("not a start of {}: {other:?}", order.attempt),
        }
    }

    /// How the attempt ended, which is the next word.
    pub(crate) async fn ended(&mut self, order: &StartOrder) -> Spooled {
        match self.next().await {
            Some(Event::Ended(spooled)) if spooled.attempt == order.attempt => *spooled,
            other => panic!("not the end of {}: {other:?}", order.attempt),
        }
    }

    /// Runs an attempt to its end.
    pub(crate) async fn run(&mut self, order: &StartOrder) -> Spooled {
        self.start(order).await;
        self.started(order).await;
        self.ended(order).await
    }

    pub(crate) async fn kill(&self, attempt: &AttemptId, why: Outcome) {
        self.keeper.kill(attempt.clone(), why).await.unwrap();
    }

    /// Waits until the keeper is gone; what it says until then.
    pub(crate) async fn until_gone(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}
