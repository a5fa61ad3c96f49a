//! Which node suits a slot best, without looking at every node: for each shape
//! in use the nodes that have room for one stand in the order of their load. For jobs
//! that like some labels more than others they stand so for each set of labels, too.
//!
//! A node that changes is noted in a log, and each shelf reads on from where it
//! was when it is next asked; so a change costs nothing for the shapes that
//! nobody asks for. The answer is always that of `placement::scan`.

use std::collections::{BTreeMap, BTreeSet};

use stint_api::id::{Digest, NodeId};
use stint_api::quantity::{Bytes, Millicores, Resources};

use crate::classes::{Class, Classes};
use crate::node::Node;
use crate::placement::{Wish, load, scan, slots, whole};
use crate::queue::Shape;

type Nodes = BTreeMap<NodeId, Node>;

/// The least that a valid job asks of a slot: where this is not free, nothing fits.
const LEAST: Resources = Resources {
    cpu: Millicores(10),
    memory: Bytes(64 << 10),
    scratch: Bytes(4 << 10),
};
/// So few nodes with room are looked at one by one: a full cluster needs no shelves.
const FEW: usize = 32;
/// Shapes with a shelf; each is an entry a node. Others take its place by use.
const SHELVES_MAX: usize = 64;
/// Changes that are kept for shelves that lag; beyond, a shelf is filled anew.
const LOG_MAX: usize = 16_384;
/// A cluster this small is held against a full scan wherever debug assertions are on.
const CHECKED_NODES: usize = 64;

/// See the file.
#[derive(Debug, Default)]
pub(crate) struct Shelves {
    /// Nodes that take work and have room for the least slot.
    open: BTreeSet<NodeId>,
    classes: Classes,
    /// Where modules are compiled.
    compiled: BTreeMap<Digest, BTreeSet<NodeId>>,
    shelves: BTreeMap<Shape, Shelf>,
    log: Vec<NodeId>,
    /// Counts the logs: another one was begun since.
    log_number: u64,
    /// Counts changes of what nodes are, beside what is free.
    altered: u64,
    /// What the nodes have together, as of the alteration of that number.
    whole: Option<(u64, Resources)>,
    /// Counts uses.
    uses: u64,
}

/// The nodes with room for one shape.
#[derive(Debug, Default)]
struct Shelf {
    ranked: BTreeSet<(u64, NodeId)>,
    /// The same for each set of labels, once somebody asked for that.
    by_class: Option<BTreeMap<Class, BTreeSet<(u64, NodeId)>>>,
    loads: BTreeMap<NodeId, (u64, Class)>,
    /// How far which log was read; none before it is first filled.
    read: Option<(u64, usize)>,
    /// Slots on all nodes, as of the alteration of that number.
    slots: Option<(u64, u64)>,
    used: u64,
}

impl Shelves {
    /// What is free on a node changed.
    pub(crate) fn changed(&mut self, id: &NodeId, node: &Node) {
        if node.is_open() && LEAST.fits_in(&node.free()) {
            self.open.insert(id.clone());
        } else {
            self.open.remove(id);
        }
        if self.shelves.is_empty() {
            return;
        }
        if self.log.len() == LOG_MAX {
            self.log.clear();
            self.log_number += 1;
        }
        self.log.push(id.clone());
    }

    /// What a node is changed: its size, its labels, or whether it takes work.
    pub(crate) fn altered(&mut self, id: &NodeId, node: &Node) {
        self.altered += 1;
        if !self.classes.sort(id, &node.record.labels) {
            self.shelves.clear();
        }
        self.changed(id, node);
    }

    /// A node is not known any more.
    pub(crate) fn forget(&mut self, id: &NodeId, node: &Node) {
        self.altered(id, node);
        self.classes.forget(id);
        self.forget_compiled(id);
    }

    /// A node has a module compiled.
    pub(crate) fn compiled(&mut self, id: &NodeId, module: Digest) {
        let nodes = self.compiled.entry(module).or_default();
        nodes.insert(id.clone());
    }

    /// What a node had compiled is gone.
    pub(crate) fn forget_compiled(&mut self, id: &NodeId) {
        self.compiled.retain(|_, nodes| {
            nodes.remove(id);
            !nodes.is_empty()
        });
    }

    /// Whether anything could fit anywhere.
    pub(crate) fn has_room(&self) -> bool {
        !self.open.is_empty()
    }

    /// What the nodes have together that are there.
    pub(crate) fn whole(&mut self, nodes: &Nodes) -> Resources {
        match self.whole {
            Some((known, whole)) if known == self.altered => whole,
            _ => {
                let whole = whole(nodes);
                self.whole = Some((self.altered, whole));
                whole
            }
        }
    }

    /// How many slots of that shape the nodes have when they are empty.
    pub(crate) fn slots(&mut self, nodes: &Nodes, shape: &Shape) -> u64 {
        let altered = self.altered;
        let shelf = self.shelf(shape);
        if let Some((known, count)) = shelf.slots
            && known == altered
        {
            return count;
        }
        let count = slots(nodes, shape);
        shelf.slots = Some((altered, count));
        count
    }

    /// The node that suits best; none when the slot is free nowhere.
    pub(crate) fn pick(&mut self, nodes: &Nodes, wish: Wish<'_>) -> Option<NodeId> {
        let is_few = self.open.len() <= FEW;
        let picked = if is_few || (wish.is_particular() && self.classes.are_too_many()) {
            let open = self.open.iter();
            let open = open.filter_map(|id| nodes.get_key_value(id));
            scan(open, wish).cloned()
        } else if wish.is_particular() {
            self.look_up_by_class(nodes, wish)
        } else {
            self.look_up(nodes, wish)
        };
        debug_assert!(
            nodes.len() > CHECKED_NODES || picked.as_ref() == scan(nodes.iter(), wish),
            "the shelves say {picked:?} of {wish:?}"
        );
        picked
    }

    fn look_up(&mut self, nodes: &Nodes, wish: Wish<'_>) -> Option<NodeId> {
        self.read_log(nodes, wish.shape);
        let shelf = self.shelves.get(wish.shape)?;
        let wanted = |id: &&NodeId| wish.avoid != Some(*id);
        let best = || shelf.ranked.iter().map(|(_, id)| id).find(wanted);
        let compiled = self.compiled.get(wish.module);
        let best = match compiled {
            None => best(),
            Some(compiled) => shelf.best_of(compiled, wanted).or_else(best),
        };
        // Where the cluster failed it last is better than nowhere.
        let avoided = || wish.avoid.filter(|id| shelf.loads.contains_key(id));
        best.or_else(avoided).cloned()
    }

    /// The same, for a job that does not think the same of all labels.
    fn look_up_by_class(&mut self, nodes: &Nodes, wish: Wish<'_>) -> Option<NodeId> {
        self.shelf(wish.shape).sort_by_class();
        self.read_log(nodes, wish.shape);
        let shelf = self.shelves.get(wish.shape)?;
        let by_class = shelf.by_class.as_ref()?;
        let mut regarded: Vec<((u32, usize), Class)> = Vec::new();
        for class in by_class.keys() {
            let labels = self.classes.labels(*class)?;
            regarded.push((wish.regard(labels), *class));
        }
        regarded.sort_unstable();
        let compiled = self.compiled.get(wish.module);
        let wanted = |id: &&NodeId| wish.avoid != Some(*id);
        for alike in regarded.chunk_by(|(one, _), (other, _)| one == other) {
            let is_one = |class: Class| alike.iter().any(|(_, one)| *one == class);
            let there = compiled.into_iter().flatten().filter(&wanted);
            let there = there.filter_map(|id| Some((shelf.loads.get(id)?, id)));
            let there = there.filter(|((_, class), _)| is_one(*class));
            let there = there.map(|((load, _), id)| (*load, id)).min();
            let first = |(_, class): &((u32, usize), Class)| {
                let ranked = by_class.get(class)?.iter();
                let mut ranked = ranked.map(|(load, id)| (*load, id));
                ranked.find(|(_, id)| wanted(id))
            };
            let best = there.or_else(|| alike.iter().filter_map(first).min());
            if let Some((_, id)) = best {
                return Some(id.clone());
            }
        }
        // Where the cluster failed it last is better than nowhere.
        let avoided = wish.avoid.filter(|id| shelf.loads.contains_key(*id));
        avoided.cloned()
    }

    /// The shelf of a shape, in place of the one that was not used for longest.
    fn shelf(&mut self, shape: &Shape) -> &mut Shelf {
        self.uses += 1;
        if !self.shelves.contains_key(shape) && self.shelves.len() >= SHELVES_MAX {
            let oldest = self.shelves.iter().min_by_key(|(_, shelf)| shelf.used);
            let oldest = oldest.map(|(shape, _)| shape.clone());
            oldest.map(|shape| self.shelves.remove(&shape));
        }
        let uses = self.uses;
        let shelf = self.shelves.entry(shape.clone()).or_default();
        shelf.used = uses;
        shelf
    }

    /// Brings the shelf of a shape up to date.
    fn read_log(&mut self, nodes: &Nodes, shape: &Shape) {
        let now = (self.log_number, self.log.len());
        let read = self.shelf(shape).read;
        let Some(shelf) = self.shelves.get_mut(shape) else {
            return;
        };
        match read {
            Some((log, read)) if log == now.0 && now.1 - read <= self.open.len() => {
                for id in &self.log[read..] {
                    let load = nodes.get(id).and_then(|node| load(node, shape));
                    shelf.set(id, load.zip(self.classes.of(id)));
                }
            }
            _ => shelf.fill(nodes, &self.open, (shape, &self.classes)),
        }
        shelf.read = Some(now);
    }
}

impl Shelf {
    fn fill(
        &mut self,
        nodes: &Nodes,
        open: &BTreeSet<NodeId>,
        (shape, classes): (&Shape, &Classes),
    ) {
        self.ranked.clear();
        self.loads.clear();
        self.by_class = self.by_class.take().map(|_| BTreeMap::new());
        for id in open {
            let load = nodes.get(id).and_then(|node| load(node, shape));
            self.set(id, load.zip(classes.of(id)));
        }
    }

    /// Lets nodes stand by their labels, too, from now on.
    fn sort_by_class(&mut self) {
        if self.by_class.is_none() {
            let mut by_class: BTreeMap<Class, BTreeSet<(u64, NodeId)>> = BTreeMap::new();
            for (id, (load, class)) in &self.loads {
                let ranked = by_class.entry(*class).or_default();
                ranked.insert((*load, id.clone()));
            }
            self.by_class = Some(by_class);
        }
    }

    fn set(&mut self, id: &NodeId, place: Option<(u64, Class)>) {
        let before = match place {
            Some(place) => self.loads.insert(id.clone(), place),
            None => self.loads.remove(id),
        };
        if before == place {
            return;
        }
        if let Some((load, class)) = before {
            let entry = (load, id.clone());
            if let Some(ranked) = self.by_class.as_mut().and_then(|all| all.get_mut(&class)) {
                ranked.remove(&entry);
            }
            self.ranked.remove(&entry);
        }
        if let Some((load, class)) = place {
            let entry = (load, id.clone());
            if let Some(by_class) = &mut self.by_class {
                by_class.entry(class).or_default().insert(entry.clone());
            }
            self.ranked.insert(entry);
        }
    }

    /// The first of those nodes that is wanted: along the shelf, or through the
    /// nodes when they are few.
    fn best_of<'a>(
        &'a self,
        nodes: &'a BTreeSet<NodeId>,
        wanted: impl Fn(&&'a NodeId) -> bool,
    ) -> Option<&'a NodeId> {
        let mut ranked = self.ranked.iter().map(|(_, id)| id);
        let near = ranked.by_ref().take(FEW);
        let near = near.filter(|id| nodes.contains(*id)).find(&wanted);
        near.or_else(|| {
            let there = nodes.iter().filter(&wanted);
            let there = there.filter_map(|id| Some((self.loads.get(id)?.0, id)));
            there.min().map(|(_, id)| id)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::Spread;
    use stint_api::id::{Generation, GrantId, GrantNumber, Incarnation};
    use stint_api::link::{Hello, PROTOCOL};
    use stint_api::time::Time;

    const NODES: usize = 200;

    fn resources(cpu: u32, mebi: u64) -> Resources {
        Resources {
            cpu: Millicores(cpu),
            memory: Bytes::mebi(mebi),
            scratch: Bytes::mebi(mebi),
        }
    }

    fn node(index: usize) -> (NodeId, Node) {
        let id: NodeId = format!("node-{index}").parse().unwrap();
        let size = 1 + u32::try_from(index % 7).unwrap();
        let zone = ["a", "b", "c"][index % 3].to_owned();
        let hello = Hello {
            protocol: PROTOCOL,
            version: String::new(),
            node: id.clone(),
            incarnation: Incarnation(1),
            cluster: None,
            capacity: resources(1_000 * size, 512 * u64::from(size)),
            labels: [("zone".to_owned(), zone)].into(),
            limits: String::new(),
            held: Vec::new(),
            sent_at: Time::default(),
        };
        let record = Node::record_of(&hello, Generation(1), Time::default());
        (id, Node::new(record, Time::default()))
    }

    /// Draws below `end`; the same each time.
    fn draw(state: &mut u64, end: usize) -> usize {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (*state >> 33) as usize % end
    }

    fn shapes() -> [Shape; 5] {
        let zone = |text: &str| Some([text.parse().unwrap()].as_slice().into());
        [
            Shape::new(resources(500, 100), None),
            Shape::new(resources(1_000, 64), None),
            Shape::new(resources(100, 700), None),
            Shape::new(resources(900, 64), zone("zone=a")),
            Shape::new(resources(6_500, 64), None),
        ]
    }

    #[test]
    fn the_node_is_always_that_of_a_full_scan() {
        for seed in 0..4 {
            hold_against_a_full_scan(seed);
        }
    }

    fn hold_against_a_full_scan(seed: u64) {
        let mut nodes: Nodes = (0..NODES).map(node).collect();
        let ids: Vec<NodeId> = nodes.keys().cloned().collect();
        let mut shelves = Shelves::default();
        for (id, node) in &nodes {
            shelves.altered(id, node);
        }
        let shapes = shapes();
        let modules = [Digest([1; 32]), Digest([2; 32])];
        let mut grants: Vec<(NodeId, GrantId)> = Vec::new();
        let mut state = seed;
        for number in 0..5_000 {
            let shape = &shapes[draw(&mut state, shapes.len())];
            let avoid = (draw(&mut state, 3) == 0).then(|| &ids[draw(&mut state, NODES)]);
            let spread =
                Spread::sample("zone", [("a", 2), ("b", [0, 1, 2, 3][draw(&mut state, 4)])]);
            let likes = ["zone=c".parse().unwrap()];
            let particular = draw(&mut state, 4);
            let wish = Wish {
                spread: Some(&spread).filter(|_| particular == 0),
                prefer: if particular == 1 { &likes } else { &[] },
                shape,
                module: &modules[draw(&mut state, 2)],
                avoid,
            };
            let picked = shelves.pick(&nodes, wish);
            assert_eq!(picked.as_ref(), scan(nodes.iter(), wish), "{number}");
            if let Some(id) = picked {
                let job = "default.1".parse().unwrap();
                let grant = GrantNumber(number);
                let grant = GrantId { job, grant };
                let node = nodes.get_mut(&id).unwrap();
                node.take(grant.clone(), shape.need());
                shelves.changed(&id, node);
                grants.push((id, grant));
            }
            while grants.len() > 600 || (!grants.is_empty() && draw(&mut state, 4) == 0) {
                let (id, grant) = grants.swap_remove(draw(&mut state, grants.len()));
                let node = nodes.get_mut(&id).unwrap();
                node.give_back(&grant);
                shelves.changed(&id, node);
            }
            let id = &ids[draw(&mut state, NODES)];
            let node = nodes.get_mut(id).unwrap();
            match draw(&mut state, 40) {
                0 => {
                    let module = modules[draw(&mut state, 2)];
                    if node.learn_compiled(module) {
                        shelves.compiled(id, module);
                    }
                }
                1 => {
                    node.forget_compiled();
                    shelves.forget_compiled(id);
                }
                2 => {
                    let until = Some(Time::from_nanos(1));
                    node.leaving_until = until.filter(|_| node.takes_work());
                    shelves.altered(id, node);
                }
                _ => {}
            }
            assert_eq!(shelves.slots(&nodes, shape), slots(&nodes, shape));
        }
    }
}
