//! The heart of the scheduler as its driver sees it: verbs in, records, orders
//! and events out, on a clock that the test turns.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod batching;
mod cancelling;
mod draining;
mod following;
mod forgetting;
mod granting;
mod kits;
mod leaving;
mod losing;
mod placing;
mod poisoning;
mod policing;
mod preempting;
mod publishing;
mod reference;
mod reporting;
mod rerunning;
mod restoring;
mod sharing;
mod submitting;
mod suspending;
mod viewing;

use std::collections::BTreeMap;

use stint_api::id::{AttemptId, ClusterId, Digest, Generation, Incarnation, JobId, NodeId};
use stint_api::job::JobSpec;
use stint_api::link::{Ended, Held, Hello, Order, Orders, PROTOCOL, Report, Reports, Verdict};
use stint_api::outcome::{Outcome, Usage};
use stint_api::quantity::{Bytes, Millicores, Resources};
use stint_api::tasks::TaskRange;
use stint_api::time::{Span, Time};
use stint_api::view::{Event, EventKind, JobState, JobView, ModuleView};
use stint_cluster::{Change, Cluster, Config, Effects, History, StaleGeneration, SubmitError};

/// A module that every site has.
pub(crate) const MODULE: Digest = Digest([7; 32]);
/// Longer than any lease of these tests.
pub(crate) const SILENCE: Span = Span::from_secs(3);

/// A cluster, and everything that ever followed from its verbs.
pub(crate) struct Site {
    pub(crate) heart: Cluster,
    pub(crate) now: Time,
    pub(crate) changes: Vec<Change>,
    pub(crate) events: Vec<Event>,
    orders: Vec<(NodeId, Orders)>,
    generations: BTreeMap<String, Generation>,
}

impl Site {
    /// A new cluster with one module and no node.
    pub(crate) fn new() -> Self {
        let now = Time::from_nanos(1_000_000_000_000);
        let config = Config::default();
        let (heart, effects) = Cluster::restore(config, now, ClusterId(1), []).unwrap();
        let mut site = Self {
            heart,
            now,
            changes: Vec::new(),
            events: Vec::new(),
            orders: Vec::new(),
            generations: BTreeMap::new(),
        };
        site.follow(effects);
        site.push(MODULE, Bytes(0));
        site
    }

    /// A new cluster with nodes of so many slots each.
    pub(crate) fn with_nodes(nodes: &[(&str, u64)]) -> Self {
        let mut site = Self::new();
        for (name, slots) in nodes {
            site.node(name, *slots);
        }
        site
    }

    pub(crate) fn follow(&mut self, effects: Effects) {
        self.changes.extend(effects.changes);
        self.orders.extend(effects.orders);
        self.events.extend(effects.events);
    }

    pub(crate) fn push(&mut self, digest: Digest, memory_min: Bytes) {
        self.push_to("default", digest, memory_min);
    }

    pub(crate) fn push_to(&mut self, namespace: &str, digest: Digest, memory_min: Bytes) {
        let module = ModuleView {
            namespace: namespace.parse().unwrap(),
            digest,
            size: Bytes(9),
            kind: "core".into(),
            entry: "_start".into(),
            memory_min,
            imports: Vec::new(),
            profile: "plain".into(),
            pushed_at: Time::from_nanos(0),
            kit: None,
        };
        let (_, effects) = self.heart.module_pushed(self.now, module).unwrap();
        self.follow(effects);
    }

    /// A node says hello and holds nothing.
    pub(crate) fn node(&mut self, name: &str, slots: u64) {
        self.hello(hello(name, slots));
    }

    pub(crate) fn hello(&mut self, hello: Hello) {
        let (welcome, effects) = self.heart.hello(self.now, &hello).unwrap();
        let name = hello.node.as_str().to_owned();
        self.generations.insert(name, welcome.generation);
        self.follow(effects);
    }

    pub(crate) fn generation(&self, name: &str) -> Generation {
        self.generations[name]
    }

    /// A job of `tasks` slots' worth, changed by `change`.
    pub(crate) fn submit(&mut self, tasks: u32, change: impl FnOnce(&mut JobSpec)) -> JobId {
        self.try_submit(tasks, change).unwrap()
    }

    pub(crate) fn try_submit(
        &mut self,
        tasks: u32,
        change: impl FnOnce(&mut JobSpec),
    ) -> Result<JobId, SubmitError> {
        let mut spec = spec(tasks);
        change(&mut spec);
        let (submission, effects) = self.heart.submit(self.now, spec, None)?;
        self.follow(effects);
        Ok(submission.id().clone())
    }

    pub(crate) fn try_report(
        &mut self,
        name: &str,
        generation: Generation,
        reports: Vec<Report>,
    ) -> Result<(), StaleGeneration> {
        let batch = Reports {
            node: node_id(name),
            generation,
            reports,
        };
        let effects = self.heart.report(self.now, &batch)?;
        self.follow(effects);
        Ok(())
    }

    pub(crate) fn report(&mut self, name: &str, report: Report) {
        let generation = self.generation(name);
        self.try_report(name, generation, vec![report]).unwrap();
    }

    pub(crate) fn started(&mut self, name: &str, attempt: &str) {
        let (attempt, at) = (id(attempt), self.now);
        self.report(name, Report::Started { attempt, at });
    }

    /// The attempt ended, and its task with it.
    pub(crate) fn ended(&mut self, name: &str, attempt: &str, outcome: Outcome) {
        let ended = self.end(attempt, outcome);
        self.report(name, Report::Ended(ended));
    }

    /// What a node says of an attempt whose task is done with it.
    pub(crate) fn end(&self, attempt: &str, outcome: Outcome) -> Ended {
        self.end_of(id(attempt), outcome)
    }

    pub(crate) fn end_of(&self, attempt: AttemptId, outcome: Outcome) -> Ended {
        Ended {
            id: attempt.grant_id(),
            tasks: TaskRange::one(attempt.task),
            try_number: attempt.try_number,
            outcome,
            usage: Usage {
                cpu: Span::from_millis(5),
                ..Usage::default()
            },
            at: self.now,
            verdict: Verdict::Final,
            stderr_tail: None,
            results: BTreeMap::new(),
        }
    }

    /// Time passes, with the ticks that the heart asks for; silent nodes stay silent.
    pub(crate) fn pass(&mut self, span: Span) {
        let end = self.now + span;
        while let Some(wake) = self.heart.next_wake().filter(|wake| *wake <= end) {
            self.now = wake.max(self.now);
            let effects = self.heart.tick(self.now);
            self.follow(effects);
        }
        self.now = end;
    }

    /// The orders since the last look: `node-a run 1.g1: 0-3`.
    pub(crate) fn orders(&mut self) -> Vec<String> {
        let lines = std::mem::take(&mut self.orders);
        let lines = lines.iter().flat_map(|(node, line)| {
            assert_eq!(self.generations[node.as_str()], line.generation);
            line.orders.iter().map(move |order| told(node, order))
        });
        lines.collect()
    }

    /// What opens the orders stream of a node.
    pub(crate) fn full(&self, name: &str) -> Vec<String> {
        let node = node_id(name);
        let orders = self.heart.full(&node, self.generation(name)).unwrap();
        orders.orders.iter().map(|one| told(&node, one)).collect()
    }

    pub(crate) fn view(&self, id: &JobId) -> JobView {
        self.heart.job(id).unwrap()
    }

    pub(crate) fn state(&self, id: &JobId) -> JobState {
        self.view(id).state
    }

    /// `0-3 succeeded`, `4 granted node-a`.
    pub(crate) fn tasks(&self, id: &JobId) -> Vec<String> {
        tasks_of(&self.heart, id)
    }

    pub(crate) fn history(&self, id: &JobId) -> History {
        let records = self.changes.iter().filter_map(|change| match change {
            Change::Put { key, bytes } => Some((key.to_string(), bytes.clone())),
            Change::Delete { .. } => None,
        });
        let store: BTreeMap<String, Vec<u8>> = records.collect();
        let index = self.heart.pages(id).unwrap();
        let within = store
            .iter()
            .filter(|(key, _)| key.starts_with(&index.prefix()));
        let within = within.map(|(key, bytes)| (key.as_str(), bytes.as_slice()));
        index.read(within).unwrap()
    }

    /// Attempts of the history: `t0.g1.1 exited with code 1`.
    pub(crate) fn attempts(&self, id: &JobId) -> Vec<String> {
        let history = self.history(id).attempts.into_iter();
        let tell = history.map(|one| {
            let attempt = one.attempt.to_string();
            let tail = attempt.split_once(".t").unwrap().1;
            format!("t{tail} {}", one.outcome)
        });
        tell.collect()
    }

    /// The kinds of a job's events.
    pub(crate) fn story(&self, id: &JobId) -> Vec<&'static str> {
        let mine = self.events.iter().filter(|event| event.job == *id);
        mine.map(|event| match &event.what {
            EventKind::Submitted => "submitted",
            EventKind::Granted { .. } => "granted",
            EventKind::Preparing { .. } => "preparing",
            EventKind::Started { .. } => "started",
            EventKind::Said { .. } => "said",
            EventKind::Ended { .. } => "ended",
            EventKind::NodeLost { .. } => "node-lost",
            EventKind::Returned { .. } => "returned",
            EventKind::Suspended => "suspended",
            EventKind::Resumed => "resumed",
            EventKind::Done { .. } => "done",
        })
        .collect()
    }
}

fn told(node: &NodeId, order: &Order) -> String {
    let grant = |id: &stint_api::id::GrantId| id.to_string().replace("default.", "");
    let runs = |tasks: &[TaskRange]| {
        let runs: Vec<String> = tasks.iter().map(ToString::to_string).collect();
        runs.join(",")
    };
    match order {
        Order::Full { grants } => {
            let grants = grants.iter();
            let grants = grants.map(|one| format!("{}: {}", grant(&one.id), runs(&one.tasks)));
            format!("{node} full [{}]", grants.collect::<Vec<_>>().join(" "))
        }
        Order::Run(one) => format!("{node} run {}: {}", grant(&one.id), runs(&one.tasks)),
        Order::Stop { id, why } => format!("{node} stop {}: {why}", grant(id)),
        Order::GiveBack { id, kill: None } => format!("{node} give back {}", grant(id)),
        Order::GiveBack {
            id,
            kill: Some(why),
        } => format!("{node} give back {} now: {why}", grant(id)),
        Order::Publish { attempt } => format!("{node} publish {attempt}").replace("default.", ""),
    }
}

pub(crate) fn tasks_of(heart: &Cluster, id: &JobId) -> Vec<String> {
    let (page, _) = heart.tasks(id, 0, usize::MAX).unwrap();
    let tell = |run: stint_api::view::TaskRun| {
        let state = format!("{:?}", run.state).to_lowercase();
        let node = run.node.map_or(String::new(), |node| format!(" {node}"));
        format!("{} {state}{node}", run.tasks)
    };
    page.runs.into_iter().map(tell).collect()
}

/// What every slot of these tests takes.
pub(crate) const SLOT: Resources = Resources {
    cpu: Millicores(1000),
    memory: Bytes::mebi(64),
    scratch: Bytes::mebi(64),
};

pub(crate) fn spec(tasks: u32) -> JobSpec {
    let mut spec = JobSpec::new(MODULE);
    spec.tasks = tasks;
    spec.memory = SLOT.memory;
    spec
}

/// The hello of a node with so many slots that holds nothing.
pub(crate) fn hello(name: &str, slots: u64) -> Hello {
    Hello {
        protocol: PROTOCOL,
        version: "0".into(),
        node: node_id(name),
        incarnation: Incarnation(1),
        cluster: Some(ClusterId(1)),
        capacity: Resources {
            cpu: Millicores(SLOT.cpu.0 * u32::try_from(slots).unwrap()),
            memory: Bytes(SLOT.memory.0 * slots),
            scratch: Bytes(SLOT.scratch.0 * slots),
        },
        labels: BTreeMap::new(),
        limits: "none".into(),
        held: Vec::new(),
        sent_at: Time::default(),
    }
}

/// The grant of job and number, as `1.g1`, held with these tasks.
pub(crate) fn held(grant: &str, tasks: TaskRange) -> Held {
    let (job, number) = grant.split_once(".g").unwrap();
    Held {
        id: stint_api::id::GrantId {
            job: job.parse().unwrap(),
            grant: stint_api::id::GrantNumber(number.parse().unwrap()),
        },
        tasks: vec![tasks],
    }
}

pub(crate) fn node_id(name: &str) -> NodeId {
    name.parse().unwrap()
}

/// The attempt, as `1.t0.g1.1`.
pub(crate) fn id(text: &str) -> AttemptId {
    format!("default.{text}").parse().unwrap()
}

pub(crate) fn failed() -> Outcome {
    Outcome::Exited { code: 1 }
}
