//! What a Prometheus server may ask: counters of what happened, gauges of what is.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use stint_api::view::{CapacityView, JobState, NodeState};
use stint_cluster::Census;

/// How many there are of something.
type Count = Gauge<u64, AtomicU64>;

/// Commits take from a fraction of a millisecond to seconds on a stuck disk.
const COMMIT_SECONDS: [f64; 9] = [0.000_5, 0.001, 0.002, 0.005, 0.01, 0.05, 0.2, 1.0, 5.0];

/// The class of an answer: few values, so that no client can grow the table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    /// The hundreds of its status.
    class: u16,
}

/// A state of jobs, tasks or nodes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    state: &'static str,
}

/// Which part of the capacity: `total`, `taken`, or `wanted` beyond that.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Part {
    part: &'static str,
}

/// What there is of capacity, and what is wanted.
#[derive(Debug, Default)]
pub(crate) struct Capacity {
    nodes_open: Count,
    slots_wanted: Count,
    millicores: Family<Part, Count>,
    memory_bytes: Family<Part, Count>,
}

impl Capacity {
    fn registered(r: &mut Registry) -> Self {
        let capacity = Self::default();
        r.register(
            "nodes_open",
            "Nodes that take work",
            capacity.nodes_open.clone(),
        );
        r.register(
            "slots_wanted",
            "Slots that tasks could take which wait for room",
            capacity.slots_wanted.clone(),
        );
        r.register(
            "capacity_millicores",
            "CPU of nodes that take work, taken by slots, and wanted beyond that",
            capacity.millicores.clone(),
        );
        r.register(
            "capacity_memory_bytes",
            "Memory of nodes that take work, taken by slots, and wanted beyond that",
            capacity.memory_bytes.clone(),
        );
        capacity
    }

    /// Takes what there is of capacity now, and what is wanted.
    pub(crate) fn take(&self, capacity: &CapacityView) {
        self.nodes_open.set(capacity.nodes);
        self.slots_wanted.set(capacity.wanted.slots);
        for (part, amount) in [
            ("total", &capacity.total),
            ("taken", &capacity.taken),
            ("wanted", &capacity.wanted),
        ] {
            let part = Part { part };
            self.millicores
                .get_or_create(&part)
                .set(amount.cpu.0.into());
            self.memory_bytes.get_or_create(&part).set(amount.memory.0);
        }
    }
}

#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    answers: Family<Answer, Counter>,
    pub(crate) jobs_submitted: Counter,
    pub(crate) commits: Counter,
    pub(crate) commit_seconds: Histogram,
    pub(crate) records_written: Counter,
    pub(crate) events: Counter,
    pub(crate) log_bytes: Counter,
    pub(crate) log_bytes_dropped: Counter,
    pub(crate) connections: Gauge,
    jobs: Family<InState, Count>,
    tasks: Family<InState, Count>,
    nodes: Family<InState, Count>,
    jobs_waiting: Count,
    pub(crate) capacity: Capacity,
    modules: Count,
    calls_waiting: Count,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("stint");
        let metrics = Self {
            registry: Registry::default(),
            answers: Family::default(),
            jobs_submitted: Counter::default(),
            commits: Counter::default(),
            commit_seconds: Histogram::new(COMMIT_SECONDS),
            records_written: Counter::default(),
            events: Counter::default(),
            log_bytes: Counter::default(),
            log_bytes_dropped: Counter::default(),
            connections: Gauge::default(),
            jobs: Family::default(),
            tasks: Family::default(),
            nodes: Family::default(),
            jobs_waiting: Gauge::default(),
            capacity: Capacity::registered(&mut registry),
            modules: Gauge::default(),
            calls_waiting: Gauge::default(),
        };
        let r = &mut registry;
        r.register("http_answers", "Answers by class", metrics.answers.clone());
        r.register(
            "jobs_submitted",
            "Jobs made",
            metrics.jobs_submitted.clone(),
        );
        r.register("commits", "Group commits", metrics.commits.clone());
        r.register(
            "commit_seconds",
            "Time of a group commit",
            metrics.commit_seconds.clone(),
        );
        r.register(
            "records_written",
            "Records put or deleted",
            metrics.records_written.clone(),
        );
        r.register("events", "Events told", metrics.events.clone());
        r.register("log_bytes", "Bytes of logs kept", metrics.log_bytes.clone());
        r.register(
            "log_bytes_dropped",
            "Bytes of logs beyond a limit",
            metrics.log_bytes_dropped.clone(),
        );
        r.register(
            "connections",
            "Connections open",
            metrics.connections.clone(),
        );
        r.register("jobs", "Jobs by state", metrics.jobs.clone());
        r.register("tasks", "Tasks by state", metrics.tasks.clone());
        r.register("nodes", "Nodes by state", metrics.nodes.clone());
        r.register(
            "jobs_waiting",
            "Jobs with tasks that wait for a node",
            metrics.jobs_waiting.clone(),
        );
        r.register(
            "calls_waiting",
            "Calls that wait for the driver",
            metrics.calls_waiting.clone(),
        );
        r.register("modules", "Modules kept", metrics.modules.clone());
        Self {
            registry,
            ..metrics
        }
    }

    pub(crate) fn answered(&self, status: u16) {
        let class = status / 100 * 100;
        self.answers.get_or_create(&Answer { class }).inc();
    }

    /// Takes what was counted just now.
    pub(crate) fn take(&self, census: &Census, calls_waiting: usize) {
        for (state, count) in census.jobs {
            set(&self.jobs, job_state(state), count);
        }
        for (state, count) in [
            ("pending", census.tasks_pending),
            ("granted", census.tasks_granted),
            ("succeeded", census.tasks_succeeded),
            ("failed", census.tasks_failed),
        ] {
            set(&self.tasks, state, count);
        }
        for (state, count) in census.nodes {
            set(&self.nodes, node_state(state), count);
        }
        self.jobs_waiting.set(census.jobs_waiting);
        self.modules.set(census.modules);
        self.calls_waiting.set(calls_waiting as u64);
    }

    /// The text that Prometheus reads.
    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn set(family: &Family<InState, Count>, state: &'static str, count: u64) {
    family.get_or_create(&InState { state }).set(count);
}

fn job_state(state: JobState) -> &'static str {
    match state {
        JobState::Queued => "queued",
        JobState::Running => "running",
        JobState::Succeeded => "succeeded",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
    }
}

fn node_state(state: NodeState) -> &'static str {
    match state {
        NodeState::Ready => "ready",
        NodeState::Lost => "lost",
    }
}
