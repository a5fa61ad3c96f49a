//! The one task that owns the supervisor: it takes what happened, in order, and
//! has the actions that follow done by others. It never waits for any of them.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use stint_api::id::{AttemptId, Generation};
use stint_api::link::{Orders, Report};
use stint_api::tasks::TaskRange;
use stint_api::time::{Span, Time};
use stint_supervisor::{Action, Supervisor};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::happened::{Answered, Happened, Standing};
use super::keeping::{Current, KeeperSender};
use super::known::Live;
use super::link::Over;
use super::tools::Tools;
use crate::keeper::client::{ConnectError, Event};
use crate::keeper::protocol::{BootTime, Passed, Spooled, name_of};

/// How long a node that goes waits for its attempts to die and its reports to be
/// answered; an operator's patience with SIGTERM is seconds.
const DRAIN_MAX: Duration = Duration::from_secs(4);
/// How long it waits for files to be removed after that.
const JOBS_MAX: Duration = Duration::from_secs(2);
/// How long it waits for the keeper to be gone after that.
const KEEPER_EXIT_MAX: Duration = Duration::from_secs(2);
/// Longest sleep when nothing is due: the loop is woken by what happens.
const SLEEP_MAX: Duration = Duration::from_secs(3_600);

/// Why a node stopped that was not told to.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// The scheduler refuses it.
    Refused(stint_api::client::Error),
    /// No keeper can be had.
    Keeper(ConnectError),
}

/// Owns the supervisor.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) supervisor: Supervisor,
    pub(crate) tools: Arc<Tools>,
    pub(crate) keeper: KeeperSender,
    pub(crate) unsaid: watch::Sender<usize>,
    /// Attempts that have a task of their own.
    pub(crate) live: BTreeMap<AttemptId, Live>,
    /// Attempts whose end the supervisor knows, and which it did not discard yet.
    pub(crate) ended: BTreeSet<AttemptId>,
    /// Publications under way, each with the output of an order that came meanwhile.
    pub(crate) publications: BTreeMap<AttemptId, Option<String>>,
    /// Counts the connections to keepers; 0 before the first.
    pub(crate) epoch: u64,
    /// The generation of the last welcome.
    pub(crate) generation: Option<Generation>,
    /// Whether the scheduler was heard since the link broke last.
    pub(crate) is_linked: bool,
    /// Tasks of attempts.
    pub(crate) attempts: JoinSet<()>,
    /// Preparations, which may be cut off at any point.
    pub(crate) preparations: JoinSet<()>,
    /// Publications and removals, which may not.
    pub(crate) jobs: JoinSet<()>,
    /// When to be gone, once told to go.
    pub(crate) leave_by: Option<Instant>,
}

impl Driver {
    /// A driver that knows of no keeper and no scheduler.
    pub(crate) fn new(
        supervisor: Supervisor,
        tools: Arc<Tools>,
        keeper: KeeperSender,
        unsaid: watch::Sender<usize>,
    ) -> Self {
        Self {
            supervisor,
            tools,
            keeper,
            unsaid,
            live: BTreeMap::new(),
            ended: BTreeSet::new(),
            publications: BTreeMap::new(),
            epoch: 0,
            generation: None,
            is_linked: false,
            attempts: JoinSet::new(),
            preparations: JoinSet::new(),
            jobs: JoinSet::new(),
            leave_by: None,
        }
    }

    /// Works until `stop` resolves, and then until what runs has ended and is told; the
    /// generation under which it did, if nothing of it can run any more.
    pub(crate) async fn run(
        mut self,
        mut happened: mpsc::Receiver<Happened>,
        link: impl Future<Output = Over>,
        stop: impl Future<Output = ()>,
    ) -> Result<Option<Generation>, Stopped> {
        let (mut link, mut stop) = (pin!(link), pin!(stop));
        while !self.may_leave() {
            let wake = self.wake();
            tokio::select! {
                Some(happened) = happened.recv() => self.take(happened)?,
                () = &mut stop, if self.leave_by.is_none() => self.drain(),
                // Not before it is known what the keeper has, or the first hello would deny it.
                over = &mut link, if self.epoch > 0 => if let Over::Refused(error) = over {
                    return Err(Stopped::Refused(error));
                },
                () = sleep_until(wake) => {
                    let actions = self.supervisor.tick(self.now());
                    self.act(actions);
                }
                Some(_) = self.attempts.join_next() => {}
                Some(_) = self.preparations.join_next() => {}
                Some(_) = self.jobs.join_next() => {}
            }
            self.count_unsaid();
        }
        let generation = self.generation;
        Ok(self.leave(happened).await.then_some(generation).flatten())
    }

    pub(crate) fn now(&self) -> Time {
        self.tools.now()
    }

    fn take(&mut self, happened: Happened) -> Result<(), Stopped> {
        let now = self.now();
        let actions = match happened {
            Happened::KeeperFound { handle, kept } => self.keeper_found(handle, kept),
            Happened::KeeperGone { again } => {
                self.keeper.current.send_replace(None);
                self.tools.modules.keeper_gone();
                // Also while it drains: what ended is in the spool of the next one.
                if again.send(()).is_err() {
                    tracing::debug!("nobody looks for the next keeper");
                }
                Vec::new()
            }
            Happened::KeeperFailed(error) => return Err(Stopped::Keeper(error)),
            Happened::Keeper(event) => self.heard(event),
            Happened::HelloWanted(answer) => {
                let standing = Standing {
                    cluster: self.supervisor.cluster(),
                    held: self.supervisor.held(),
                };
                drop(answer.send(standing));
                Vec::new()
            }
            Happened::Welcomed { welcome, sent } => {
                self.generation = Some(welcome.generation);
                let mut actions = self.supervisor.welcomed(&welcome);
                // A scheduler that started again prefers nodes by what it is told anew.
                for module in self.tools.modules.known() {
                    self.supervisor.say(Report::Compiled { module });
                }
                actions.extend(self.renewed(welcome.lease, sent));
                actions
            }
            Happened::Orders(orders) => self.ordered(orders),
            Happened::BatchWanted(answer) => {
                drop(answer.send(self.supervisor.batch()));
                Vec::new()
            }
            Happened::Answered(answered) => self.answered(&answered),
            Happened::Unlinked => {
                self.is_linked = false;
                Vec::new()
            }
            Happened::Say(report) => {
                self.supervisor.say(report);
                Vec::new()
            }
            Happened::Prepared { grant, result } => self.supervisor.prepared(now, &grant, result),
            Happened::RunOver { slot } => {
                self.live.remove(&slot);
                Vec::new()
            }
            Happened::Ended { attempt, slot, end } => {
                self.live.remove(&slot);
                self.ended.insert(attempt.clone());
                self.supervisor.ended(now, &attempt, *end)
            }
            Happened::MayPublish { attempt, answer } => {
                drop(answer.send(self.supervisor.may_publish(now, &attempt)));
                Vec::new()
            }
            Happened::Published { attempt, how } => self.published(&attempt, how),
        };
        self.act(actions);
        Ok(())
    }

    fn ordered(&mut self, orders: Orders) -> Vec<Action> {
        self.is_linked = true;
        self.supervisor
            .orders(self.now(), orders)
            .unwrap_or_else(|error| {
                tracing::debug!(%error, "late orders");
                Vec::new()
            })
    }

    fn answered(&mut self, answered: &Answered) -> Vec<Action> {
        if self.generation != Some(answered.generation) {
            return Vec::new();
        }
        self.is_linked = true;
        let mut actions = self.supervisor.acknowledged(answered.upto);
        actions.extend(self.renewed(answered.lease, answered.sent));
        actions
    }

    /// The keeper says something.
    fn heard(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::Started { attempt, at } => {
                let Some(live) = self.live_of(&attempt) else {
                    return Vec::new();
                };
                live.started();
                self.supervisor.started(at, &attempt)
            }
            Event::Running(running) => match running.started_at {
                Some(at) => self.heard(Event::Started {
                    attempt: running.attempt,
                    at,
                }),
                None => Vec::new(),
            },
            Event::Passed(spooled) => self.passed(*spooled),
            Event::Speaks { slot, .. } => {
                if let Some(live) = self.live.get(&slot) {
                    live.speaks();
                }
                Vec::new()
            }
            Event::Ended(spooled) => {
                let slot = name_of(&spooled.attempt, &spooled.grant);
                if let Some(live) = self.live.get(&slot) {
                    live.ended(spooled);
                }
                Vec::new()
            }
            Event::Compiled { module, result } => {
                self.tools.modules.compiled(&module, result);
                Vec::new()
            }
        }
    }

    /// Tasks of a run passed.
    pub(crate) fn passed(&mut self, spooled: Spooled) -> Vec<Action> {
        let Some(Passed { count, over }) = spooled.passed else {
            return Vec::new();
        };
        let slot = name_of(&spooled.attempt, &spooled.grant);
        let end = spooled.attempt.task.saturating_add(count);
        let is_last = |run: &TaskRange| run.contains(slot.task) && run.end() == end;
        let over = over || spooled.grant.tasks.iter().any(is_last);
        if let Some(live) = self.live.get(&slot) {
            live.passed(end, over);
        }
        self.ended.insert(spooled.attempt.clone());
        let run = stint_supervisor::Run {
            first: spooled.attempt,
            count,
            over,
            usage: spooled.usage,
            at: spooled.ended_at,
        };
        self.supervisor.passed(self.now(), run, &spooled.grant)
    }

    /// The attempt that runs, by whatever name its slot has.
    pub(crate) fn live_of(&self, attempt: &AttemptId) -> Option<&Live> {
        let mut live = self.live.iter();
        let found = live.find(|(name, live)| live.is(name, attempt));
        found.map(|(_, live)| live)
    }

    /// The scheduler renewed the lease by its answer to what was sent at `sent`.
    fn renewed(&mut self, lease: Span, sent: BootTime) -> Vec<Action> {
        let until = sent.after(lease);
        // The keeper holds the lease by the same clock.
        self.keeper.lease.send_if_modified(|held| {
            let is_longer = held.is_none_or(|held| held < until);
            if is_longer {
                *held = Some(until);
            }
            is_longer
        });
        let until = self.tools.clock.time_at(until);
        self.supervisor.renewed(self.now(), until)
    }

    /// When the supervisor is to be ticked, or the node is to be gone.
    fn wake(&self) -> Instant {
        let now = self.now();
        let due = self.supervisor.next_wake().map(|at| at.since(now).into());
        let wake = Instant::now() + due.unwrap_or(SLEEP_MAX).min(SLEEP_MAX);
        self.leave_by.map_or(wake, |leave_by| wake.min(leave_by))
    }

    fn count_unsaid(&self) {
        let bytes = self.supervisor.unsaid_bytes();
        self.unsaid.send_if_modified(|unsaid| {
            let is_other = *unsaid != bytes;
            *unsaid = bytes;
            is_other
        });
    }

    fn drain(&mut self) {
        tracing::info!(
            attempts = self.live.len(),
            "going: attempts are stopped and given back"
        );
        self.leave_by = Some(Instant::now() + DRAIN_MAX);
        self.preparations.abort_all();
        let actions = self.supervisor.drain(self.now());
        self.act(actions);
    }

    /// Whether a node that was told to go has nothing left that is worth waiting for.
    fn may_leave(&self) -> bool {
        let Some(leave_by) = self.leave_by else {
            return false;
        };
        // The keeper's first word is on its way, and it is to be told to go too.
        let is_quiet = self.epoch > 0 && self.live.is_empty() && self.jobs.is_empty();
        // Nobody listens: what is unsaid is in the spool, or the scheduler finds out by the lease.
        let is_heard = !self.is_linked || self.supervisor.is_idle();
        (is_quiet && is_heard) || Instant::now() >= leave_by
    }

    /// Lets the last files be removed, and ends the keeper; whether it is gone.
    async fn leave(mut self, mut happened: mpsc::Receiver<Happened>) -> bool {
        let jobs = async { while self.jobs.join_next().await.is_some() {} };
        if timeout(JOBS_MAX, jobs).await.is_err() {
            tracing::warn!("files of attempts stay until the next start");
        }
        let Some(Current { handle, .. }) = self.tools.keeper.now() else {
            return false;
        };
        self.keeper.current.send_replace(None);
        let gone = async {
            if handle.exit().await.is_err() {
                return true;
            }
            // Its events end when it is gone; not answering means that no other is wanted.
            while let Some(happened) = happened.recv().await {
                if matches!(happened, Happened::KeeperGone { .. }) {
                    return true;
                }
            }
            false
        };
        let gone = timeout(KEEPER_EXIT_MAX, gone).await;
        if gone.is_err() {
            tracing::warn!("the keeper takes long to go");
        }
        gone.unwrap_or(false)
    }
}
