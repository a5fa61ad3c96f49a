//! What the heart of the scheduler costs at scale, without disk and network:
//! placement on many nodes, one job of a million tasks, a hundred thousand jobs.
//!
//! `cargo run --release -p stint-scheduler --example scale`

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that cannot go on says where, and prints"
)]

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use stint_api::id::{ClusterId, Digest, Generation, Incarnation, NodeId};
use stint_api::job::JobSpec;
use stint_api::link::{Ended, Grant, Hello, Order, PROTOCOL, Report, Reports, Verdict};
use stint_api::outcome::{Outcome, Usage};
use stint_api::quantity::{Bytes, Millicores, Resources};
use stint_api::tasks::TaskRange;
use stint_api::time::{Span, Time};
use stint_api::view::ModuleView;
use stint_cluster::{Change, Cluster, Config, Effects, JobsQuery};

const MODULE: Digest = Digest([7; 32]);
const SLOT: Resources = Resources {
    cpu: Millicores(1_000),
    memory: Bytes::mebi(64),
    scratch: Bytes::mebi(64),
};

fn main() {
    for nodes in [50, 500, 5_000] {
        placement(nodes);
    }
    for tasks in [1_000, 10_000, 100_000, 1_000_000] {
        array(tasks);
    }
    for jobs in [1_000, 10_000, 100_000] {
        many_jobs(jobs);
    }
}

/// One cluster, and what followed from its verbs.
struct Site {
    heart: Cluster,
    now: Time,
    generations: BTreeMap<NodeId, Generation>,
    /// Grants that were ordered and not answered.
    held: VecDeque<(NodeId, Grant)>,
    /// Records, when they are wanted; and their bytes in any case.
    store: Option<BTreeMap<String, Vec<u8>>>,
    bytes: usize,
    grants: usize,
}

impl Site {
    fn new(nodes: usize, slots: u32) -> Self {
        let now = Time::from_nanos(1_000_000_000_000);
        let restored = Cluster::restore(Config::default(), now, ClusterId(1), []);
        let (heart, effects) = restored.unwrap();
        let mut site = Self {
            heart,
            now,
            generations: BTreeMap::new(),
            held: VecDeque::new(),
            store: Some(BTreeMap::new()),
            bytes: 0,
            grants: 0,
        };
        site.follow(effects);
        let (_, effects) = site.heart.module_pushed(now, module()).unwrap();
        site.follow(effects);
        for index in 0..nodes {
            let hello = hello(&format!("node-{index}"), slots);
            let (welcome, effects) = site.heart.hello(now, &hello).unwrap();
            site.generations.insert(hello.node, welcome.generation);
            site.follow(effects);
        }
        site
    }

    fn follow(&mut self, effects: Effects) {
        for change in effects.changes {
            if let Change::Put { key, bytes } = change {
                self.bytes += bytes.len();
                if let Some(store) = &mut self.store {
                    store.insert(key.to_string(), bytes);
                }
            }
        }
        for (node, orders) in effects.orders {
            for order in orders.orders {
                if let Order::Run(grant) = order {
                    self.grants += 1;
                    self.held.push_back((node.clone(), grant));
                }
            }
        }
    }

    /// The oldest grant ends well, as a node would say it: in one run.
    fn one_ends(&mut self) -> Option<Duration> {
        let (node, grant) = self.held.pop_front()?;
        let reports = grant.tasks.iter().map(|tasks| ended(&grant, *tasks));
        let batch = Reports {
            generation: self.generations[&node],
            reports: reports.collect(),
            node,
        };
        self.now = self.now + Span::from_nanos(1_000);
        let started = Instant::now();
        let effects = self.heart.report(self.now, &batch).unwrap();
        let took = started.elapsed();
        self.follow(effects);
        Some(took)
    }
}

fn placement(nodes: usize) {
    let mut site = Site::new(nodes, 10);
    let tasks = u32::try_from(nodes * 10).unwrap();
    let started = Instant::now();
    let (_, effects) = site.heart.submit(site.now, spec(tasks), None).unwrap();
    let took = started.elapsed();
    site.follow(effects);
    // A full cluster: each end makes room for one more.
    let (_, effects) = site.heart.submit(site.now, spec(tasks), None).unwrap();
    site.follow(effects);
    let mut each = Duration::ZERO;
    for _ in 0..1_000 {
        each += site.one_ends().unwrap();
    }
    println!(
        "placement: {nodes} nodes x 10 slots: {} grants in one verb, {:.1} us each; an end and its \
         successor {:.1} us",
        tasks,
        micros(took) / f64::from(tasks),
        micros(each) / 1_000.0,
    );
}

fn array(tasks: u32) {
    let mut site = Site::new(100, 10);
    let before = resident();
    let (id, effects) = site.heart.submit(site.now, spec(tasks), None).unwrap();
    site.follow(effects);
    let pending = resident();
    site.store = None;
    let (bytes, mut took) = (site.bytes, Duration::ZERO);
    while let Some(spent) = site.one_ends() {
        took += spent;
    }
    let view = site.heart.job(id.id()).unwrap();
    assert_eq!(view.tasks.succeeded, tasks);
    println!(
        "array: {tasks} tasks on 1000 slots, {} grants: {:.2} us and {:.0} bytes of records a task; \
         memory {:.1} MiB pending, {:.1} MiB done",
        site.grants,
        micros(took) / f64::from(tasks),
        (site.bytes - bytes) as f64 / f64::from(tasks),
        mebi(pending - before),
        mebi(resident() - before),
    );
}

fn many_jobs(count: usize) {
    let mut site = Site::new(100, 10);
    let before = resident();
    let mut took = Duration::ZERO;
    for _ in 0..count / 1_000 {
        let specs = vec![spec(1); 1_000];
        site.now = site.now + Span::from_nanos(1_000);
        let started = Instant::now();
        let (_, effects) = site.heart.submit_batch(site.now, specs, None).unwrap();
        took += started.elapsed();
        site.follow(effects);
    }
    let records: usize = site
        .store
        .iter()
        .flatten()
        .map(|(k, v)| k.len() + v.len())
        .sum();
    let memory = resident() - before;
    let query = JobsQuery {
        limit: Some(1_000),
        ..JobsQuery::default()
    };
    let started = Instant::now();
    let page = site.heart.jobs(&query).unwrap();
    let listed = started.elapsed();
    assert_eq!(page.jobs.len(), 1_000);
    let store = site.store.take().unwrap();
    let records_of = store
        .iter()
        .map(|(key, bytes)| (key.as_str(), bytes.as_slice()));
    let started = Instant::now();
    let restored = Cluster::restore(Config::default(), site.now, ClusterId(1), records_of);
    let recovered = started.elapsed();
    drop(restored.unwrap());
    let mut ends = Duration::ZERO;
    let mut ended = 0;
    while ended < count.min(20_000) {
        ends += site.one_ends().unwrap();
        ended += 1;
    }
    println!(
        "jobs: {count} of one task: {:.1} us each to accept, {:.1} us to end and start the next, page of \
         1000 in {:.1} ms, recovered in {:.0} ms; memory {:.0} MiB with {:.0} MiB of records",
        micros(took) / count as f64,
        micros(ends) / ended as f64,
        micros(listed) / 1e3,
        micros(recovered) / 1e3,
        mebi(memory),
        mebi(records),
    );
}

fn ended(grant: &Grant, tasks: TaskRange) -> Report {
    Report::Ended(Ended {
        id: grant.id.clone(),
        tasks,
        try_number: 1,
        outcome: Outcome::Succeeded,
        usage: Usage::default(),
        at: Time::from_nanos(1),
        verdict: Verdict::Final,
        results: BTreeMap::new(),
        stderr_tail: None,
    })
}

fn spec(tasks: u32) -> JobSpec {
    let mut spec = JobSpec::new(MODULE);
    spec.tasks = tasks;
    spec.memory = SLOT.memory;
    spec
}

fn hello(name: &str, slots: u32) -> Hello {
    Hello {
        protocol: PROTOCOL,
        version: "0".to_owned(),
        node: name.parse().unwrap(),
        incarnation: Incarnation(1),
        cluster: None,
        capacity: Resources {
            cpu: Millicores(SLOT.cpu.0 * slots),
            memory: Bytes(SLOT.memory.0 * u64::from(slots)),
            scratch: Bytes(SLOT.scratch.0 * u64::from(slots)),
        },
        labels: BTreeMap::new(),
        limits: "none".to_owned(),
        held: Vec::new(),
        sent_at: Time::default(),
    }
}

fn module() -> ModuleView {
    ModuleView {
        namespace: stint_api::id::Namespace::default(),
        digest: MODULE,
        size: Bytes(9),
        kind: "core".to_owned(),
        entry: "_start".to_owned(),
        memory_min: Bytes(0),
        imports: Vec::new(),
        profile: "plain".to_owned(),
        pushed_at: Time::default(),
        kit: None,
    }
}

/// Bytes of memory that this process has.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kibi: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibi << 10
}

fn micros(span: Duration) -> f64 {
    span.as_secs_f64() * 1e6
}

#[allow(clippy::cast_precision_loss, reason = "a figure for people")]
fn mebi(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
