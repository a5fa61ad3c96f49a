//! How much capacity there is, and how much more those who wait could use: what
//! somebody who adds and removes machines goes by.

use stint_api::quantity::{Bytes, Millicores, Resources};
use stint_api::view::{Amount, CapacityView};

use crate::cluster::Cluster;

impl Cluster {
    /// What the nodes have that take work, what is in use, and what more the queue wants.
    pub fn capacity(&self) -> CapacityView {
        let mut view = CapacityView::default();
        let open = self.nodes.values().filter(|node| node.takes_work());
        for node in open {
            view.nodes += 1;
            add(&mut view.total, &node.record.capacity, 1);
            let taken = node.record.capacity - node.free();
            add(&mut view.taken, &taken, 1);
            view.taken.slots += node.slots().count() as u64;
        }
        let waiting = self.queue.lines().flat_map(|(_, line)| line);
        let mut jobs: Vec<_> = waiting.map(|place| &place.job).collect();
        // Who stands in several lines wants no more for that.
        jobs.sort_unstable();
        jobs.dedup();
        for job in jobs.into_iter().filter_map(|id| self.jobs.get(id)) {
            let more = job.slots_max().saturating_sub(job.slots()) as u64;
            let slots = more.min(job.counts().pending.into());
            view.wanted.slots += slots;
            add(&mut view.wanted, &job.record.spec.resources(), slots);
        }
        view
    }
}

fn add(amount: &mut Amount, share: &Resources, times: u64) {
    let cpu = u64::from(share.cpu.0).saturating_mul(times);
    let cpu = cpu.saturating_add(u64::from(amount.cpu.0));
    amount.cpu = Millicores(u32::try_from(cpu).unwrap_or(u32::MAX));
    let bytes = |sum: Bytes, one: Bytes| Bytes(sum.0.saturating_add(one.0.saturating_mul(times)));
    amount.memory = bytes(amount.memory, share.memory);
    amount.scratch = bytes(amount.scratch, share.scratch);
}
