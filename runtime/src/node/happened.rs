//! What the driver is told: a closed list, over one bounded channel, in the
//! order in which it happened.

use stint_api::id::{AttemptId, ClusterId, Generation, GrantId};
use stint_api::link::{Held, Orders, Report, Welcome};
use stint_api::outcome::Outcome;
use stint_api::time::Span;
use stint_supervisor::{Action, AttemptEnd, Batch};
use tokio::sync::{mpsc, oneshot};

use crate::keeper::client::{ConnectError, Event, Handle, Kept};
use crate::keeper::protocol::BootTime;

/// What waits for the driver; whoever tells more waits itself. The driver takes
/// microseconds for each, so a queue this long means that it is not running.
const HAPPENED_MAX: usize = 256;

/// Something that the driver has to know.
#[derive(Debug)]
pub(crate) enum Happened {
    /// A keeper was found or started, and has exactly this.
    KeeperFound {
        /// Gives it orders.
        handle: Handle,
        /// What it has.
        kept: Kept,
    },
    /// The keeper is gone.
    KeeperGone {
        /// Answered when another shall be looked for; dropped when the node goes too.
        again: oneshot::Sender<()>,
    },
    /// No keeper can be had any more.
    KeeperFailed(ConnectError),
    /// The keeper says something.
    Keeper(Event),
    /// A hello is to be said.
    HelloWanted(oneshot::Sender<Standing>),
    /// The scheduler answered a hello.
    Welcomed {
        /// Its answer.
        welcome: Welcome,
        /// Before the hello was sent.
        sent: BootTime,
    },
    /// A line of orders.
    Orders(Orders),
    /// A batch is to be sent.
    BatchWanted(oneshot::Sender<Batch>),
    /// The scheduler has a batch.
    Answered(Answered),
    /// The link broke.
    Unlinked,
    /// Something to pass on to the scheduler.
    Say(Report),
    /// Module and inputs of a grant are at hand, or cannot be had.
    Prepared {
        /// The grant.
        grant: GrantId,
        /// Why not.
        result: Result<(), Outcome>,
    },
    /// An attempt is over; everything that it wrote was said before.
    Ended {
        /// The attempt.
        attempt: AttemptId,
        /// What its slot was called.
        slot: AttemptId,
        /// How.
        end: Box<AttemptEnd>,
    },
    /// A run is over, all of it passed, and its files are gone.
    RunOver {
        /// What its slot was called.
        slot: AttemptId,
    },
    /// An attempt's outputs are ready for their last step: may it be taken? If not,
    /// what follows, for when the files are back.
    MayPublish {
        /// The attempt.
        attempt: AttemptId,
        /// The answer.
        answer: oneshot::Sender<Result<(), Vec<Action>>>,
    },
    /// A publication is over.
    Published {
        /// The attempt.
        attempt: AttemptId,
        /// How.
        how: Publication,
    },
}

/// How a publication went.
#[derive(Debug)]
pub(crate) enum Publication {
    /// The outputs are in their place.
    Done,
    /// They cannot be put there.
    Refused(Outcome),
    /// They may not be put there any more, or not yet; they are where they were.
    Withdrawn(Vec<Action>),
}

/// The scheduler has a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
    /// The batch.
    pub(crate) upto: u64,
    /// The generation under which it was sent.
    pub(crate) generation: Generation,
    /// How long the node may act.
    pub(crate) lease: Span,
    /// Before the batch was sent.
    pub(crate) sent: BootTime,
}

/// What a hello says about grants.
#[derive(Debug)]
pub(crate) struct Standing {
    /// The cluster whose grants are held.
    pub(crate) cluster: Option<ClusterId>,
    /// The grants.
    pub(crate) held: Vec<Held>,
}

/// Tells the driver. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Teller(mpsc::Sender<Happened>);

impl Teller {
    /// A teller, and what the driver hears.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Happened>) {
        let (sender, receiver) = mpsc::channel(HAPPENED_MAX);
        (Self(sender), receiver)
    }

    /// Tells it. Once the driver has gone nobody wants to know, and it is not told.
    pub(crate) async fn tell(&self, happened: Happened) {
        if self.0.send(happened).await.is_err() {
            tracing::trace!("told nobody: the node is going");
        }
    }

    /// Asks the driver; nothing once it has gone.
    pub(crate) async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Happened,
    ) -> Option<T> {
        let (sender, answer) = oneshot::channel();
        self.tell(question(sender)).await;
        answer.await.ok()
    }
}
