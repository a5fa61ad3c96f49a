//! Every decision of the heart is held against a naive one: a scheduler that keeps
//! nothing, and looks at all nodes for each slot.

use std::collections::{BTreeMap, BTreeSet};

use stint_api::id::{Digest, JobId, NodeId};
use stint_api::job::JobSpec;
use stint_api::link::Report;
use stint_api::outcome::Outcome;
use stint_api::quantity::{Bytes, Millicores, Resources};
use stint_api::view::EventKind;

use crate::{MODULE, Site, hello};

/// Beyond what the heart looks at one by one.
const NODES: u64 = 90;
/// Jobs of each seed.
const JOBS: usize = 600;
const SEEDS: u64 = 6;
const OTHER: Digest = Digest([8; 32]);

/// A node, as the naive scheduler knows it.
struct Plain {
    all: Resources,
    free: Resources,
    zone: String,
    compiled: BTreeSet<Digest>,
}

impl Plain {
    /// Thousandths that would be taken of the resource that is scarcest then.
    fn load(&self, need: &Resources) -> u64 {
        let left = self.free - *need;
        let part = |left: u64, all: u64| 1000 - left * 1000 / all;
        part(left.cpu.0.into(), self.all.cpu.0.into())
            .max(part(left.memory.0, self.all.memory.0))
            .max(part(left.scratch.0, self.all.scratch.0))
    }
}

/// Draws below `end`; the same each time.
fn draw(state: &mut u64, end: u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % end
}

/// Where a job of one task goes.
fn naive(nodes: &BTreeMap<NodeId, Plain>, spec: &JobSpec) -> Option<NodeId> {
    let need = spec.resources();
    let allows = |zone: &str| {
        let labels = [("zone".to_owned(), zone.to_owned())].into();
        spec.constraints.iter().all(|one| one.allows(&labels))
    };
    let liked = |zone: &str| {
        let labels = [("zone".to_owned(), zone.to_owned())].into();
        spec.prefer.iter().filter(|one| one.allows(&labels)).count()
    };
    let fit = nodes
        .iter()
        .filter(|(_, node)| need.fits_in(&node.free) && allows(&node.zone));
    let score = |(id, node): &(&NodeId, &Plain)| {
        let must_compile = !node.compiled.contains(&spec.module);
        let disliked = spec.prefer.len() - liked(&node.zone);
        (disliked, must_compile, node.load(&need), NodeId::clone(id))
    };
    fit.min_by_key(score).map(|(id, _)| id.clone())
}

fn nodes(site: &mut Site, state: &mut u64) -> BTreeMap<NodeId, Plain> {
    let mut nodes = BTreeMap::new();
    for index in 0..NODES {
        let mut hello = hello(&format!("node-{index}"), 1 + draw(state, 8));
        hello.capacity.memory = Bytes::mebi(100 + 100 * draw(state, 9));
        let zone = ["a", "b", "c"][usize::try_from(draw(state, 3)).unwrap()].to_owned();
        hello.labels.insert("zone".into(), zone.clone());
        let plain = Plain {
            all: hello.capacity,
            free: hello.capacity,
            zone,
            compiled: BTreeSet::new(),
        };
        nodes.insert(hello.node.clone(), plain);
        site.hello(hello);
    }
    nodes
}

fn drawn(spec: &mut JobSpec, state: &mut u64) {
    spec.module = [MODULE, OTHER][usize::try_from(draw(state, 2)).unwrap()];
    spec.cpu = Millicores(u32::try_from(100 + 400 * draw(state, 6)).unwrap());
    spec.memory = Bytes::mebi(20 + 60 * draw(state, 6));
    spec.scratch = Bytes::mebi(1);
    let text =
        |what: u64| ["zone=a", "zone=b|c", "zone!=b", "zone"][usize::try_from(what).unwrap()];
    if draw(state, 3) == 0 {
        spec.constraints = vec![text(draw(state, 4)).parse().unwrap()];
    }
    if draw(state, 4) == 0 {
        spec.prefer = vec![text(draw(state, 4)).parse().unwrap()];
    }
}

#[test]
fn every_slot_is_where_a_full_scan_would_put_it_and_no_capacity_is_stranded() {
    for seed in 0..SEEDS {
        let mut state = seed;
        let mut site = Site::new();
        site.push(OTHER, Bytes(0));
        let mut plain = nodes(&mut site, &mut state);
        let mut running: Vec<(JobId, NodeId, Resources)> = Vec::new();
        let mut placed = 0;
        for round in 0..JOBS {
            let mut given = JobSpec::new(MODULE);
            drawn(&mut given, &mut state);
            let expected = naive(&plain, &given);
            let events = site.events.len();
            let Ok(job) = site.try_submit(1, |spec| *spec = given.clone()) else {
                assert_eq!(expected, None);
                continue;
            };
            let granted = site.events[events..]
                .iter()
                .find_map(|event| match &event.what {
                    EventKind::Granted { node, .. } => Some(node.clone()),
                    _ => None,
                });
            assert_eq!(granted, expected, "seed {seed}, job {round}: {given:?}");
            match granted {
                Some(node) => {
                    let known = plain.get_mut(&node).unwrap();
                    known.free = known.free - given.resources();
                    running.push((job, node, given.resources()));
                    placed += 1;
                }
                // What waits would be placed later, unseen by the naive one.
                None => {
                    let effects = site.heart.cancel(site.now, &job).unwrap();
                    site.follow(effects);
                }
            }
            if draw(&mut state, 3) == 0 && !running.is_empty() {
                let index = usize::try_from(draw(&mut state, running.len() as u64)).unwrap();
                let (job, node, need) = running.swap_remove(index);
                let attempt = format!("{}.t0.g1.1", job.number);
                site.ended(node.as_str(), &attempt, Outcome::Succeeded);
                let known = plain.get_mut(&node).unwrap();
                known.free = known.free + need;
            }
            if draw(&mut state, 10) == 0 {
                let name = format!("node-{}", draw(&mut state, NODES));
                let module = [MODULE, OTHER][usize::try_from(draw(&mut state, 2)).unwrap()];
                site.report(&name, Report::Compiled { module });
                plain
                    .get_mut(&crate::node_id(&name))
                    .unwrap()
                    .compiled
                    .insert(module);
            }
        }
        assert!(placed > JOBS / 2, "{placed} were placed");
        for node in site.heart.nodes().nodes {
            assert_eq!(node.free, plain[&node.id].free, "{}", node.id);
        }
    }
}

#[test]
fn a_job_that_is_spread_has_as_many_slots_in_each_zone() {
    let mut site = Site::new();
    for (name, zone, slots) in [
        ("n1", "a", 8),
        ("n2", "a", 8),
        ("n3", "b", 8),
        ("n4", "", 8),
    ] {
        let mut hello = hello(name, slots);
        if !zone.is_empty() {
            hello.labels.insert("zone".into(), zone.into());
        }
        site.hello(hello);
    }
    let slots = |site: &Site, names: &[&str]| -> u32 {
        let nodes = site.heart.nodes().nodes.into_iter();
        let named = nodes.filter(|node| names.contains(&node.id.as_str()));
        named.map(|node| node.grants).sum()
    };
    site.submit(8, |spec| spec.spread = Some("zone".into()));
    assert_eq!((slots(&site, &["n1", "n2"]), slots(&site, &["n3"])), (4, 4));
    assert_eq!(slots(&site, &["n4"]), 0);
    // A full zone is no reason to wait, nor is a node without the label.
    site.submit(24, |spec| spec.spread = Some("zone".into()));
    assert_eq!(slots(&site, &["n1", "n2", "n3", "n4"]), 32);
    assert!(
        site.try_submit(1, |spec| spec.spread = Some("a=b".into()))
            .is_err()
    );
}
