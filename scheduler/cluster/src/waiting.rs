//! Why a job waits, with numbers: the first thing that somebody could change.

use stint_api::explain::{Explanation, Fit, Lack, Largest, Standing, Wait};
use stint_api::id::JobId;
use stint_api::namespace::Quota;
use stint_api::quantity::{Bytes, Millicores, Resources};

use crate::cluster::Cluster;
use crate::duty::Duty;
use crate::job::Job;
use crate::node::Node;
use crate::queue::{Place, Shape};
use crate::settle::Parents;
use crate::submit::nearness;

/// Jobs ahead are counted up to here: what is beyond tells nobody more.
const AHEAD_MAX: usize = 1_000;

/// Explains jobs one after another; looks at the nodes once for jobs that ask alike.
#[derive(Debug)]
pub(crate) struct Explainer<'a> {
    cluster: &'a Cluster,
    fits: Vec<(Shape, Fit)>,
}

impl Cluster {
    /// Why tasks of the job wait, or that none does.
    pub fn explain(&self, id: &JobId) -> Option<Explanation> {
        let job = self.jobs.get(id)?;
        let wait = Explainer::new(self).wait(id, job);
        let summary = wait.as_ref().map(|wait| summary(job, wait));
        Some(Explanation {
            id: id.clone(),
            state: job.state(),
            tasks: job.counts(),
            need: job.record.spec.resources(),
            slots: u32::try_from(job.slots()).unwrap_or(u32::MAX),
            wait,
            summary,
        })
    }
}

impl<'a> Explainer<'a> {
    pub(crate) fn new(cluster: &'a Cluster) -> Self {
        Self {
            cluster,
            fits: Vec::new(),
        }
    }

    /// Why pending tasks of the job wait, in one line; nothing when none does.
    pub(crate) fn line(&mut self, id: &JobId, job: &Job) -> Option<String> {
        let wait = self.wait(id, job)?;
        Some(summary(job, &wait))
    }

    fn wait(&mut self, id: &JobId, job: &Job) -> Option<Wait> {
        if !job.is_open() || job.counts().pending == 0 {
            return None;
        }
        if let Some(since) = job.record.suspended_at {
            return Some(Wait::Resumption { since });
        }
        if self.cluster.parents(job) == Parents::Open {
            let is_open = |id: &&JobId| self.cluster.jobs.get(id).is_some_and(Job::is_open);
            let jobs = job.record.spec.after.iter().filter(is_open);
            let jobs = jobs.cloned().collect();
            return Some(Wait::Jobs { jobs });
        }
        let spec = &job.record.spec;
        if let Some(most) = spec.parallelism
            && job.slots() as u64 >= u64::from(most)
        {
            return Some(Wait::Parallelism { most });
        }
        let first = job.queued.first().cloned();
        let shape = first.unwrap_or_else(|| job.shape(None));
        let queue = self.standing(id, job);
        let over = self.over_quota(id, &shape.need(), &queue);
        let borrows = over.is_some() && self.cluster.decided(&id.namespace).borrow;
        if let Some(wait) = over.filter(|_| !borrows) {
            return Some(wait);
        }
        let nodes = self.fit(&shape);
        Some(Wait::Room {
            queue,
            nodes,
            borrows,
        })
    }

    /// What of its quota the namespace has used up, if a slot more is too many.
    fn over_quota(&self, id: &JobId, need: &Resources, queue: &Standing) -> Option<Wait> {
        let namespace = &id.namespace;
        let Quota {
            cpu,
            memory,
            slots,
            jobs: _,
        } = self.cluster.decided(namespace).quota;
        let used = self.cluster.accounts.used(namespace);
        let part =
            |resource, most: Option<(u64, String)>, used: (u64, String), need: (u64, String)| {
                let (most, text) = most?;
                (most.saturating_sub(used.0) < need.0).then(|| Wait::Quota {
                    namespace: namespace.clone(),
                    resource: String::from(resource),
                    most: text,
                    used: used.1,
                    need: need.1,
                    queue: queue.clone(),
                })
            };
        let cores = |amount: Millicores| (u64::from(amount.0), amount.to_string());
        let bytes = |amount: Bytes| (amount.0, amount.to_string());
        let count = |amount: u32| (u64::from(amount), amount.to_string());
        part("CPU", cpu.map(cores), cores(used.cpu), cores(need.cpu))
            .or_else(|| {
                part(
                    "memory",
                    memory.map(bytes),
                    bytes(used.memory),
                    bytes(need.memory),
                )
            })
            .or_else(|| part("slots", slots.map(count), count(used.slots), count(1)))
    }

    fn standing(&self, id: &JobId, job: &Job) -> Standing {
        let place = Place::of(id, &job.record);
        let ahead = self.cluster.queue.ahead(&place, AHEAD_MAX);
        Standing {
            queue: id.namespace.clone(),
            position: u32::try_from(ahead + 1).unwrap_or(u32::MAX),
            or_later: ahead == AHEAD_MAX,
        }
    }

    fn fit(&mut self, shape: &Shape) -> Fit {
        let known = self.fits.iter().find(|(same, _)| same == shape);
        if let Some((_, fit)) = known {
            return fit.clone();
        }
        let fit = fit(self.cluster, shape);
        self.fits.push((shape.clone(), fit.clone()));
        fit
    }
}

fn summary(job: &Job, wait: &Wait) -> String {
    let counts = job.counts();
    let tasks = match (counts.pending, counts.total) {
        (1, 1) => "the task waits".to_owned(),
        (pending, total) if pending == total => format!("all {total} tasks wait"),
        (pending, total) => format!("{pending} of {total} tasks wait"),
    };
    format!("{tasks}: {wait}")
}

fn fit(cluster: &Cluster, shape: &Shape) -> Fit {
    let need = shape.need();
    let mut fit = Fit::default();
    let mut full: Vec<&Node> = Vec::new();
    for node in cluster.nodes.values().filter(|node| !node.record.left) {
        fit.total += 1;
        let figure = if !node.is_ready() {
            &mut fit.lost
        } else if node.record.duty == Duty::Cordoned {
            &mut fit.cordoned
        } else if node.record.duty != Duty::Open {
            &mut fit.draining
        } else if !node.takes_work() {
            &mut fit.leaving
        } else if !shape.allows(&node.record.labels) {
            &mut fit.unmatched
        } else if !need.fits_in(&node.record.capacity) {
            &mut fit.too_small
        } else if !need.fits_in(&node.free()) {
            full.push(node);
            &mut fit.full
        } else {
            &mut fit.fit
        };
        *figure += 1;
    }
    if fit.too_small > 0 && fit.full == 0 && fit.fit == 0 {
        fit.largest = largest(cluster, shape);
    }
    fit.lacking = lacking(&full, need);
    fit
}

/// The node that takes work and comes nearest to the need when it is empty.
fn largest(cluster: &Cluster, shape: &Shape) -> Option<Largest> {
    let nodes = cluster.nodes.iter().filter(|(_, node)| node.takes_work());
    let nodes = nodes.filter(|(_, node)| shape.allows(&node.record.labels));
    let (node, has) = nodes
        .map(|(id, node)| (id, node.record.capacity))
        .max_by_key(|(_, has)| nearness(&shape.need(), has))?;
    let node = node.clone();
    Some(Largest { node, has })
}

fn lacking(full: &[&Node], need: Resources) -> Vec<Lack> {
    let cpu = |node: &Node| node.free().cpu;
    let memory = |node: &Node| node.free().memory;
    let scratch = |node: &Node| node.free().scratch;
    let all = [
        lack("CPU", need.cpu, full, cpu),
        lack("memory", need.memory, full, memory),
        lack("scratch", need.scratch, full, scratch),
    ];
    all.into_iter().flatten().collect()
}

fn lack<T: Ord + Copy + ToString>(
    resource: &str,
    need: T,
    full: &[&Node],
    free: impl Fn(&Node) -> T,
) -> Option<Lack> {
    let mut less: Vec<T> = full.iter().map(|node| free(node)).collect();
    less.retain(|free| *free < need);
    less.sort_unstable_by(|one, other| other.cmp(one));
    let figures = less.iter().take(Lack::FREE_MAX).map(T::to_string);
    (!less.is_empty()).then(|| Lack {
        resource: resource.to_owned(),
        need: need.to_string(),
        nodes: u32::try_from(less.len()).unwrap_or(u32::MAX),
        free: figures.collect(),
    })
}
