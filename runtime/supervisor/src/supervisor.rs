//! The verbs of the supervisor: what happened, and what follows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fastrand::Rng;
use stint_api::id::{AttemptId, ClusterId, Generation, GrantId};
use stint_api::link::{Held, Report, Verdict, Welcome};
use stint_api::outcome::Outcome;
use stint_api::quantity::Resources;
use stint_api::time::Time;

use crate::action::{Action, AttemptEnd};
use crate::holding::{Holding, Preparation, TaskState};
use crate::outbox::{Batch, Follow, Outbox};
use crate::progress::ended;

/// Most grants that are remembered as gone. An order can only be late by what a
/// stream buffers, and a new generation forgets them all.
const GONE_MAX: usize = 4_096;

/// What a supervisor is made of.
#[derive(Clone, Debug)]
pub struct Config {
    /// What all slots may take together; grants beyond it are given back.
    pub capacity: Resources,
    /// The cluster that this node served last, if it remembers.
    pub cluster: Option<ClusterId>,
    /// Seed of the jitter.
    pub seed: u64,
}

/// Until when the node may act.
///
/// ```text
///  Never ──renewed──▶ Until(t) ──t passed: running attempts are killed──▶ Over
///                      ▲    └──renewed──┐                                  │
///                      └────────────────┴──────────────renewed─────────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lease {
    /// This process was never welcomed. Attempts it adopted run on, under the keeper's own deadline.
    Never,
    Until(Time),
    Over,
}

/// Whether the node takes work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Open,
    Draining,
}

/// The heart of a node. See the crate for how it is used.
#[derive(Debug)]
pub struct Supervisor {
    pub(crate) capacity: Resources,
    pub(crate) rng: Rng,
    pub(crate) cluster: Option<ClusterId>,
    pub(crate) generation: Option<Generation>,
    /// Whether the full orders of that generation came. Until then, what is held may have
    /// been given to another node, and nothing of it is begun.
    pub(crate) is_told: bool,
    pub(crate) lease: Lease,
    pub(crate) mode: Mode,
    pub(crate) grants: BTreeMap<GrantId, Holding>,
    /// Attempts that are being killed after their grant was stopped, and what they take.
    pub(crate) stopping: BTreeMap<AttemptId, Resources>,
    /// Those of them that are of another cluster than the one that is served. Nothing begins
    /// before they are gone: this cluster's attempts may bear the same names.
    pub(crate) foreign: BTreeSet<AttemptId>,
    pub(crate) gone: Gone,
    pub(crate) outbox: Outbox,
}

impl Supervisor {
    /// A supervisor that holds nothing. Tell it what the keeper [`kept`](Self::kept) first.
    pub fn new(config: Config) -> Self {
        Self {
            capacity: config.capacity,
            rng: Rng::with_seed(config.seed),
            cluster: config.cluster,
            generation: None,
            is_told: false,
            lease: Lease::Never,
            mode: Mode::Open,
            grants: BTreeMap::new(),
            stopping: BTreeMap::new(),
            foreign: BTreeSet::new(),
            gone: Gone::default(),
            outbox: Outbox::new(),
        }
    }

    /// The scheduler answered a hello. Grants of another cluster are stopped and
    /// forgotten with everything unsaid about them. Say [`renewed`](Self::renewed) too.
    pub fn welcomed(&mut self, welcome: &Welcome) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.cluster.is_some_and(|ours| ours != welcome.cluster) {
            for id in self.grants.keys().cloned().collect::<Vec<_>>() {
                self.stop(&id, &Outcome::NodeLost, &mut actions);
            }
            for follow in self.outbox.clear() {
                self.arrived(follow, &mut actions);
            }
            self.foreign.extend(self.stopping.keys().cloned());
        }
        self.cluster = Some(welcome.cluster);
        self.generation = Some(welcome.generation);
        self.is_told = false;
        // What was acknowledged before this hello, the scheduler knew when it answered.
        self.gone = Gone::default();
        // Both sides say in full what they hold: ask again for every commit. One that was
        // granted before may have been granted to another node since.
        for attempt in self.finished() {
            self.ask_for_commit(&attempt);
        }
        self.withdraw_commits();
        actions
    }

    /// The lease runs until `until`: measured from before the request that renewed it was sent.
    pub fn renewed(&mut self, now: Time, until: Time) -> Vec<Action> {
        if until > now && !matches!(self.lease, Lease::Until(later) if later > until) {
            self.lease = Lease::Until(until);
        }
        self.tick(now)
    }

    /// The module and inputs of the grant are at hand, or could not be had.
    pub fn prepared(
        &mut self,
        now: Time,
        grant: &GrantId,
        result: Result<(), Outcome>,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        if let Some(holding) = self.grants.get_mut(grant)
            && holding.preparation == Preparation::Underway
        {
            match result {
                Ok(()) => holding.preparation = Preparation::Ready,
                Err(outcome) => {
                    holding.preparation = Preparation::Missing;
                    // One draw for all: they will be prepared together again.
                    let draw = self.rng.fork();
                    for task in holding.unstarted() {
                        let Some(holding) = self.grants.get_mut(grant) else {
                            break;
                        };
                        holding.begin(task);
                        let end = AttemptEnd::without_run(outcome.clone(), now);
                        self.conclude(now, (grant, task), end, &mut draw.clone());
                    }
                }
            }
        }
        self.proceed(now, &mut actions);
        actions
    }

    /// The guest of the attempt started, at `at`.
    pub fn started(&mut self, at: Time, attempt: &AttemptId) -> Vec<Action> {
        let Some(tried) = self.running_mut(attempt) else {
            return Vec::new();
        };
        tried.state = TaskState::Running { confirmed: true };
        let discard = std::mem::take(&mut tried.lingering)
            .into_iter()
            .map(|try_number| Action::Discard {
                attempt: AttemptId {
                    try_number,
                    ..attempt.clone()
                },
            })
            .collect();
        let attempt = attempt.clone();
        let report = Report::Started { attempt, at };
        self.outbox.push(report, Follow::Nothing);
        discard
    }

    /// The attempt ended, or could not be started.
    pub fn ended(&mut self, now: Time, attempt: &AttemptId, end: AttemptEnd) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.foreign.remove(attempt) {
            self.stopping.remove(attempt);
            let attempt = attempt.clone();
            actions.push(Action::Discard { attempt });
        } else if self.stopping.remove(attempt).is_some() {
            let report = ended(attempt, end, Verdict::Final);
            self.outbox.push(report, Follow::Stopped(attempt.clone()));
        } else if self.running_mut(attempt).is_some() {
            let grant = attempt.grant_id();
            let asks = end.outcome == Outcome::Succeeded && !end.files.is_empty();
            let publishes = |holding: &Holding| asks && holding.plan.output.is_some();
            if self.grants.get(&grant).is_some_and(publishes) {
                if let Some(tried) = self.running_mut(attempt) {
                    tried.state = TaskState::Finished(end);
                }
                self.ask_for_commit(attempt);
            } else {
                let mut rng = self.rng.fork();
                self.conclude(now, (&grant, attempt.task), end, &mut rng);
            }
        } else if !self.is_ended_here(attempt) {
            actions.push(Action::Discard {
                attempt: attempt.clone(),
            });
        }
        self.proceed(now, &mut actions);
        actions
    }

    /// Whether the outputs of the attempt may be put in their place: its commit was
    /// granted, and the lease has run ever since. Ask right before the rename.
    ///
    /// # Errors
    /// They may not, and what follows. The files stay where they are, and the shell says
    /// no more about them: if they are still wanted, the commit is asked for again.
    pub fn may_publish(&mut self, now: Time, attempt: &AttemptId) -> Result<(), Vec<Action>> {
        let may_act = self.may_act(now);
        if let Some(tried) = self.latest_mut(attempt)
            && matches!(tried.state, TaskState::Publishing(_))
        {
            if may_act {
                return Ok(());
            }
            self.withdraw_commits();
        }
        if self.is_ended_here(attempt) {
            return Err(Vec::new());
        }
        let attempt = attempt.clone();
        Err(vec![Action::Discard { attempt }])
    }

    /// The outputs of the attempt are in their place, or could not be put there.
    pub fn published(
        &mut self,
        now: Time,
        attempt: &AttemptId,
        result: Result<(), Outcome>,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        let grant = attempt.grant_id();
        if let Some(tried) = self.latest_mut(attempt)
            && let TaskState::Publishing(end) = &tried.state
        {
            let mut end = end.clone();
            if let Err(outcome) = result {
                end.outcome = outcome;
                end.at = now;
                end.result = None;
            }
            let mut rng = self.rng.fork();
            self.conclude(now, (&grant, attempt.task), end, &mut rng);
        } else if !self.is_ended_here(attempt) {
            actions.push(Action::Discard {
                attempt: attempt.clone(),
            });
        }
        self.proceed(now, &mut actions);
        actions
    }

    /// The node is going down: attempts are killed, every task is given back, nothing is taken.
    pub fn drain(&mut self, now: Time) -> Vec<Action> {
        self.mode = Mode::Draining;
        let mut actions = Vec::new();
        for id in self.grants.keys().cloned().collect::<Vec<_>>() {
            self.give_back(now, &id, &Outcome::Drained);
        }
        self.kill_running(&Outcome::Drained, &mut actions);
        actions
    }

    /// Time passed: waits may be over, and so may the lease.
    pub fn tick(&mut self, now: Time) -> Vec<Action> {
        let mut actions = Vec::new();
        if matches!(self.lease, Lease::Until(until) if until <= now) {
            self.lease = Lease::Over;
            self.withdraw_commits();
            self.kill_running(&Outcome::NodeLost, &mut actions);
        }
        self.proceed(now, &mut actions);
        actions
    }

    /// When to [`tick`](Self::tick) next, if nothing else happens before.
    pub fn next_wake(&self) -> Option<Time> {
        let Lease::Until(lease) = self.lease else {
            return None;
        };
        let waits = self.grants.values().filter(|_| self.is_told);
        let waits = waits.filter_map(Holding::next_wake);
        let lease = (!self.grants.is_empty()).then_some(lease);
        waits.chain(lease).min()
    }

    /// Something the shell has to say itself: log, preparing, compiled. It keeps
    /// its place among the reports of the supervisor.
    pub fn say(&mut self, report: Report) {
        self.outbox.push(report, Follow::Nothing);
    }

    /// The oldest reports that are not acknowledged, as many as one message
    /// takes; successes of neighbouring tasks are one run.
    pub fn batch(&self) -> Batch {
        self.outbox.batch()
    }

    /// About how many bytes of reports wait. The shell stops reading logs while they are many.
    pub const fn unsaid_bytes(&self) -> usize {
        self.outbox.bytes()
    }

    /// The scheduler has every report of the batch that ended with `upto`.
    pub fn acknowledged(&mut self, upto: u64) -> Vec<Action> {
        let mut actions = Vec::new();
        for follow in self.outbox.acknowledged(upto) {
            self.arrived(follow, &mut actions);
        }
        actions
    }

    /// Every grant that is held, with the tasks that the scheduler does not know to be final.
    pub fn held(&self) -> Vec<Held> {
        self.grants.values().map(Holding::held).collect()
    }

    /// The cluster that the node serves, for the next hello.
    pub const fn cluster(&self) -> Option<ClusterId> {
        self.cluster
    }

    /// Whether nothing runs, nothing is being killed, and nothing is left to say: a drained node may exit.
    pub fn is_idle(&self) -> bool {
        let quiet = |holding: &Holding| holding.running().is_none();
        self.stopping.is_empty() && self.outbox.is_empty() && self.grants.values().all(quiet)
    }
}

/// Grants that were here in this generation and are not any more: an order for
/// one of them is late.
#[derive(Debug, Default)]
pub(crate) struct Gone {
    order: VecDeque<GrantId>,
    members: BTreeSet<GrantId>,
}

impl Gone {
    pub(crate) fn insert(&mut self, id: GrantId) {
        if self.members.insert(id.clone()) {
            self.order.push_back(id);
        }
        if self.order.len() > GONE_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.members.remove(&oldest);
        }
    }

    pub(crate) fn contains(&self, id: &GrantId) -> bool {
        self.members.contains(id)
    }
}
