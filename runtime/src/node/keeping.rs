//! The node's hold on its keeper: the connection that stands, or the next one
//! being made. Whoever has an order for it waits here until there is one.

use std::path::PathBuf;
use std::time::Duration;

use stint_api::id::AttemptId;
use stint_api::outcome::Outcome;
use tokio::sync::{oneshot, watch};

use super::happened::{Happened, Teller};
use crate::frame::FrameError;
use crate::keeper::client::{
    ConnectError, Connection, Handle, Options, OrderError, connect_or_spawn,
};
use crate::keeper::protocol::{BootTime, CompileOrder, StartOrder};

/// Times that a keeper is looked for and started before the node gives up: a
/// binary that was removed or a disk that is full does not heal at once, and
/// each time takes up to [`connect_or_spawn`]'s own patience.
const CONNECT_TRIES: u32 = 5;
/// Wait between them.
const CONNECT_AGAIN: Duration = Duration::from_millis(500);

/// A connection to a keeper.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    /// Counts the connections of this process: what was ordered over an older one may be lost.
    pub(crate) epoch: u64,
    /// Gives orders over it.
    pub(crate) handle: Handle,
}

/// Orders for the keeper, whichever there is. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    current: watch::Receiver<Option<Current>>,
    lease: watch::Receiver<Option<BootTime>>,
}

/// The driver's end: it says which keeper there is, and until when the lease runs.
#[derive(Debug)]
pub(crate) struct KeeperSender {
    /// The connection.
    pub(crate) current: watch::Sender<Option<Current>>,
    /// The lease.
    pub(crate) lease: watch::Sender<Option<BootTime>>,
}

impl Keeper {
    /// Orders for a keeper that is not there yet.
    pub(crate) fn new() -> (KeeperSender, Self) {
        let (current_sender, current) = watch::channel(None);
        let (lease_sender, lease) = watch::channel(None);
        let sender = KeeperSender {
            current: current_sender,
            lease: lease_sender,
        };
        (sender, Self { current, lease })
    }

    /// Starts an attempt, as soon as there is a keeper; the connection over which.
    ///
    /// # Errors
    /// The order is too large.
    pub(crate) async fn start(&self, order: StartOrder) -> Result<u64, FrameError> {
        let mut tried = 0;
        loop {
            let Current { epoch, handle } = self.after(tried).await;
            // A keeper starts nothing without a lease, so it must not come after the order.
            let lease = *self.lease.borrow();
            let given = match lease {
                Some(until) => handle.lease(until).await,
                None => Ok(()),
            };
            let started = match given {
                Ok(()) => handle.start(order.clone()).await,
                Err(error) => Err(error),
            };
            match started {
                Ok(()) => return Ok(epoch),
                Err(OrderError::Frame(error)) => return Err(error),
                Err(OrderError::Gone) => tried = epoch,
            }
        }
    }

    /// Compiles a module, as soon as there is a keeper.
    ///
    /// # Errors
    /// The order is too large.
    pub(crate) async fn compile(&self, order: CompileOrder) -> Result<(), FrameError> {
        let mut tried = 0;
        loop {
            let Current { epoch, handle } = self.after(tried).await;
            match handle.compile(order.clone()).await {
                Ok(()) => return Ok(()),
                Err(OrderError::Frame(error)) => return Err(error),
                Err(OrderError::Gone) => tried = epoch,
            }
        }
    }

    /// Kills an attempt, if there is a keeper that may run it; the connection over which.
    pub(crate) async fn kill(&self, attempt: &AttemptId, why: &Outcome) -> Option<u64> {
        let Current { epoch, handle } = self.now()?;
        let killed = handle.kill(attempt.clone(), why.clone()).await;
        killed.is_ok().then_some(epoch)
    }

    /// Lets the keeper forget attempts. When there is none, the next one is told by the driver.
    pub(crate) async fn discard(&self, attempts: &[AttemptId]) {
        let Some(Current { handle, .. }) = self.now() else {
            return;
        };
        for attempt in attempts {
            if handle.discard(attempt.clone()).await.is_err() {
                return;
            }
        }
    }

    /// The connection that stands, if one does.
    pub(crate) fn now(&self) -> Option<Current> {
        self.current.borrow().clone()
    }

    /// The first connection that is newer than `epoch`.
    async fn after(&self, epoch: u64) -> Current {
        let mut current = self.current.clone();
        let newer = |current: &Option<Current>| match current {
            Some(current) => current.epoch > epoch,
            None => false,
        };
        let found = match current.wait_for(newer).await {
            Ok(found) => found.clone(),
            Err(_) => None,
        };
        match found {
            Some(found) => found,
            // The driver has gone, and whoever waits here goes with it.
            None => std::future::pending().await,
        }
    }

    /// Passes every lease on, to every keeper. Ends with the driver.
    pub(crate) async fn pass_leases(mut self) {
        loop {
            let lease = *self.lease.borrow_and_update();
            let current = self.current.borrow_and_update().clone();
            if let (Some(until), Some(Current { handle, .. })) = (lease, current)
                && let Err(error) = handle.lease(until).await
            {
                tracing::debug!(%error, "the lease was not passed on");
            }
            let changed = tokio::select! {
                changed = self.lease.changed() => changed,
                changed = self.current.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    }
}

/// Tells the driver what the keeper says, and finds the next one when it is gone.
pub(crate) async fn hold(first: Connection, exe: PathBuf, options: Options, teller: Teller) {
    let mut connection = first;
    loop {
        let Connection {
            keeper: handle,
            mut events,
            kept,
        } = connection;
        teller.tell(Happened::KeeperFound { handle, kept }).await;
        while let Some(event) = events.recv().await {
            teller.tell(Happened::Keeper(event)).await;
        }
        let (again, answer) = oneshot::channel();
        teller.tell(Happened::KeeperGone { again }).await;
        if answer.await.is_err() {
            return;
        }
        tracing::warn!("the keeper is gone; finding or starting the next one");
        connection = match find(&exe, &options).await {
            Ok(connection) => connection,
            Err(error) => return teller.tell(Happened::KeeperFailed(error)).await,
        };
    }
}

async fn find(exe: &std::path::Path, options: &Options) -> Result<Connection, ConnectError> {
    let mut tries = 1;
    loop {
        match connect_or_spawn(exe, options).await {
            Err(error) if tries < CONNECT_TRIES => {
                tracing::warn!(%error, "no keeper yet");
                tries += 1;
                tokio::time::sleep(CONNECT_AGAIN).await;
            }
            found => return found,
        }
    }
}
