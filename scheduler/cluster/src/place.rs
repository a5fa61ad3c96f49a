//! Grants given out and taken back: the only file that moves a task between
//! pending and granted, and a slot's share between a node and a grant.

use stint_api::id::{GrantId, JobId, NodeId, TaskIndex};
use stint_api::link::{self, KitPlan, Order, Plan};
use stint_api::quantity::{Bytes, Millicores, Resources};
use stint_api::tasks::runs;
use stint_api::view::EventKind;

use crate::bitmap;
use crate::chunk::Settled;
use crate::cluster::Cluster;
use crate::draft::Draft;
use crate::grants::{Grant, LOSSES_MAX};
use crate::job::{JobRecord, PendingRun};
use crate::placement::{Wish, grant_size, pick};

/// The least that a valid job asks of a slot: where this is not free, nothing fits.
const LEAST: Resources = Resources {
    cpu: Millicores(10),
    memory: Bytes(64 << 10),
    scratch: Bytes(4 << 10),
};
/// Shapes remembered as refused within one pass; beyond, they are tried again.
const REFUSED_MAX: usize = 64;

impl Cluster {
    /// Grants pending tasks to nodes: jobs by priority, then by age; a job
    /// that fits nowhere does not hold up those behind it.
    pub(crate) fn place(&mut self, draft: &mut Draft) {
        // What is too large now stays too large: placing only takes room.
        let mut refused: Vec<Resources> = Vec::new();
        let queue = std::mem::take(&mut self.queue);
        for place in &queue {
            let Some(need) = self.jobs.get(&place.job).map(|j| j.record.spec.resources()) else {
                continue;
            };
            if refused.iter().any(|smaller| smaller.fits_in(&need)) {
                continue;
            }
            if !self.place_job(draft, &place.job) {
                if !self.has_room() {
                    break;
                }
                if refused.len() < REFUSED_MAX {
                    refused.push(need);
                }
            }
        }
        self.queue = queue;
    }

    fn has_room(&self) -> bool {
        self.nodes
            .values()
            .any(|node| node.takes_work() && LEAST.fits_in(&node.free()))
    }

    /// Grants as much of one job as fits; false when a slot of it is free nowhere.
    fn place_job(&mut self, draft: &mut Draft, id: &JobId) -> bool {
        let Some(job) = self.jobs.get(id).filter(|job| job.may_start()) else {
            return true;
        };
        let need = job.record.spec.resources();
        let most = job.record.spec.parallelism;
        let most = most.map_or(usize::MAX, |most| {
            usize::try_from(most).unwrap_or(usize::MAX)
        });
        let ready = self.nodes.values().filter(|node| node.takes_work());
        let slots: u64 = ready.map(|node| need.times_in(&node.record.capacity)).sum();
        let slots = slots.min(u64::try_from(most).unwrap_or(u64::MAX));
        let mut pending = job.counts().pending;
        loop {
            let Some(job) = self.jobs.get(id).filter(|job| job.slots() < most) else {
                return true;
            };
            let Some(run) = job.next_run(grant_size(pending, slots)) else {
                return true;
            };
            let wish = Wish {
                need,
                module: &job.record.spec.module,
                avoid: run.trouble.avoid.as_ref(),
            };
            let Some(node) = pick(self.nodes.iter(), wish).cloned() else {
                return false;
            };
            pending -= u32::try_from(run.tasks.len()).unwrap_or(pending);
            self.issue(draft, id, run, node);
        }
    }

    /// Grants a run of tasks to a node.
    fn issue(&mut self, draft: &mut Draft, id: &JobId, run: PendingRun, node: NodeId) {
        let Some(job) = self.jobs.get_mut(id) else {
            return;
        };
        let number = job.next_grant();
        let grant = Grant {
            node: node.clone(),
            tasks: run.tasks,
            retries: job.record.spec.retries.saturating_sub(run.trouble.spent),
            // The node's last loss is the one that makes a task poison here.
            losses: (LOSSES_MAX - 1).saturating_sub(run.trouble.losses),
            running: None,
            publishing: std::collections::BTreeMap::new(),
        };
        let grant_id = GrantId {
            job: id.clone(),
            grant: number,
        };
        let share = job.record.spec.resources();
        let tasks = bitmap::text(grant.tasks.iter().copied());
        let order = Order::Run(on_wire(&grant_id, &job.record, &grant));
        job.issue(run.chunk, number, grant);
        if let Some(node) = self.nodes.get_mut(&node) {
            node.take(grant_id, share);
        }
        draft.chunk(id, run.chunk);
        draft.order(&node, order);
        draft.event(id, EventKind::Granted { tasks, node });
    }

    /// Takes a task out of its grant; with its last task the grant is gone and its slot free.
    pub(crate) fn release(
        &mut self,
        draft: &mut Draft,
        id: &GrantId,
        task: TaskIndex,
        to: Settled,
    ) {
        let Some(job) = self.jobs.get_mut(&id.job) else {
            return;
        };
        let Some((index, grant)) = job.grant(id.grant) else {
            return;
        };
        let node = grant.node.clone();
        draft.chunk(&id.job, index);
        draft.place = true;
        if job.settle(id.grant, task, to) == Some(true)
            && let Some(node) = self.nodes.get_mut(&node)
        {
            node.give_back(id);
        }
    }
}

/// A grant as the node is told of it.
pub(crate) fn on_wire(id: &GrantId, job: &JobRecord, grant: &Grant) -> link::Grant {
    let spec = &job.spec;
    let script = job.kit.as_deref().zip(spec.script.as_ref());
    let (args, env) = match script {
        Some((kit, script)) => (
            kit.arguments(&script.name, &spec.args),
            kit.environment(spec),
        ),
        None => (spec.args.clone(), spec.env.clone()),
    };
    let kit = script.map(|(kit, script)| {
        Box::new(KitPlan {
            entry: kit.spec.entry.clone(),
            files: kit.spec.files,
            script: script.clone(),
            scripts: kit.spec.scripts.clone(),
            compile: kit.spec.compile,
        })
    });
    link::Grant {
        id: id.clone(),
        tasks: runs(grant.tasks.iter().copied()),
        plan: Plan {
            module: spec.module,
            kit,
            args,
            env,
            task_count: spec.tasks,
            limits: spec.resources(),
            timeout: spec.timeout,
            inputs: spec.inputs.clone(),
            output: spec.output.clone(),
            isolation: spec.isolation(),
        },
        budget: grant.budget(),
    }
}
