//! A job of higher priority takes the place of others that run, when it fits nowhere else.
//!
//! ```text
//!            no node has room                  the node says that they are gone
//!   waits ----------------------> reserved ------------------------------------> granted
//!     ^     victims are told to       |   it wants nothing more, the node is lost,
//!     +------ give back ---------------+   or the patience is over
//! ```
//!
//! While room is reserved on a node nothing else is placed there: a smaller job
//! would take what the first victim leaves, and the others would have died for
//! nothing. Nothing of this is durable: a victim's grant is an ordinary one until
//! its node gives it back, and a scheduler that starts again decides anew.
//!
//! Jobs of another namespace give way only while that has the larger share.
//!
//! It ends: only lower priorities give way, so nobody takes their place back; and a
//! task gives way [`PREEMPTIONS_MAX`] times at most, so it is done one day.

use std::collections::{BTreeMap, BTreeSet};

use stint_api::id::{GrantId, JobId, Namespace, NodeId};
use stint_api::link::Order;
use stint_api::outcome::Outcome;
use stint_api::quantity::Resources;
use stint_api::time::Time;

use crate::cluster::Cluster;
use crate::draft::Draft;
use crate::node::Node;
use crate::queue::{Place, Shape};

/// Attempts of a task that may be stopped for others; the next runs to its end.
const PREEMPTIONS_MAX: u32 = 3;
/// Nodes looked at for one slot, those with the lowest priorities first: the
/// choice among so many is good enough, and a verb stays short.
const CANDIDATES_MAX: usize = 64;
/// Reservations at one time: more are made as these come true.
const RESERVATIONS_MAX: usize = 256;
/// Slots looked for in one verb; the next verb goes on.
const SEARCHES_MAX: usize = 32;

/// Room on a node that victims are about to leave.
#[derive(Clone, Debug)]
pub(crate) struct Reservation {
    pub(crate) job: JobId,
    pub(crate) shape: Shape,
    /// A node that has not made room by then is open to others again.
    pub(crate) until: Time,
}

/// How much is lost when these grants give way; the least is best. The order of
/// the fields is the policy.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Loss {
    /// The highest priority among them.
    priority: i32,
    /// CPU time that their attempts have had, in milliseconds of a core.
    waste: u64,
    grants: usize,
    /// Decides between equals.
    node: NodeId,
}

/// Who wants a slot of others.
struct Claim<'a> {
    place: &'a Place,
    shape: &'a Shape,
    now: Time,
    /// What the nodes have together.
    whole: Resources,
    /// The share of its namespace.
    share: u128,
}

/// A grant that could give way.
#[derive(Clone, Debug)]
struct Victim {
    id: GrantId,
    share: Resources,
    priority: i32,
    waste: u64,
}

/// Where slots of each priority are held; derived from the nodes' grants.
#[derive(Debug, Default)]
pub(crate) struct Ranks(BTreeMap<i32, BTreeMap<NodeId, u32>>);

impl Ranks {
    pub(crate) fn add(&mut self, priority: i32, node: &NodeId) {
        let nodes = self.0.entry(priority).or_default();
        *nodes.entry(node.clone()).or_default() += 1;
    }

    pub(crate) fn remove(&mut self, priority: i32, node: &NodeId) {
        let Some(nodes) = self.0.get_mut(&priority) else {
            return;
        };
        if let Some(count) = nodes.get_mut(node) {
            *count -= 1;
            if *count == 0 {
                nodes.remove(node);
            }
        }
        if nodes.is_empty() {
            self.0.remove(&priority);
        }
    }

    fn lowest(&self) -> Option<i32> {
        self.0.keys().next().copied()
    }

    /// The nodes with a slot of less than that priority, the lowest first.
    fn below(&self, priority: i32) -> impl Iterator<Item = &NodeId> {
        let mut seen = BTreeSet::new();
        let all = self.0.range(..priority);
        let all = all.flat_map(|(_, nodes)| nodes.keys());
        all.filter(move |node| seen.insert(*node))
    }
}

impl Cluster {
    /// Gives reserved room to whom it is for, once it is there.
    pub(crate) fn seat(&mut self, draft: &mut Draft) {
        for id in self.reserving.clone() {
            let reserved = match self.nodes.get_mut(&id) {
                Some(node) => std::mem::take(&mut node.reserved),
                None => Vec::new(),
            };
            let mut kept = Vec::new();
            for one in reserved {
                let wants = self.slots_wanted(&one.job, &one.shape) > 0;
                let node = self.nodes.get(&id);
                let Some(node) =
                    node.filter(|node| wants && draft.now < one.until && node.takes_work())
                else {
                    continue;
                };
                if one.shape.need().fits_in(&node.free()) {
                    self.grant_next(draft, &one.job, &one.shape, Some(&id));
                } else {
                    kept.push(one);
                }
            }
            if kept.is_empty() {
                self.reserving.remove(&id);
            }
            if let Some(node) = self.nodes.get_mut(&id) {
                node.reserved = kept;
                self.shelves.changed(&id, node);
            }
        }
    }

    /// Finds room for jobs that wait among slots of lower priority.
    pub(crate) fn preempt(&mut self, draft: &mut Draft) {
        let Some(lowest) = self.ranks.lowest() else {
            return;
        };
        let lines = self.queue.lines();
        let lines =
            lines.filter(|(_, line)| line.first().is_some_and(|head| head.priority() > lowest));
        let whole = self.shelves.whole(&self.nodes);
        let mut heads: Vec<(u128, Place, Shape)> = Vec::new();
        for (shape, line) in lines {
            let above = line.iter().take_while(|place| place.priority() > lowest);
            heads.extend(above.take(SEARCHES_MAX).map(|place| {
                let share = self.share(&place.job.namespace, &whole);
                (share, place.clone(), shape.clone())
            }));
        }
        heads.sort_unstable();
        let mut searches = SEARCHES_MAX;
        for (share, place, shape) in heads {
            let claim = Claim {
                place: &place,
                shape: &shape,
                now: draft.now,
                whole,
                share,
            };
            let mut wanted = self.slots_wanted(&place.job, &shape);
            wanted = wanted.saturating_sub(self.slots_reserved(&place.job));
            wanted = wanted.min(self.quota_to_reserve(&place.job.namespace, &shape));
            while wanted > 0 {
                if searches == 0 || self.reserving_slots() >= RESERVATIONS_MAX {
                    return;
                }
                searches -= 1;
                wanted -= 1;
                let Some((node, victims)) = self.victims(&claim) else {
                    break;
                };
                self.reserve(draft, (&node, &victims), &place.job, &shape);
            }
        }
    }

    /// How many slots of that shape the job could use now, beside those that it has.
    fn slots_wanted(&self, id: &JobId, shape: &Shape) -> usize {
        let job = self.jobs.get(id).filter(|job| job.queued.contains(shape));
        let job = job.filter(|job| job.may_start() && job.next_run(shape, 1).is_some());
        job.map_or(0, |job| {
            let pending = usize::try_from(job.counts().pending).unwrap_or(usize::MAX);
            pending.min(job.slots_max().saturating_sub(job.slots()))
        })
    }

    fn reserving_nodes(&self) -> impl Iterator<Item = &Node> {
        let ids = self.reserving.iter();
        ids.filter_map(|id| self.nodes.get(id))
    }

    fn reserving_slots(&self) -> usize {
        self.reserving_nodes().map(|node| node.reserved.len()).sum()
    }

    fn slots_reserved(&self, job: &JobId) -> usize {
        let reserved = self.reserving_nodes().flat_map(|node| &node.reserved);
        reserved.filter(|one| one.job == *job).count()
    }

    /// How many slots of that shape the quota leaves, beside those that are reserved.
    fn quota_to_reserve(&self, namespace: &Namespace, shape: &Shape) -> usize {
        let reserved = self.reserving_nodes().flat_map(|node| &node.reserved);
        let reserved = reserved.filter(|one| one.job.namespace == *namespace);
        let left = self.quota_left(namespace, &shape.need());
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        left.saturating_sub(reserved.count())
    }

    /// The grants whose loss is least for one slot of that shape, and their node.
    fn victims(&self, claim: &Claim<'_>) -> Option<(NodeId, Vec<GrantId>)> {
        let shape = claim.shape;
        let nodes = self.ranks.below(claim.place.priority());
        let nodes = nodes.filter_map(|id| Some((id, self.nodes.get(id)?)));
        let nodes = nodes.filter(|(_, node)| {
            let record = &node.record;
            let fits = shape.need().fits_in(&record.capacity);
            fits && node.takes_work() && shape.allows(&record.labels)
        });
        let least = nodes.take(CANDIDATES_MAX).filter_map(|(id, node)| {
            let victims = self.victims_on(node, claim)?;
            let loss = Loss {
                priority: victims
                    .iter()
                    .map(|one| one.priority)
                    .max()
                    .unwrap_or(i32::MIN),
                waste: victims.iter().map(|one| one.waste).sum(),
                grants: victims.len(),
                node: id.clone(),
            };
            Some((loss, victims))
        });
        let (loss, victims) = least.min_by(|(one, _), (other, _)| one.cmp(other))?;
        let victims = victims.into_iter().map(|one| one.id).collect();
        Some((loss.node, victims))
    }

    /// The grants of a node that would make the room; none when they do not suffice.
    fn victims_on(&self, node: &Node, claim: &Claim<'_>) -> Option<Vec<Victim>> {
        let need = claim.shape.need();
        let leaving = node
            .slots()
            .filter(|(id, _)| node.preempted.contains_key(*id));
        let mut room = leaving.fold(node.free(), |room, (_, share)| room + *share);
        for one in &node.reserved {
            room = room - one.shape.need();
        }
        let held = node
            .slots()
            .filter(|(id, _)| !node.preempted.contains_key(*id));
        let mut held: Vec<Victim> = held
            .filter_map(|(id, share)| self.victim(claim, id, *share))
            .collect();
        held.sort_by(|one, other| {
            let key = |victim: &Victim| (victim.priority, victim.waste);
            key(one).cmp(&key(other))
        });
        let mut chosen: Vec<Victim> = Vec::new();
        for victim in held {
            if need.fits_in(&room) {
                break;
            }
            room = room + victim.share;
            chosen.push(victim);
        }
        if !need.fits_in(&room) {
            return None;
        }
        // The cheapest may not be needed any more once a larger one is among them; the
        // dearest are spared first.
        for index in (0..chosen.len()).rev() {
            let spared = room - chosen[index].share;
            if need.fits_in(&spared) {
                room = spared;
                chosen.remove(index);
            }
        }
        Some(chosen)
    }

    /// What is lost with a grant; nothing when it may not give way.
    fn victim(&self, claim: &Claim<'_>, id: &GrantId, share: Resources) -> Option<Victim> {
        let job = self.jobs.get(&id.job)?;
        let (index, grant) = job.grant(id.grant)?;
        let chunk = job.chunk(index)?;
        let priority = job.record.spec.priority;
        let is_own = id.job.namespace == claim.place.job.namespace;
        // A number alone takes nothing from a namespace that has no more than its part.
        let is_theirs = || self.share(&id.job.namespace, &claim.whole) <= claim.share;
        if priority >= claim.place.priority() || (!is_own && is_theirs()) {
            return None;
        }
        let gave_way = grant
            .tasks
            .first()
            .map(|task| chunk.trouble(*task).preempted);
        // What publishes is done but for its files, and is not stopped any more.
        if !grant.publishing.is_empty() || gave_way.unwrap_or_default() >= PREEMPTIONS_MAX {
            return None;
        }
        let ran = grant
            .running
            .map(|running| claim.now.since(running.since).as_nanos());
        let millis = ran.unwrap_or_default() / 1_000_000;
        Some(Victim {
            id: id.clone(),
            share,
            priority,
            waste: millis.saturating_mul(u64::from(share.cpu.0)) / 1_000,
        })
    }

    /// Tells the victims to give way, and keeps their room.
    fn reserve(
        &mut self,
        draft: &mut Draft,
        (id, victims): (&NodeId, &[GrantId]),
        job: &JobId,
        shape: &Shape,
    ) {
        let until = draft.now + self.config.lease;
        let Some(node) = self.nodes.get_mut(id) else {
            return;
        };
        for victim in victims {
            node.preempted.insert(victim.clone(), job.clone());
            let kill = Some(Outcome::Preempted { by: job.clone() });
            let victim = victim.clone();
            draft.order(id, Order::GiveBack { id: victim, kill });
        }
        node.reserved.push(Reservation {
            job: job.clone(),
            shape: shape.clone(),
            until,
        });
        self.reserving.insert(id.clone());
        self.alarms.insert((until, id.clone()));
        self.shelves.changed(id, node);
    }
}
