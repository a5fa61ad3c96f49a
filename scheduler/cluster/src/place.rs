//! Grants given out and taken back: the only file that moves a task between
//! pending and granted, and a slot's share between a node and a grant.

use stint_api::id::{GrantId, JobId, NodeId, TaskIndex};
use stint_api::link::{self, KitPlan, Order, Plan};
use stint_api::namespace::Used;
use stint_api::tasks::runs;
use stint_api::view::EventKind;

use crate::account::slots_left;
use crate::bitmap;
use crate::chunk::Settled;
use crate::cluster::Cluster;
use crate::draft::Draft;
use crate::grants::{Grant, LOSSES_MAX};
use crate::job::{JobRecord, PendingRun};
use crate::placement::{Spread, Wish, grant_size, pace};
use crate::queue::Shape;

/// What came of placing the next tasks of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    /// They are granted.
    Granted,
    /// None of them may have a slot of that shape.
    Nothing,
    /// Their namespace may have no such slot more.
    OverQuota,
    /// Such a slot is free nowhere.
    NoRoom,
}

/// Where the next tasks of a job may go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum To<'a> {
    /// Wherever they suit best, within the quota of their namespace and beside what is
    /// reserved for others of it.
    Any,
    /// The same, beyond the quota.
    Borrowed,
    /// To this node, whose room is reserved for them.
    Reserved(&'a NodeId),
}

impl Cluster {
    /// Grants pending tasks to nodes, and makes room for those that go before others.
    pub(crate) fn place(&mut self, draft: &mut Draft) {
        self.seat(draft);
        if self.shelves.has_room() {
            self.fill(draft);
        }
        self.preempt(draft);
    }

    /// Grants the next run of a job's tasks: to the node that suits best, or to one
    /// whose room is reserved for it.
    pub(crate) fn grant_next(
        &mut self,
        draft: &mut Draft,
        id: &JobId,
        shape: &Shape,
        to: To<'_>,
    ) -> Placed {
        let Some(job) = self.jobs.get(id).filter(|job| job.may_start()) else {
            return Placed::Nothing;
        };
        if job.slots() >= job.slots_max() {
            return Placed::Nothing;
        }
        let slots = self.shelves.slots(&self.nodes, shape);
        let slots = slots.min(job.slots_max() as u64);
        let size = grant_size(job.counts().pending, slots, pace(job));
        let Some(run) = job.next_run(shape, size) else {
            return Placed::Nothing;
        };
        let spread = Spread::of(job, &self.nodes);
        let wish = Wish {
            spread: spread.as_ref(),
            prefer: &job.record.spec.prefer,
            shape,
            module: &job.record.spec.module,
            avoid: run.trouble.avoid.as_ref(),
        };
        let allows = |within: Used| {
            let quota = self.decided(&id.namespace).quota;
            slots_left(&quota, &within, &shape.need()) > 0
        };
        let may = match to {
            To::Any => allows(self.promised(&id.namespace)),
            To::Borrowed => true,
            To::Reserved(_) => allows(self.accounts.used(&id.namespace)),
        };
        if !may {
            return Placed::OverQuota;
        }
        let node = match to {
            To::Any | To::Borrowed => self.shelves.pick(&self.nodes, wish),
            To::Reserved(node) => Some(node.clone()),
        };
        let Some(node) = node else {
            return Placed::NoRoom;
        };
        self.issue(draft, id, run, node);
        Placed::Granted
    }

    /// Grants a run of tasks to a node.
    fn issue(&mut self, draft: &mut Draft, id: &JobId, run: PendingRun, node: NodeId) {
        let Some(job) = self.jobs.get_mut(id) else {
            return;
        };
        let number = job.next_grant();
        let spec = &job.record.spec;
        let grant = Grant {
            node: node.clone(),
            tasks: run.tasks,
            memory: run.trouble.memory,
            time: spec.task_timeout.map(|time| time - run.trouble.wall),
            retries: spec.retries.saturating_sub(run.trouble.spent),
            // The node's last loss is the one that makes a task poison here.
            losses: (LOSSES_MAX - 1).saturating_sub(run.trouble.losses),
            running: None,
            publishing: std::collections::BTreeMap::new(),
        };
        let grant_id = GrantId {
            job: id.clone(),
            grant: number,
        };
        let (share, priority) = (grant.share(spec), spec.priority);
        let tasks = bitmap::text(grant.tasks.iter().copied());
        let order = Order::Run(on_wire(&grant_id, &job.record, &grant));
        job.issue(run.chunk, number, grant);
        if let Some(known) = self.nodes.get_mut(&node) {
            known.take(grant_id, share);
            self.ranks.add(&id.namespace, priority, &node);
            self.accounts.take(&id.namespace, share, priority);
            self.shelves.changed(&node, known);
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
        let spec = &job.record.spec;
        let (share, priority) = (grant.share(spec), spec.priority);
        draft.chunk(&id.job, index);
        draft.place = true;
        if job.settle(id.grant, task, to) == Some(true)
            && let Some(known) = self.nodes.get_mut(&node)
        {
            known.give_back(id);
            self.ranks.remove(&id.job.namespace, priority, &node);
            self.accounts.give_back(&id.job.namespace, share, priority);
            self.shelves.changed(&node, known);
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
            retry: spec.retry.clone(),
            limits: grant.share(spec),
            timeout: spec.timeout,
            stall: spec.stall,
            inputs: spec.inputs.clone(),
            output: spec.output.clone(),
            isolation: spec.isolation(),
        },
        budget: grant.budget(),
    }
}
