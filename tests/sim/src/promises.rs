//! What each event of the scheduler must be true to: who may start, and who may
//! take whose place.

use stint_api::job::JobSpec;
use stint_api::namespace::NamespaceView;
use stint_api::outcome::Outcome;
use stint_api::view::{Event, EventKind, JobState};

use crate::ledger::Ledger;
use crate::world::World;

impl World {
    /// Looks at an event that was committed and is told.
    pub(crate) fn check_event(&mut self, event: &Event) {
        let Some(up) = &self.scheduler.up else {
            return;
        };
        let Some(spec) = up.cluster.job(&event.job).map(|view| view.spec) else {
            return;
        };
        let objection = match &event.what {
            EventKind::Granted { .. } => {
                let has_succeeded = |id| {
                    let parent = up.cluster.job(id);
                    // With the one that followed it over, it may be forgotten by now.
                    parent.is_none_or(|parent| parent.state == JobState::Succeeded)
                };
                let open = spec.after.iter().find(|id| !has_succeeded(id));
                open.map(|id| format!("{} is granted before {id} has succeeded", event.job))
            }
            EventKind::Ended {
                outcome: Outcome::Preempted { by },
                attempt,
                ..
            } => {
                // Whether it was right to tell it so was looked at then.
                let told = (attempt.grant_id(), by.clone());
                let is_told = self.ledger.giving_way.contains(&told);
                (!is_told).then(|| format!("{attempt} gave way to {by}, untold"))
            }
            _ => None,
        };
        if let Some(what) = objection {
            self.ledger.object(what);
        }
    }
}

impl Ledger {
    /// A namespace as the scheduler has committed it: beyond its quota it gets no more,
    /// unless it may borrow.
    pub(crate) fn looks_at_quota(&mut self, now: NamespaceView) {
        let before = self.namespaces.insert(now.namespace.clone(), now.clone());
        let Some(before) = before.filter(|before| before.spec == now.spec) else {
            return;
        };
        let quota = now.spec.quota;
        let over_slots = quota.slots.is_some_and(|most| now.used.slots > most);
        let over_cpu = quota.cpu.is_some_and(|most| now.used.cpu > most);
        let has_more_slots = now.used.slots > before.used.slots;
        let has_more_cpu = now.used.cpu > before.used.cpu;
        let got_more = (over_slots && has_more_slots) || (over_cpu && has_more_cpu);
        if got_more && !now.spec.borrow {
            let what = format!("{} got {:?} of {quota:?}", now.namespace, now.used);
            self.object(what);
        }
    }
}

/// What is wrong with how often a task was tried: `ends` are those of its attempts, in order.
pub(crate) fn tries_too_often(spec: &JobSpec, ends: &[&Outcome]) -> Option<String> {
    let count = |of: fn(&Outcome) -> bool| ends.iter().filter(|one| of(one)).count();
    let own = count(|one| matches!(one, Outcome::Exited { .. }));
    let gave_way = count(|one| matches!(one, Outcome::Preempted { .. }));
    if own > spec.retries as usize + 1 {
        return Some(format!("failed {own} times with {} retries", spec.retries));
    }
    (gave_way > GAVE_WAY_MAX).then(|| format!("gave way {gave_way} times"))
}

/// How often a task may be stopped for others.
const GAVE_WAY_MAX: usize = 3;
