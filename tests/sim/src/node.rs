//! A machine, and what is on it: a disk, a keeper, a node process.

use std::collections::{BTreeMap, BTreeSet};

use stint_api::id::{AttemptId, ClusterId, Generation, Incarnation, NodeId};
use stint_api::link::Grant;
use stint_api::outcome::Outcome;
use stint_api::quantity::Resources;
use stint_api::time::Time;
use stint_supervisor::{AttemptEnd, Supervisor};

use crate::clock::Clock;
use crate::happening::{Life, Ticket};

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) clock: Clock,
    pub(crate) capacity: Resources,
    pub(crate) disk: Disk,
    pub(crate) keeper: Option<Keeper>,
    pub(crate) process: Option<Process>,
    /// Lives of processes and keepers that were begun.
    pub(crate) lives: Life,
    /// Until when the network does not reach it.
    pub(crate) cut_off_until: Time,
}

/// What outlives processes, and perhaps the machine.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) incarnation: Incarnation,
    pub(crate) cluster: Option<ClusterId>,
    /// How attempts ended that nobody discarded.
    pub(crate) spool: BTreeMap<AttemptId, Spooled>,
    /// Attempts whose files are there.
    pub(crate) files: BTreeSet<AttemptId>,
}

#[derive(Clone, Debug)]
pub(crate) struct Spooled {
    pub(crate) grant: Grant,
    pub(crate) end: AttemptEnd,
}

/// Parent of every worker of the machine.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) life: Life,
    /// By the machine's clock.
    pub(crate) lease: Time,
    pub(crate) slots: BTreeMap<AttemptId, Slot>,
}

/// A worker, and how its guest is going to end if nobody stops it.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) grant: Grant,
    pub(crate) fate: AttemptEnd,
    pub(crate) up_at: Option<Time>,
    pub(crate) dying: Option<Outcome>,
}

/// The shell around a supervisor.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) life: Life,
    pub(crate) heart: Supervisor,
    pub(crate) link: Link,
    /// The stream of orders that it reads, or asked for.
    pub(crate) stream: Option<u64>,
    /// Whether a line came on it.
    pub(crate) has_orders: bool,
    /// Until when it may act; by the machine's clock.
    pub(crate) lease: Time,
    /// The batch of reports that is on its way.
    pub(crate) said: Option<Said>,
    /// Whether it was arranged to speak soon.
    pub(crate) is_to_speak: bool,
    /// Attempts that a keeper was ordered to start and has not confirmed.
    pub(crate) ordered: BTreeSet<AttemptId>,
    /// Attempts to order when there is a keeper again.
    pub(crate) to_order: Vec<(AttemptId, Grant)>,
    /// Attempts to discard then.
    pub(crate) to_discard: Vec<AttemptId>,
    /// When it is woken next.
    pub(crate) wake: Option<Time>,
    pub(crate) is_draining: bool,
    /// Until when it is stopped by a signal; a true time.
    pub(crate) paused_until: Time,
}

/// Whether the scheduler knows this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// A hello is to be said.
    Out,
    /// A hello is on its way; since when, by the machine's clock.
    Hailing { ticket: Ticket, sent: Time },
    /// It was welcomed.
    In(Generation),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    pub(crate) ticket: Ticket,
    /// By the machine's clock.
    pub(crate) sent: Time,
    pub(crate) upto: u64,
}

impl Node {
    /// A new life of a process or keeper.
    pub(crate) fn next_life(&mut self) -> Life {
        self.lives += 1;
        self.lives
    }
}
