//! The store is the truth: what is restored from it is what there was, at
//! every border between two records.

use std::collections::BTreeMap;

use stint_api::id::{ClusterId, Digest};
use stint_api::link::{Report, Verdict};
use stint_api::outcome::Outcome;
use stint_api::tasks::TaskRange;
use stint_api::time::{Span, Time};
use stint_api::view::JobState;
use stint_cluster::{
    Change, Cluster, Config, Effects, IdempotencyKey, JobsQuery, RestoreError, Submission,
};

use crate::{SILENCE, Site, failed, hello, spec, tasks_of};

/// What a cluster shows of itself, but for when nodes were heard.
#[derive(Debug, PartialEq)]
struct Shown {
    jobs: Vec<stint_api::view::JobView>,
    tasks: Vec<Vec<String>>,
    nodes: Vec<stint_api::view::NodeView>,
    modules: usize,
}

fn shown(heart: &Cluster) -> Shown {
    let jobs = heart.jobs(&JobsQuery::default()).unwrap().jobs;
    let tasks = jobs.iter().map(|job| tasks_of(heart, &job.id)).collect();
    let mut nodes = heart.nodes().nodes;
    for node in &mut nodes {
        node.heard_at = Time::default();
    }
    let modules = heart.modules(&"default".parse().unwrap()).modules.len();
    Shown {
        jobs,
        tasks,
        nodes,
        modules,
    }
}

pub(crate) fn store(changes: &[Change]) -> BTreeMap<String, Vec<u8>> {
    let mut store = BTreeMap::new();
    apply(&mut store, changes);
    store
}

pub(crate) fn apply(store: &mut BTreeMap<String, Vec<u8>>, changes: &[Change]) {
    for change in changes {
        match change {
            Change::Put { key, bytes } => store.insert(key.to_string(), bytes.clone()),
            Change::Delete { key } => store.remove(&key.to_string()),
        };
    }
}

impl Site {
    /// The scheduler starts again from what was committed; its streams are gone.
    pub(crate) fn restart(&mut self) {
        let (heart, effects) = restore(self.now, &store(&self.changes)).unwrap();
        self.heart = heart;
        self.follow(effects);
        self.orders();
    }
}

fn restore(
    now: Time,
    store: &BTreeMap<String, Vec<u8>>,
) -> Result<(Cluster, Effects), RestoreError> {
    let records = store
        .iter()
        .map(|(key, bytes)| (key.as_str(), bytes.as_slice()));
    Cluster::restore(Config::default(), now, ClusterId(99), records)
}

/// A little of everything, step by step.
fn story(mut step: impl FnMut(&Site)) -> Site {
    let mut site = Site::with_nodes(&[("node-a", 2), ("node-b", 1)]);
    step(&site);
    site.submit(40, |spec| spec.retries = 2);
    step(&site);
    site.submit(4, |spec| spec.output = Some("file:///out".into()));
    step(&site);
    site.started("node-a", "1.t0.g1.1");
    step(&site);
    let mut end = site.end("1.t0.g1.1", failed());
    end.verdict = Verdict::Retry { after: Span::ZERO };
    site.report("node-a", Report::Ended(end));
    step(&site);
    site.ended("node-a", "1.t0.g1.2", Outcome::Succeeded);
    step(&site);
    let mut end = site.end("1.t1.g1.1", Outcome::WorkerLost { signal: 9 });
    end.tasks = TaskRange { first: 1, count: 2 };
    end.verdict = Verdict::Returned;
    site.report("node-a", Report::Ended(end));
    step(&site);
    let generation = site.generation("node-b");
    for _ in 0..2 {
        site.pass(Span::from_secs(2));
        site.try_report("node-b", generation, Vec::new()).unwrap();
        step(&site);
    }
    let effects = site.heart.cancel(site.now, &"default.1".parse().unwrap());
    site.follow(effects.unwrap());
    step(&site);
    let first = "2.t0.g1.1";
    site.started("node-b", first);
    let attempt = crate::id(first);
    let manifest = Vec::new();
    site.report("node-b", Report::Finished { attempt, manifest });
    step(&site);
    site.hello(hello("node-a", 1));
    step(&site);
    let mut end = site.end(first, Outcome::Succeeded);
    let result = serde_json::value::RawValue::from_string("1".to_owned()).unwrap();
    end.results = [(0, result)].into();
    site.report("node-b", Report::Ended(end));
    step(&site);
    let rejected = Outcome::ModuleRejected { what: "x".into() };
    site.ended("node-b", "2.t2.g3.1", rejected.clone());
    step(&site);
    site.submit(1, |_| {});
    step(&site);
    site.ended("node-a", "3.t0.g1.1", rejected);
    let last = "default.3".parse().unwrap();
    assert_eq!(site.state(&last), JobState::Failed);
    step(&site);
    site
}

#[test]
fn between_verbs_the_store_is_the_state_and_restoring_changes_nothing() {
    let mut steps = 0;
    story(|site| {
        steps += 1;
        let (heart, effects) = restore(site.now, &store(&site.changes)).unwrap();
        assert_eq!(shown(&heart), shown(&site.heart), "after step {steps}");
        assert_eq!(effects.changes, [], "after step {steps}");
        assert_eq!(heart.id(), site.heart.id());
    });
    assert!(steps > 10);
}

#[test]
fn any_prefix_of_the_records_is_a_sound_state_that_can_go_on() {
    let site = story(|_| {});
    let mut jobs_before = 0;
    for end in 0..=site.changes.len() {
        let mut changes = site.changes[..end].to_vec();
        let (heart, effects) = restore(site.now, &store(&changes)).unwrap();
        let jobs = heart.jobs(&JobsQuery::default()).unwrap().jobs;
        assert!(jobs.len() >= jobs_before, "a job was lost at {end}");
        jobs_before = jobs.len();
        for node in heart.nodes().nodes {
            assert!(node.free.fits_in(&node.capacity));
        }
        // What was finished on the way up is durable like anything else.
        changes.extend(effects.changes);
        let (again, effects) = restore(site.now, &store(&changes)).unwrap();
        assert_eq!(shown(&again), shown(&heart), "at {end}");
        assert_eq!(effects.changes, [], "at {end}");
    }
}

#[test]
fn a_decree_that_was_written_is_carried_out() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    let job = site.submit(2, |_| {});
    site.started("node-a", "1.t0.g1.1");
    let before = site.changes.len();
    let effects = site.heart.cancel(site.now, &job).unwrap();
    // The power failed after the first record, which is the job's.
    site.changes.extend(effects.changes.into_iter().take(1));
    assert_eq!(site.changes.len(), before + 1);
    let (heart, effects) = restore(site.now, &store(&site.changes)).unwrap();
    assert_eq!(heart.job(&job).unwrap().state, JobState::Cancelled);
    assert_eq!(heart.nodes().nodes[0].grants, 0);
    site.heart = heart;
    site.follow(effects);
    assert_eq!(site.attempts(&job), ["t0.g1.1 cancelled"]);
}

#[test]
fn restored_nodes_keep_their_generation_and_are_given_a_whole_lease() {
    let mut site = Site::with_nodes(&[("node-a", 1)]);
    site.submit(1, |_| {});
    let later = site.now + Span::from_secs(3_600);
    let (heart, _) = restore(later, &store(&site.changes)).unwrap();
    let node = crate::node_id("node-a");
    assert!(heart.full(&node, site.generation("node-a")).is_some());
    let Config { lease, grace, .. } = heart.config();
    site.heart = heart;
    site.now = later;
    site.pass(lease + grace);
    assert!(site.heart.full(&node, site.generation("node-a")).is_some());
    site.pass(SILENCE);
    assert!(site.heart.full(&node, site.generation("node-a")).is_none());
}

#[test]
fn an_idempotency_key_and_the_numbers_of_jobs_survive() {
    let mut site = Site::new();
    let key = || {
        Some(IdempotencyKey {
            key: "k".into(),
            body: Digest([1; 32]),
        })
    };
    let (first, effects) = site.heart.submit(site.now, spec(1), key()).unwrap();
    site.follow(effects);
    let (mut heart, _) = restore(site.now, &store(&site.changes)).unwrap();
    let (again, _) = heart.submit(site.now, spec(1), key()).unwrap();
    assert_eq!(again, Submission::Known(first.id().clone()));
    let (second, _) = heart.submit(site.now, spec(1), None).unwrap();
    assert_eq!(second.id().number, 2);
}

#[test]
fn events_are_numbered_upwards_over_a_restart() {
    let site = story(|_| {});
    let newest = site.heart.newest_event();
    let later = site.now + Span::from_secs(1);
    let (heart, _) = restore(later, &store(&site.changes)).unwrap();
    assert!(heart.newest_event() > newest);
}

#[test]
fn an_empty_store_makes_a_new_cluster_once() {
    let (heart, effects) = restore(Time::from_nanos(1), &BTreeMap::new()).unwrap();
    assert_eq!(heart.id(), ClusterId(99));
    assert_eq!(effects.changes.len(), 1);
    let site = Site::new();
    let (heart, _) = restore(site.now, &store(&site.changes)).unwrap();
    assert_eq!(heart.id(), ClusterId(1));
}

#[test]
fn records_that_contradict_each_other_are_refused_by_name() {
    let site = story(|_| {});
    let good = store(&site.changes);
    let without = |key: &str| {
        let mut records = good.clone();
        assert!(records.remove(key).is_some(), "{key}");
        restore(site.now, &records).unwrap_err().to_string()
    };
    assert!(without("meta").contains("none that names its cluster"));
    assert!(without("ns/default").contains("has a number"));
    assert!(without("job/default/0000000001").contains("belongs to no job"));
    let mut strange = good.clone();
    strange.insert("pod/x".into(), Vec::new());
    let error = restore(site.now, &strange).unwrap_err();
    assert!(matches!(error, RestoreError::Key(_)), "{error}");
    let mut torn = good.clone();
    torn.insert("meta".into(), b"{".to_vec());
    let error = restore(site.now, &torn).unwrap_err();
    assert!(matches!(error, RestoreError::Record(_)), "{error}");
}
