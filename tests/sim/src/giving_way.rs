//! Who may be told to give way for whom. What a namespace has within its quota is taken by
//! higher priority only, and of another namespace only while that has the larger share; what
//! it has beyond, if it may borrow, by whoever is within a quota and stays so.

use std::collections::{BTreeMap, BTreeSet};

use stint_api::id::{Generation, GrantId, JobId, Namespace, NodeId};
use stint_api::job::JobSpec;
use stint_api::link::{Order, Orders};
use stint_api::namespace::{NamespaceView, Quota};
use stint_api::outcome::Outcome;
use stint_cluster::Cluster;

/// Who was told to give way, and for whom.
pub(crate) type Told = BTreeMap<GrantId, JobId>;

/// What is had of that which quotas of this world limit.
#[derive(Clone, Copy, Default)]
struct Had {
    millicores: i64,
    slots: i64,
}

impl Had {
    fn add(&mut self, spec: &JobSpec, slots: i64) {
        self.millicores += slots * i64::from(spec.cpu.0);
        self.slots += slots;
    }

    fn is_over(&self, quota: &Quota) -> bool {
        quota
            .cpu
            .is_some_and(|most| self.millicores > i64::from(most.0))
            || quota.slots.is_some_and(|most| self.slots > i64::from(most))
    }
}

/// Those whom some orders tell to give way.
pub(crate) fn told(orders: &[(NodeId, Orders)]) -> Told {
    let orders = orders.iter().flat_map(|(_, orders)| &orders.orders);
    orders.filter_map(gives_way).collect()
}

fn gives_way(order: &Order) -> Option<(GrantId, JobId)> {
    match order {
        Order::GiveBack {
            id,
            kill: Some(Outcome::Preempted { by }),
        } => Some((id.clone(), by.clone())),
        _ => None,
    }
}

/// A grant of another namespace than that of `by`, to be told what it should not be.
pub(crate) fn some_lender(
    cluster: &Cluster,
    generations: &BTreeMap<NodeId, Generation>,
    by: &JobId,
) -> Option<(NodeId, Orders)> {
    generations.iter().find_map(|(node, generation)| {
        let orders = cluster.full(node, *generation)?.orders;
        let Some(Order::Full { grants }) = orders.first() else {
            return None;
        };
        let mut grants = grants.iter().map(|grant| &grant.id);
        let id = grants.find(|id| id.job.namespace != by.namespace)?.clone();
        let kill = Some(Outcome::Preempted { by: by.clone() });
        let orders = Orders {
            generation: *generation,
            orders: vec![Order::GiveBack { id, kill }],
        };
        Some((node.clone(), orders))
    })
}

/// What a verb did to those whom it told to give way.
pub(crate) struct Verb<'a> {
    /// As it is after the verb.
    cluster: &'a Cluster,
    told: &'a Told,
    /// All that were told, in verbs before and in this one, and have not gone.
    leaving: BTreeSet<GrantId>,
}

impl<'a> Verb<'a> {
    pub(crate) fn new(
        cluster: &'a Cluster,
        generations: &BTreeMap<NodeId, Generation>,
        told: &'a Told,
    ) -> Self {
        let full = generations.iter();
        let full = full.filter_map(|(node, generation)| cluster.full(node, *generation));
        let orders = full.flat_map(|orders| orders.orders);
        let leaving = orders.filter_map(|order| gives_way(&order));
        Self {
            cluster,
            told,
            leaving: leaving.map(|(id, _)| id).collect(),
        }
    }

    /// What is wrong with it.
    pub(crate) fn objection(&self) -> Option<String> {
        let claimants: BTreeSet<&Namespace> = self.told.values().map(|by| &by.namespace).collect();
        let greedy = claimants.into_iter().find_map(|name| self.greed_of(name));
        greedy.or_else(|| {
            let mut taken_back: BTreeMap<&Namespace, Vec<&GrantId>> = BTreeMap::new();
            for (id, by) in self.told {
                if !self.gives_way_by_rank(id, by)? {
                    let namespace = &id.job.namespace;
                    if *namespace == by.namespace {
                        return Some(format!("{id} gives way to its equal {by}"));
                    }
                    taken_back.entry(namespace).or_default().push(id);
                }
            }
            let mut taken_back = taken_back.iter();
            taken_back.find_map(|(name, grants)| self.wrong_debt(name, grants))
        })
    }

    fn view(&self, namespace: &Namespace) -> NamespaceView {
        self.cluster.namespace(namespace)
    }

    fn spec(&self, job: &JobId) -> Option<JobSpec> {
        self.cluster.job(job).map(|view| view.spec)
    }

    /// Whether priority alone says so.
    fn gives_way_by_rank(&self, id: &GrantId, by: &JobId) -> Option<bool> {
        let is_higher = self.spec(by)?.priority > self.spec(&id.job)?.priority;
        let (own, theirs) = (&by.namespace, &id.job.namespace);
        let has_more = || self.view(theirs).share > self.view(own).share;
        Some(is_higher && (own == theirs || has_more()))
    }

    /// What a namespace has and is promised, without those that leave.
    fn had<'b>(&self, namespace: &Namespace, leaving: impl Iterator<Item = &'b GrantId>) -> Had {
        let promised = self.cluster.promised(namespace);
        let mut had = Had {
            millicores: i64::from(promised.cpu.0),
            slots: i64::from(promised.slots),
        };
        let leaving = leaving.filter(|id| id.job.namespace == *namespace);
        for spec in leaving.filter_map(|id| self.spec(&id.job)) {
            had.add(&spec, -1);
        }
        had
    }

    /// Who makes others give way stays within its quota.
    fn greed_of(&self, namespace: &Namespace) -> Option<String> {
        let quota = self.view(namespace).spec.quota;
        let had = self.had(namespace, self.leaving.iter());
        had.is_over(&quota)
            .then(|| format!("{namespace} makes others give way beyond its quota {quota:?}"))
    }

    /// Whoever pays is in debt until the last that is taken back.
    fn wrong_debt(&self, namespace: &Namespace, taken_back: &[&GrantId]) -> Option<String> {
        let spec = self.view(namespace).spec;
        if !spec.borrow {
            let what = format!("{taken_back:?} give way, and {namespace} borrows nothing");
            return Some(what);
        }
        // Others of this verb gave way by their priority, perhaps after these.
        let before = self.leaving.iter();
        let before = before.filter(|id| !self.told.contains_key(*id));
        let had = self.had(namespace, before.chain(taken_back.iter().copied()));
        let is_owed = |last: &JobSpec| {
            let mut before_last = had;
            before_last.add(last, 1);
            before_last.is_over(&spec.quota)
        };
        let mut lasts = taken_back.iter().filter_map(|id| self.spec(&id.job));
        let owed = lasts.any(|last| is_owed(&last));
        (!owed).then(|| format!("{taken_back:?} give way, more than {namespace} had borrowed"))
    }
}
