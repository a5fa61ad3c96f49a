//! Who waits for room: jobs in lines by the shape of the slots that they want.
//! Jobs of one shape are alike to the placement, so what fits for none of a line
//! is found out once, however long the line is.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stint_api::constraint::Constraint;
use stint_api::id::{JobId, Namespace};
use stint_api::quantity::{Bytes, Millicores, Resources};
use stint_api::time::Time;

use crate::job::JobRecord;

/// What makes slots alike: what they take, and where they may be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shape {
    cpu: Millicores,
    memory: Bytes,
    scratch: Bytes,
    /// None when the job may run anywhere.
    constraints: Option<Arc<[Constraint]>>,
}

impl Shape {
    pub(crate) fn new(need: Resources, constraints: Option<Arc<[Constraint]>>) -> Self {
        Self {
            cpu: need.cpu,
            memory: need.memory,
            scratch: need.scratch,
            constraints,
        }
    }

    pub(crate) fn need(&self) -> Resources {
        Resources {
            cpu: self.cpu,
            memory: self.memory,
            scratch: self.scratch,
        }
    }

    /// Whether a node with these labels may be used.
    pub(crate) fn allows(&self, labels: &BTreeMap<String, String>) -> bool {
        let constraints = self.constraints.as_deref().unwrap_or_default();
        constraints
            .iter()
            .all(|constraint| constraint.allows(labels))
    }
}

/// A job's place in its lines: higher priority, then who came first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    priority: Reverse<i32>,
    submitted_at: Time,
    pub(crate) job: JobId,
}

impl Place {
    pub(crate) fn of(id: &JobId, record: &JobRecord) -> Self {
        Self {
            priority: Reverse(record.spec.priority),
            submitted_at: record.submitted_at,
            job: id.clone(),
        }
    }

    pub(crate) fn priority(&self) -> i32 {
        self.priority.0
    }
}

/// Jobs of one namespace that want slots of one shape.
pub(crate) type Line = BTreeSet<Place>;

/// The lines of each namespace; a job with tasks of several shapes stands in several.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    lines: BTreeMap<Namespace, BTreeMap<Shape, Line>>,
    jobs: u64,
}

impl Queue {
    /// Puts a job into the lines of `shapes`, out of those of `before`.
    pub(crate) fn stand(&mut self, place: &Place, before: &[Shape], shapes: &[Shape]) {
        let lines = self.lines.entry(place.job.namespace.clone()).or_default();
        for shape in before {
            if let Some(line) = lines.get_mut(shape) {
                line.remove(place);
                if line.is_empty() {
                    lines.remove(shape);
                }
            }
        }
        for shape in shapes {
            let line = lines.entry(shape.clone()).or_default();
            line.insert(place.clone());
        }
        if lines.is_empty() {
            self.lines.remove(&place.job.namespace);
        }
        self.jobs -= u64::from(!before.is_empty());
        self.jobs += u64::from(!shapes.is_empty());
    }

    /// Those that wait, by namespace.
    pub(crate) fn namespaces(&self) -> impl Iterator<Item = (&Namespace, &BTreeMap<Shape, Line>)> {
        self.lines.iter()
    }

    /// All lines.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (&Shape, &Line)> {
        self.lines.values().flatten()
    }

    /// How many jobs wait for room.
    pub(crate) fn jobs(&self) -> u64 {
        self.jobs
    }

    /// How many of its namespace stand before that place, counted up to `most`.
    pub(crate) fn ahead(&self, place: &Place, most: usize) -> usize {
        let lines = self.lines.get(&place.job.namespace);
        let lines = lines.into_iter().flat_map(BTreeMap::values);
        let ahead = lines.flat_map(|line| line.range(..place));
        ahead.take(most).count()
    }
}
