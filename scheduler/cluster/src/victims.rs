//! The grants whose loss is least where a job is to have a slot and none is free.
//!
//! Jobs of another namespace give way only while that has the larger share; but those
//! slots that a namespace has beyond its quota, borrowed, give way to whoever is within one,
//! whatever the priorities are. A namespace whose quota is used up makes room among its own.

use std::collections::BTreeMap;

use stint_api::id::{GrantId, Namespace, NodeId};
use stint_api::quantity::Resources;
use stint_api::time::Time;

use crate::cluster::Cluster;
use crate::debts::{Balance, Debts};
use crate::node::Node;
use crate::preempt::Round;
use crate::queue::{Place, Shape};

/// Attempts of a task that may be stopped for others; the next runs to its end.
const PREEMPTIONS_MAX: u32 = 3;
/// Nodes looked at for one slot, those with the lowest priorities first: the
/// choice among so many is good enough, and a verb stays short.
const CANDIDATES_MAX: usize = 64;
/// The priority of what is borrowed, to those who take it back.
const BORROWED: i32 = i32::MIN;

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
    debts: Option<&'a Debts>,
}

impl Claim<'_> {
    fn own(&self) -> &Namespace {
        &self.place.job.namespace
    }

    /// What that namespace borrowed, and this one may take back.
    fn debt_of(&self, namespace: &Namespace) -> Option<&Balance> {
        let debts = self.debts.filter(|_| namespace != self.own());
        debts?.get(namespace)
    }

    /// The namespaces whose slots it may take back.
    fn debtors(&self) -> impl Iterator<Item = &Namespace> {
        let all = self.debts.into_iter().flat_map(Debts::keys);
        all.filter(|debtor| *debtor != self.own())
    }

    /// Before nodes are counted: those that cannot be meant must not stand in front of others.
    fn suits(&self, node: &Node) -> bool {
        let record = &node.record;
        let fits = self.shape.need().fits_in(&record.capacity);
        fits && node.takes_work() && self.shape.allows(&record.labels)
    }
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
#[derive(Clone)]
struct Room<'a> {
    claim: &'a Claim<'a>,
    free: Resources,
    balance: Balance,
    /// What those owe still who were looked at.
    debts: BTreeMap<&'a Namespace, Balance>,
}

impl<'a> Room<'a> {
    fn suffices(&self, need: &Resources) -> bool {
        need.fits_in(&self.free) && self.balance.allows(need)
    }

    /// As if `victim` were gone; false when it would be taken from a debtor that has paid.
    fn gain(&mut self, victim: &'a Victim) -> bool {
        let namespace = &victim.id.job.namespace;
        if let Some(debt) = self.claim.debt_of(namespace) {
            let debt = self.debts.entry(namespace).or_insert(*debt);
            if !debt.is_over() {
                return false;
            }
            debt.give_back(&victim.share);
        }
        self.free = self.free + victim.share;
        if namespace == self.claim.own() {
            self.balance.give_back(&victim.share);
        }
        true
    }

    /// As if it were not gone after all.
    fn lose(&mut self, victim: &Victim) {
        let namespace = &victim.id.job.namespace;
        if let Some(debt) = self.debts.get_mut(namespace) {
            debt.take(&victim.share);
        }
        self.free = self.free - victim.share;
        if namespace == self.claim.own() {
            self.balance.take(&victim.share);
        }
    }
}

impl Cluster {
    /// The grants whose loss is least for one slot of that shape, and their node.
    pub(crate) fn victims(
        &self,
        round: &Round,
        (share, place, shape): (u128, &Place, &Shape),
        now: Time,
    ) -> Option<(NodeId, Vec<GrantId>)> {
        let namespace = &place.job.namespace;
        let balance = self.balance(namespace);
        let is_within = balance.allows(&shape.need());
        let own = self.accounts.lowest(namespace);
        if !is_within && own.is_none_or(|own| own >= place.priority()) {
            return None;
        }
        let claim = Claim {
            place,
            shape,
            now,
            whole: round.whole,
            share,
            balance,
            debts: Some(&round.debts).filter(|_| is_within),
        };
        let nodes = self.candidates(&claim).into_iter();
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

    /// The nodes to look at: with borrowed slots by name, then those with the lowest priorities.
    fn candidates<'a>(&'a self, claim: &Claim<'_>) -> Vec<(&'a NodeId, &'a Node)> {
        let known = |id| self.nodes.get_key_value(id);
        let suits = |(_, node): &(&NodeId, &Node)| claim.suits(node);
        let mut indebted: BTreeMap<&NodeId, &Node> = BTreeMap::new();
        for debtor in claim.debtors() {
            let nodes = self.ranks.of(debtor).filter_map(known).filter(suits);
            indebted.extend(nodes.take(CANDIDATES_MAX));
        }
        let indebted = indebted.into_iter().take(CANDIDATES_MAX);
        let below = self.ranks.below(claim.place.priority());
        let below = below.filter_map(known).filter(suits);
        indebted.chain(below.take(CANDIDATES_MAX)).collect()
    }

    /// The grants of a node that would make the room; none when they do not suffice.
    fn victims_on(&self, node: &Node, claim: &Claim<'_>) -> Option<Vec<Victim>> {
        let need = claim.shape.need();
        let leaving = node
            .slots()
            .filter(|(id, _)| node.preempted.contains_key(*id));
        let mut free = leaving.fold(node.free(), |room, (_, share)| room + *share);
        for one in &node.reserved {
            free = free - one.shape.need();
        }
        let mut room = Room {
            claim,
            free,
            balance: claim.balance,
            debts: BTreeMap::new(),
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
        let mut chosen: Vec<&Victim> = Vec::new();
        for victim in &held {
            if room.suffices(&need) {
                break;
            }
            if room.gain(victim) {
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
            spared.lose(chosen[index]);
            if spared.suffices(&need) {
                room = spared;
                chosen.remove(index);
            }
        }
        Some(chosen.into_iter().cloned().collect())
    }

    /// What is lost with a grant; nothing when it may not give way.
    fn victim(&self, claim: &Claim<'_>, id: &GrantId, share: Resources) -> Option<Victim> {
        let job = self.jobs.get(&id.job)?;
        let (index, grant) = job.grant(id.grant)?;
        let chunk = job.chunk(index)?;
        let priority = job.record.spec.priority;
        let is_own = id.job.namespace == *claim.own();
        let is_borrowed = claim.debt_of(&id.job.namespace).is_some();
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
}
