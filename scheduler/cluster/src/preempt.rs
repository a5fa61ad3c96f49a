//! A job of higher priority takes the place of others that run, when it fits nowhere else:
//! `victims.rs` says whose, and `reserve.rs` keeps the room that they leave.
//!
//! It ends: only lower priorities give way, so nobody takes their place back; and a
//! task gives way a few times at most, so it is done one day.

use stint_api::id::{JobId, Namespace};
use stint_api::quantity::Resources;

use crate::cluster::Cluster;
use crate::debts::Debts;
use crate::draft::Draft;
use crate::queue::{Place, Queue, Shape};

/// Reservations at one time: more are made as these come true.
const RESERVATIONS_MAX: usize = 256;
/// Slots looked for in one verb; the next verb goes on.
const SEARCHES_MAX: usize = 32;

/// What the searches of one verb have in common.
#[derive(Debug)]
pub(crate) struct Round {
    /// What the nodes have together.
    pub(crate) whole: Resources,
    /// Who borrowed what may be taken back.
    pub(crate) debts: Debts,
    left: usize,
}

impl Cluster {
    /// Finds room for jobs that wait among slots of lower priority, and among borrowed ones.
    pub(crate) fn preempt(&mut self, draft: &mut Draft) {
        let Some(lowest) = self.ranks.lowest() else {
            return;
        };
        let mut round = Round {
            whole: self.shelves.whole(&self.nodes),
            debts: self.debts(),
            left: SEARCHES_MAX,
        };
        let queue = std::mem::take(&mut self.queue);
        for (share, place, shape) in self.heads(&queue, &round, lowest) {
            if !self.search(draft, &mut round, (share, place, shape)) {
                break;
            }
        }
        self.queue = queue;
        debug_assert_eq!(self.pledges, self.pledged());
        debug_assert_eq!(round.debts, self.debts());
    }

    /// Those that could take a place, in their order: the first of each line.
    fn heads<'a>(
        &self,
        queue: &'a Queue,
        round: &Round,
        lowest: i32,
    ) -> Vec<(u128, &'a Place, &'a Shape)> {
        let mut heads = Vec::new();
        for (namespace, lines) in queue.namespaces() {
            let share = self.share(namespace, &round.whole);
            for (shape, line) in lines {
                let takes_back = self.takes_back(&round.debts, namespace, shape);
                let is_one = |place: &&Place| place.priority() > lowest || takes_back;
                let line = line.iter().take_while(is_one).take(SEARCHES_MAX);
                heads.extend(line.map(|place| (share, place, shape)));
            }
        }
        heads.sort_unstable();
        heads
    }

    /// Looks for all the slots that one job wants; false when there was enough of searching.
    fn search(
        &mut self,
        draft: &mut Draft,
        round: &mut Round,
        (share, place, shape): (u128, &Place, &Shape),
    ) -> bool {
        let wanted = self.slots_wanted(&place.job, shape);
        for _ in self.pledges.slots_of(&place.job)..wanted {
            if round.left == 0 || self.pledges.count() >= RESERVATIONS_MAX {
                return false;
            }
            round.left -= 1;
            let Some((node, victims)) = self.victims(round, (share, place, shape), draft.now)
            else {
                break;
            };
            self.reserve(draft, (&node, &victims), &place.job, shape);
            self.owes_anew(&mut round.debts, &place.job.namespace);
            for victim in &victims {
                self.owes_anew(&mut round.debts, &victim.job.namespace);
            }
        }
        true
    }

    /// Whether the namespace may take back what others borrowed, for one such slot.
    fn takes_back(&self, debts: &Debts, namespace: &Namespace, shape: &Shape) -> bool {
        let others = debts.keys().any(|debtor| debtor != namespace);
        others && self.balance(namespace).allows(&shape.need())
    }

    /// How many slots of that shape the job could use now, beside those that it has.
    pub(crate) fn slots_wanted(&self, id: &JobId, shape: &Shape) -> usize {
        let job = self.jobs.get(id).filter(|job| job.queued.contains(shape));
        let job = job.filter(|job| job.may_start() && job.next_run(shape, 1).is_some());
        job.map_or(0, |job| {
            let pending = usize::try_from(job.counts().pending).unwrap_or(usize::MAX);
            pending.min(job.slots_max().saturating_sub(job.slots()))
        })
    }
}
