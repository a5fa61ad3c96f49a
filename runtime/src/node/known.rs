//! What the driver knows about an attempt, for the task that sees to it. It comes
//! over a watch, not a queue: each fact stays, so none can be missed, and the driver
//! never waits.

use stint_api::id::{AttemptId, TaskIndex};
use stint_api::outcome::Outcome;
use tokio::sync::watch;

use crate::keeper::protocol::Spooled;

/// What the driver knows about an attempt; a fact that is there stays.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// It shall end, with this.
    pub(crate) kill: Option<Outcome>,
    /// Its guest ran.
    pub(crate) started: bool,
    /// Of a run, the task whose turn it is; absent while it is the first's.
    pub(crate) turn: Option<TaskIndex>,
    /// Of a run, that this task writes to the logs.
    pub(crate) speaks: bool,
    /// Of a run, that it is over, and all that ran has passed.
    pub(crate) over: bool,
    /// How it ended, as the keeper says.
    pub(crate) ended: Option<Box<Spooled>>,
    /// The keeper of this connection does not have it: what was ordered over an
    /// older connection is lost.
    pub(crate) missing_in: u64,
    /// The keeper of this connection has it.
    pub(crate) present_in: u64,
}

/// The driver's end of an attempt.
#[derive(Debug)]
pub(crate) struct Live(watch::Sender<Known>);

impl Live {
    /// A live attempt with what is known of it, and what its task is to watch.
    pub(crate) fn new(known: Known) -> (Self, watch::Receiver<Known>) {
        let (sender, receiver) = watch::channel(known);
        (Self(sender), receiver)
    }

    /// It shall end with `why`; the first reason stays.
    pub(crate) fn kill(&self, why: Outcome) {
        self.0.send_modify(|known| {
            known.kill.get_or_insert(why);
        });
    }

    /// Its guest runs.
    pub(crate) fn started(&self) {
        self.0.send_modify(|known| known.started = true);
    }

    /// The turn is another task's, or the run is over.
    pub(crate) fn passed(&self, turn: TaskIndex, over: bool) {
        self.0.send_modify(|known| {
            known.over |= over;
            known.turn = Some(turn);
        });
    }

    /// The task whose turn it is writes to the logs.
    pub(crate) fn speaks(&self) {
        self.0.send_modify(|known| known.speaks = true);
    }

    /// Whether it is `attempt` that runs here, in a slot called `name`.
    pub(crate) fn is(&self, name: &AttemptId, attempt: &AttemptId) -> bool {
        let turn = self.0.borrow().turn.unwrap_or(name.task);
        turn == attempt.task
            && name.grant_id() == attempt.grant_id()
            && name.try_number == attempt.try_number
    }

    /// The keeper says how it ended.
    pub(crate) fn ended(&self, spooled: Box<Spooled>) {
        self.0.send_modify(|known| {
            known.ended.get_or_insert(spooled);
        });
    }

    /// Whether the keeper of connection `epoch` has it.
    pub(crate) fn found(&self, epoch: u64, is_there: bool) {
        self.0.send_modify(|known| {
            if is_there {
                known.present_in = epoch;
            } else {
                known.missing_in = epoch;
            }
        });
    }
}
