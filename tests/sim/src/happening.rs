//! What can happen, and the words that travel.

use stint_api::id::{AttemptId, Generation, GrantId, JobId, NodeId};
use stint_api::job::JobSpec;
use stint_api::link::{Hello, Orders, Reports, Welcome};
use stint_api::outcome::Outcome;
use stint_api::time::{Span, Time};
use stint_api::view::{JobView, ModuleView};
use stint_cluster::IdempotencyKey;
use stint_supervisor::AttemptEnd;

use crate::faults::Fault;
use crate::operator::Decision;

/// Index of a node in the world.
pub(crate) type Place = usize;
/// Which life of a process; what belongs to an earlier one is void.
pub(crate) type Life = u64;

/// Something that happens at a time.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// A request reaches the scheduler.
    Request(Ticket, Box<Request>),
    /// An answer reaches who asked.
    Answer(Ticket, Box<Answer>),
    /// Who asked has waited long enough.
    GiveUp(Ticket),
    /// A line of orders reaches a node; a repeated one need not belong to the stream that it reads.
    Line {
        node: Place,
        stream: Option<u64>,
        orders: Box<Orders>,
    },
    /// The node notices that the stream is broken.
    StreamEnded { node: Place, stream: u64 },
    /// The scheduler notices that the stream is broken.
    StreamDead { node: NodeId, stream: u64 },
    /// The scheduler's driver takes its turn.
    Turn { life: Life },
    /// The driver's commit is through, or the power fails in it.
    Commit { life: Life },
    /// The scheduler starts.
    SchedulerUp,
    /// Something for a node process.
    Process {
        node: Place,
        life: Life,
        what: ProcessEvent,
    },
    /// A node process starts.
    ProcessUp(Place),
    /// Something for a keeper.
    Keeper {
        node: Place,
        life: Life,
        what: KeeperEvent,
    },
    /// A keeper starts.
    KeeperUp(Place),
    /// Who operates the cluster acts.
    Operator,
    /// A client acts on its job.
    Client(usize, ClientAct),
    /// Something breaks.
    Fault(Fault),
    /// The faults are over.
    Calm,
}

/// What a node process hears, apart from the network.
#[derive(Clone, Debug)]
pub(crate) enum ProcessEvent {
    /// The supervisor asked to be told the time.
    Wake,
    /// It is time for a sign of life.
    Beat,
    /// There is something to say.
    Speak,
    /// It is time to say hello.
    Hail,
    /// It is time to open the stream of orders.
    Listen,
    /// A module and inputs are at hand, or are not.
    Prepared(GrantId, Result<(), Outcome>),
    /// Files were copied and are about to be renamed into their place.
    Rename(AttemptId),
    /// A keeper says that a guest runs.
    Started(AttemptId, Time),
    /// A keeper says how an attempt ended.
    Ended(AttemptId, Box<AttemptEnd>),
    /// The keeper is gone; the next one says what it has.
    NewKeeper,
    /// A drained node waits no longer.
    DrainOver,
}

/// What happens in a keeper.
#[derive(Clone, Debug)]
pub(crate) enum KeeperEvent {
    /// The worker is up.
    Up(AttemptId),
    /// The guest is through.
    Exits(AttemptId),
    /// A killed worker is gone.
    Gone(AttemptId),
    /// The lease may be over.
    Lease,
}

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientAct {
    Submit,
    Look,
    Cancel,
}

/// Who asked, and which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket {
    pub(crate) asker: Asker,
    pub(crate) number: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asker {
    Node(Place, Life),
    Client(usize),
    Operator,
}

#[derive(Clone, Debug)]
pub(crate) enum Request {
    Hello(Hello),
    Orders {
        node: NodeId,
        place: Place,
        generation: Generation,
        stream: u64,
    },
    Report(Reports),
    Push(ModuleView),
    Submit(Box<JobSpec>, IdempotencyKey),
    Cancel(JobId),
    Look(JobId),
    Decide(Decision),
}

#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Welcome(Welcome),
    Stale,
    Heard(Span),
    Pushed,
    Submitted(JobId),
    Refused(String),
    Cancelled,
    Decided,
    Job(Option<Box<JobView>>),
    /// Nobody listens.
    Down,
}
