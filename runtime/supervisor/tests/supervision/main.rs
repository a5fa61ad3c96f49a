//! The supervisor as its shell sees it: orders and events in, actions and
//! reports out, on a clock that the test turns.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod adopting;
mod leasing;
mod ordering;
mod reporting;
mod retrying;
mod returning;
mod running;

use stint_api::id::{AttemptId, ClusterId, Digest, Generation, GrantId, GrantNumber};
use stint_api::link::{
    Ended, Grant, Order, Orders, OutputFile, Plan, Report, RetryBudget, Welcome,
};
use stint_api::outcome::Outcome;
use stint_api::quantity::{Bytes, Millicores, Resources};
use stint_api::tasks::TaskRange;
use stint_api::time::{Span, Time};
use stint_supervisor::{Action, AttemptEnd, Config, Supervisor};

/// A node with room for two slots, welcomed with a lease of an hour and told that it holds nothing.
pub(crate) struct Node {
    pub(crate) heart: Supervisor,
    pub(crate) now: Time,
}

impl Node {
    pub(crate) fn new() -> Self {
        let mut node = Self::unwelcomed();
        node.welcome(1);
        node.order(Order::Full { grants: Vec::new() });
        node
    }

    pub(crate) fn unwelcomed() -> Self {
        let capacity = slot() + slot();
        let config = Config {
            capacity,
            cluster: None,
            seed: 7,
        };
        Self {
            heart: Supervisor::new(config),
            now: Time::from_nanos(1),
        }
    }

    pub(crate) fn welcome(&mut self, generation: u64) -> Vec<Action> {
        self.welcome_to(ClusterId(1), generation)
    }

    pub(crate) fn welcome_to(&mut self, cluster: ClusterId, generation: u64) -> Vec<Action> {
        let lease = Span::from_secs(3_600);
        let mut actions = self.heart.welcomed(&Welcome {
            generation: Generation(generation),
            cluster,
            lease,
        });
        actions.extend(self.heart.renewed(self.now, self.now + lease));
        actions
    }

    /// Orders of generation 1.
    pub(crate) fn order(&mut self, order: Order) -> Vec<Action> {
        self.order_of(1, order)
    }

    pub(crate) fn order_of(&mut self, generation: u64, order: Order) -> Vec<Action> {
        let orders = Orders {
            generation: Generation(generation),
            orders: vec![order],
        };
        self.heart.orders(self.now, orders).unwrap()
    }

    /// Hands over a grant and prepares it.
    pub(crate) fn run(&mut self, grant: Grant) -> Vec<Action> {
        let id = grant.id.clone();
        self.order(Order::Run(grant));
        self.heart.prepared(self.now, &id, Ok(()))
    }

    pub(crate) fn started(&mut self, attempt: &str) -> Vec<Action> {
        self.heart.started(self.now, &id(attempt))
    }

    pub(crate) fn ended(&mut self, attempt: &str, outcome: Outcome) -> Vec<Action> {
        let end = AttemptEnd::without_run(outcome, self.now);
        self.heart.ended(self.now, &id(attempt), end)
    }

    pub(crate) fn succeeded_with_files(&mut self, attempt: &str) -> Vec<Action> {
        let end = end_with_files(self.now);
        self.heart.ended(self.now, &id(attempt), end)
    }

    pub(crate) fn pass(&mut self, span: Span) -> Vec<Action> {
        self.now = self.now + span;
        self.heart.tick(self.now)
    }

    /// Reports that wait; the scheduler answers them.
    pub(crate) fn flush(&mut self) -> (Vec<Report>, Vec<Action>) {
        let batch = self.heart.batch();
        (batch.reports, self.heart.acknowledged(batch.upto))
    }

    /// The ends among the reports that wait; the scheduler answers them.
    pub(crate) fn ends(&mut self) -> Vec<Ended> {
        let ends = self
            .flush()
            .0
            .into_iter()
            .filter_map(|report| match report {
                Report::Ended(ended) => Some(ended),
                _ => None,
            });
        ends.collect()
    }
}

pub(crate) fn end_with_files(at: Time) -> AttemptEnd {
    let path = "table.csv".to_owned();
    AttemptEnd {
        files: vec![OutputFile { path, bytes: 9 }],
        ..AttemptEnd::without_run(Outcome::Succeeded, at)
    }
}

/// Half of the node.
pub(crate) fn slot() -> Resources {
    Resources {
        cpu: Millicores(1000),
        memory: Bytes::mebi(64),
        scratch: Bytes::mebi(64),
    }
}

/// Grant number `number` of job `default.1`, with one retry and one loss.
pub(crate) fn grant(number: u32, tasks: &[TaskRange]) -> Grant {
    Grant {
        id: GrantId {
            job: "default.1".parse().unwrap(),
            grant: GrantNumber(number),
        },
        tasks: tasks.to_vec(),
        plan: Plan {
            module: Digest([0; 32]),
            kit: None,
            args: Vec::new(),
            env: Default::default(),
            task_count: 9,
            limits: slot(),
            timeout: Span::from_secs(9),
            retry: Vec::new(),
            inputs: Vec::new(),
            output: None,
            stall: None,
            isolation: stint_api::job::Isolation::Task,
        },
        budget: RetryBudget {
            retries: 1,
            losses: 1,
            time: None,
            backoff: Span::from_secs(1),
            backoff_max: Span::from_secs(4),
        },
    }
}

pub(crate) fn publishing(number: u32, tasks: &[TaskRange]) -> Grant {
    let mut grant = grant(number, tasks);
    grant.plan.output = Some("file:///out".into());
    grant
}

pub(crate) fn tasks(first: u32, count: u32) -> TaskRange {
    TaskRange { first, count }
}

/// The attempt of job `default.1` with this tail, for example `t0.g1.1`.
pub(crate) fn id(tail: &str) -> AttemptId {
    format!("default.1.{tail}").parse().unwrap()
}

/// The actions as text: `start t0.g1.1`.
pub(crate) fn told(actions: &[Action]) -> Vec<String> {
    let tail = |attempt: &AttemptId| attempt.to_string().replace("default.1.", "");
    let tell = |action: &Action| match action {
        Action::Prepare { grant } => format!("prepare g{}", grant.id.grant.0),
        Action::Start { attempt, grant } => match grant.tasks.as_slice() {
            [run] if run.count > 1 => format!("start {} and on to {}", tail(attempt), run.end()),
            _ => format!("start {}", tail(attempt)),
        },
        Action::Kill { attempt, why } => format!("kill {}: {why}", tail(attempt)),
        Action::Publish { attempt, .. } => format!("publish {}", tail(attempt)),
        Action::Discard { attempt } => format!("discard {}", tail(attempt)),
        Action::Forget { attempt } => format!("forget {}", tail(attempt)),
        Action::Release { grant } => format!("release g{}", grant.grant.0),
    };
    actions.iter().map(tell).collect()
}

/// What the node says it holds: `g1: 0-3`.
pub(crate) fn held(node: &Node) -> Vec<String> {
    let tell = |tasks: &[TaskRange]| {
        let runs: Vec<String> = tasks.iter().map(ToString::to_string).collect();
        runs.join(",")
    };
    let held = node.heart.held().into_iter();
    held.map(|held| format!("g{}: {}", held.id.grant.0, tell(&held.tasks)))
        .collect()
}
