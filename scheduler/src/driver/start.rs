//! The start of the driver: take the right to write, restore the heart, make
//! durable what that decided, and only then say that it is ready.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;

use stint_api::id::ClusterId;
use stint_cluster::Cluster;
use stint_store::{CampaignError, LoadError, Record, Store};
use tokio::sync::{Semaphore, oneshot};

use super::{Driver, DriverError, Handle, Links, Message, QUEUE_MAX};
use crate::clock::Clock;
use crate::events::Events;
use crate::metrics::Metrics;

/// Why the scheduler's state could not be had from its store.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The records cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The right to write cannot be had.
    #[error(transparent)]
    Campaign(#[from] CampaignError),
    /// The records do not make a cluster.
    #[error(transparent)]
    Records(#[from] stint_cluster::RestoreError),
    /// The first decisions cannot be made durable.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The system gives no thread.
    #[error("cannot start the driver's thread")]
    Thread(#[source] std::io::Error),
}

/// A driver that runs.
pub(crate) struct Started {
    pub(crate) handle: Handle,
    pub(crate) events: Arc<Events>,
    pub(crate) thread: JoinHandle<()>,
    /// Says how the thread ended; closed without a word when it panicked.
    pub(crate) ended: oneshot::Receiver<Result<(), DriverError>>,
}

/// What the driver starts from.
pub(crate) struct Origin {
    pub(crate) store: Box<dyn Store>,
    pub(crate) cluster: stint_cluster::Config,
    /// Names the cluster when the store is empty; random.
    pub(crate) new: ClusterId,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<Metrics>,
}

/// Starts the thread and waits until it is ready.
pub(crate) async fn start(origin: Origin) -> Result<Started, RestoreError> {
    let (queue, receiver) = mpsc::channel();
    let (ready, is_ready) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    let thread = std::thread::Builder::new().name("driver".to_owned());
    let thread = thread.spawn(move || match restore(origin, receiver) {
        Err(error) => {
            let _ = ready.send(Err(error));
        }
        Ok(driver) => {
            if ready.send(Ok(Arc::clone(&driver.events))).is_ok() {
                let _ = end.send(driver.run());
            }
        }
    });
    let thread = thread.map_err(RestoreError::Thread)?;
    let events = is_ready
        .await
        .map_err(|_| RestoreError::Driver(DriverError::Panicked))??;
    Ok(Started {
        handle: Handle {
            queue,
            places: Arc::new(Semaphore::new(QUEUE_MAX)),
        },
        events,
        thread,
        ended,
    })
}

/// The driver as the store remembers it. What was decided to get there has no
/// streams to go to yet: each begins with all of its node's orders.
fn restore(origin: Origin, queue: Receiver<Message>) -> Result<Driver, RestoreError> {
    let mut store = origin.store;
    let term = store.campaign()?;
    let mut records: Vec<Record> = Vec::new();
    for prefix in Cluster::PREFIXES {
        records.append(&mut store.load(prefix)?);
    }
    let read = records
        .iter()
        .map(|record| (record.key.as_str(), record.value.as_slice()));
    let (cluster, effects) =
        Cluster::restore(origin.cluster, origin.clock.now(), origin.new, read)?;
    drop(records);
    let first = effects.events.first();
    let head = first.map_or_else(|| cluster.newest_event(), |event| event.seq - 1);
    let mut driver = Driver {
        cluster,
        store,
        term,
        links: Links::default(),
        clock: origin.clock,
        events: Arc::new(Events::new(head)),
        metrics: origin.metrics,
        queue,
    };
    driver.commit(effects.changes)?;
    driver.tell(effects.events);
    Ok(driver)
}
