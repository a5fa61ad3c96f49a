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
//! Jobs of another namespace give way only while that has the larger share; but those
//! slots that a namespace has beyond its quota, borrowed, give way to whoever is within one,
//! whatever the priorities are. A namespace whose quota is used up makes room among its own.
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
use crate::debts::{Balance, Debts};
use crate::draft::Draft;
use crate::node::Node;
use crate::place::{Placed, To};
use crate::queue::{Place, Shape};

/// Attempts of a task that may be stopped for others; the next runs to its end.
const PREEMPTIONS_MAX: u32 = 3;
/// Nodes looked at for one slot, those with the lowest priorities first: the
/// choice among so many is good enough, and a verb stays short.
const CANDIDATES_MAX: usize = 64;
/// Reservations at one time: more are made as these come true.
const RESERVATIONS_MAX: usize = 256;
/// The priority of what is borrowed, to those who take it back.
const BORROWED: i32 = i32::MIN;
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
    /// What its namespace has of its quota.
    balance: Balance,
    /// Who borrowed what it may take back; nobody when it is beyond a quota itself.
    debts: &'a Debts,
}

/// A grant that could give way.
#[derive(Clone, Debug)]
struct Victim {
    id: GrantId,
    share: Resources,
    /// The least for what is borrowed.
    priority: i32,
    waste: u64,
}

/// What there would be once victims have gone.
#[derive(Clone, Debug)]
struct Room {
    free: Resources,
    balance: Balance,
    debts: Debts,
}

impl Room {
    fn suffices(&self, need: &Resources) -> bool {
        need.fits_in(&self.free) && self.balance.allows(need)
    }

    /// As if `victim` were gone; false when it would be taken from a debtor that has paid.
    fn gain(&mut self, victim: &Victim, own: &Namespace) -> bool {
        let namespace = &victim.id.job.namespace;
        if let Some(debt) = self.debts.get_mut(namespace) {
            if victim.priority == BORROWED && !debt.is_over() {
                return false;
            }
            debt.give_back(&victim.share);
        }
        self.free = self.free + victim.share;
        if namespace == own {
            self.balance.give_back(&victim.share);
        }
        true
    }

    /// As if it were not gone after all.
    fn lose(&mut self, victim: &Victim, own: &Namespace) {
        let namespace = &victim.id.job.namespace;
        if let Some(debt) = self.debts.get_mut(namespace) {
            debt.take(&victim.share);
        }
        self.free = self.free - victim.share;
        if namespace == own {
            self.balance.take(&victim.share);
        }
    }
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
                // A quota is free a little later than the room, when victims are elsewhere.
                let is_free = one.shape.need().fits_in(&node.free());
                let to = To::Reserved(&id);
                if !is_free || self.grant_next(draft, &one.job, &one.shape, to) == Placed::OverQuota
                {
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

    /// Finds room for jobs that wait among slots of lower priority, and among borrowed ones.
    pub(crate) fn preempt(&mut self, draft: &mut Draft) {
        let Some(lowest) = self.ranks.lowest() else {
            return;
        };
        let debts = self.debts();
        let whole = self.shelves.whole(&self.nodes);
        let mut heads: Vec<(u128, Place, Shape)> = Vec::new();
        for (shape, line) in self.queue.lines() {
            let takes_back = |place: &Place| self.takes_back(&debts, &place.job.namespace, shape);
            let is_one = |place: &&Place| place.priority() > lowest || takes_back(place);
            heads.extend(
                line.iter()
                    .take_while(is_one)
                    .take(SEARCHES_MAX)
                    .map(|place| {
                        let share = self.share(&place.job.namespace, &whole);
                        (share, place.clone(), shape.clone())
                    }),
            );
        }
        heads.sort_unstable();
        let mut searches = SEARCHES_MAX;
        for (share, place, shape) in heads {
            let mut wanted = self.slots_wanted(&place.job, &shape);
            wanted = wanted.saturating_sub(self.slots_reserved(&place.job));
            while wanted > 0 {
                if searches == 0 || self.reserving_slots() >= RESERVATIONS_MAX {
                    return;
                }
                searches -= 1;
                wanted -= 1;
                let Some((node, victims)) = self.victims((share, whole), &place, &shape, draft.now)
                else {
                    break;
                };
                self.reserve(draft, (&node, &victims), &place.job, &shape);
            }
        }
    }

    /// Whether the namespace may take back what others borrowed, for one such slot.
    fn takes_back(&self, debts: &Debts, namespace: &Namespace, shape: &Shape) -> bool {
        let others = debts.keys().any(|debtor| debtor != namespace);
        others && self.balance(namespace).allows(&shape.need())
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

    fn reserving_slots(&self) -> usize {
        self.reserving_nodes().map(|node| node.reserved.len()).sum()
    }

    fn slots_reserved(&self, job: &JobId) -> usize {
        let reserved = self.reserving_nodes().flat_map(|node| &node.reserved);
        reserved.filter(|one| one.job == *job).count()
    }

    /// The grants whose loss is least for one slot of that shape, and their node.
    fn victims(
        &self,
        (share, whole): (u128, Resources),
        place: &Place,
        shape: &Shape,
        now: Time,
    ) -> Option<(NodeId, Vec<GrantId>)> {
        let namespace = &place.job.namespace;
        let balance = self.balance(namespace);
        let is_within = balance.allows(&shape.need());
        let own = self.accounts.lowest(namespace);
        if !is_within && own.is_none_or(|own| own >= place.priority()) {
            return None;
        }
        let mut debts = if is_within {
            self.debts()
        } else {
            Debts::new()
        };
        debts.remove(namespace);
        let claim = Claim {
            place,
            shape,
            now,
            whole,
            share,
            balance,
            debts: &debts,
        };
        let holds_debt = |node: &Node| {
            let mut slots = node.slots();
            slots.any(|(id, _)| debts.contains_key(&id.job.namespace))
        };
        // Before they are counted: nodes that cannot be meant must not stand in front of others.
        let suits = |node: &Node| {
            let record = &node.record;
            let fits = shape.need().fits_in(&record.capacity);
            fits && node.takes_work() && shape.allows(&record.labels)
        };
        let indebted = self.nodes.iter().filter(|_| !debts.is_empty());
        let indebted = indebted.filter(|(_, node)| suits(node) && holds_debt(node));
        let below = self.ranks.below(place.priority());
        let below = below.filter_map(|id| self.nodes.get_key_value(id));
        let below = below.filter(|(_, node)| suits(node));
        let nodes = indebted
            .take(CANDIDATES_MAX)
            .chain(below.take(CANDIDATES_MAX));
        let least = nodes.filter_map(|(id, node)| {
            let victims = self.victims_on(node, &claim)?;
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
        let own = &claim.place.job.namespace;
        let leaving = node
            .slots()
            .filter(|(id, _)| node.preempted.contains_key(*id));
        let mut free = leaving.fold(node.free(), |room, (_, share)| room + *share);
        for one in &node.reserved {
            free = free - one.shape.need();
        }
        let mut room = Room {
            free,
            balance: claim.balance,
            debts: claim.debts.clone(),
        };
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
            if room.suffices(&need) {
                break;
            }
            if room.gain(&victim, own) {
                chosen.push(victim);
            }
        }
        if !room.suffices(&need) {
            return None;
        }
        // The cheapest may not be needed any more once a larger one is among them; the
        // dearest are spared first.
        for index in (0..chosen.len()).rev() {
            let mut spared = room.clone();
            spared.lose(&chosen[index], own);
            if spared.suffices(&need) {
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
        let is_borrowed = claim.debts.contains_key(&id.job.namespace);
        // A number alone takes nothing from a namespace that has no more than its part.
        let is_theirs = || self.share(&id.job.namespace, &claim.whole) <= claim.share;
        let may_not = priority >= claim.place.priority() || (!is_own && is_theirs());
        if may_not && !is_borrowed {
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
            priority: if is_borrowed { BORROWED } else { priority },
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
