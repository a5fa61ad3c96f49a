//! Reports, in the order in which they happened, until the scheduler has them.
//!
//! A report leaves the outbox only when the scheduler's answer to a batch that
//! held it has come: a lost answer means that the batch is sent again, and
//! every report is idempotent. What a report's safe arrival allows (forgetting
//! the task, deleting the attempt's files) waits here beside it.

use std::collections::{BTreeMap, VecDeque};

use stint_api::id::{AttemptId, GrantId, TaskIndex};
use stint_api::link::{Ended, REPORTS_MAX, Report, Verdict};
use stint_api::outcome::Outcome;
use stint_api::tasks::TaskRange;

/// Most bytes of one batch as estimated here: a quarter of what a message may
/// have, so that the estimate need not be exact.
const BATCH_BYTES_MAX: usize = stint_api::link::MESSAGE_BYTES_MAX / 4;
/// What a report takes beside its variable parts, in bytes, generously.
const REPORT_BYTES: usize = 512;

/// The oldest reports that the scheduler has not answered.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What to acknowledge when the scheduler has answered.
    pub upto: u64,
    /// The reports; none when there is nothing to say.
    pub reports: Vec<Report>,
}

/// What the arrival of a report allows.
#[derive(Debug)]
pub(crate) enum Follow {
    /// Nothing.
    Nothing,
    /// The attempt ended, its task is tried again.
    Retrying(AttemptId),
    /// The task is no longer this node's; its attempts may be discarded.
    Settled {
        grant: GrantId,
        task: TaskIndex,
        discard: Vec<AttemptId>,
    },
    /// These tasks, of a run, are no longer this node's; what the first attempt names may go.
    Passed {
        grant: GrantId,
        tasks: Vec<TaskIndex>,
        attempt: AttemptId,
    },
    /// These tasks are no longer this node's; earlier tries of them may be discarded.
    GaveBack {
        grant: GrantId,
        tasks: Vec<TaskIndex>,
        discard: Vec<AttemptId>,
    },
    /// The attempt ended after its grant was gone.
    Stopped(AttemptId),
}

#[derive(Debug)]
struct Entry {
    report: Report,
    follow: Follow,
}

#[derive(Debug)]
pub(crate) struct Outbox {
    /// Number of the first entry, from 1; entries are numbered without gaps.
    first: u64,
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl Outbox {
    pub(crate) const fn new() -> Self {
        Self {
            first: 1,
            entries: VecDeque::new(),
            bytes: 0,
        }
    }

    pub(crate) fn push(&mut self, report: Report, follow: Follow) {
        self.bytes += bytes_of(&report);
        self.entries.push_back(Entry { report, follow });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Estimate of what waits, in bytes.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Drops everything: what waits is about another cluster, and nobody else's business.
    pub(crate) fn clear(&mut self) -> Vec<Follow> {
        self.acknowledged(u64::MAX)
    }

    /// Removes what was sent up to and with number `upto`.
    pub(crate) fn acknowledged(&mut self, upto: u64) -> Vec<Follow> {
        let mut follows = Vec::new();
        while self.first <= upto
            && let Some(entry) = self.entries.pop_front()
        {
            self.first += 1;
            self.bytes = self.bytes.saturating_sub(bytes_of(&entry.report));
            follows.push(entry.follow);
        }
        follows
    }

    pub(crate) fn batch(&self) -> Batch {
        let mut run = Merge::default();
        let mut bytes = 0;
        let mut taken: u64 = 0;
        for entry in self.entries.iter().take(REPORTS_MAX) {
            bytes += bytes_of(&entry.report);
            if taken > 0 && bytes > BATCH_BYTES_MAX {
                break;
            }
            taken += 1;
            run.add(&entry.report);
        }
        Batch {
            upto: self.first + taken - 1,
            reports: run.reports.into_iter().flatten().collect(),
        }
    }
}

/// Gathers neighbouring tasks of a grant that ended alike into one run.
#[derive(Default)]
struct Merge {
    reports: Vec<Option<Report>>,
    /// Where the latest end under a grant stands in `reports`.
    latest: BTreeMap<GrantId, usize>,
}

impl Merge {
    fn add(&mut self, report: &Report) {
        let mut report = report.clone();
        if let Report::Ended(ended) = &mut report {
            let here = self.reports.len();
            if let Some(at) = self.latest.insert(ended.id.clone(), here)
                && let Some(Some(Report::Ended(before))) = self.reports.get(at)
                && continues(before, ended, at + 1 == here)
            {
                // The run takes the later place, so that no task's end overtakes its log.
                join(before, ended);
                self.reports[at] = None;
            }
        }
        self.reports.push(Some(report));
    }
}

/// Whether `ended` extends the run of `before`. An end with a retry must be the
/// very next report: it may not pass the start of that retry.
fn continues(before: &Ended, ended: &Ended, is_next: bool) -> bool {
    before.tasks.end() == ended.tasks.first
        && before.try_number == ended.try_number
        && before.verdict == ended.verdict
        && before.outcome == ended.outcome
        && (is_next || !matches!(ended.verdict, Verdict::Retry { .. }))
}

/// Puts `before` in front of `ended`.
fn join(before: &Ended, ended: &mut Ended) {
    ended.tasks = TaskRange {
        first: before.tasks.first,
        count: before.tasks.count + ended.tasks.count,
    };
    ended.usage.absorb(&before.usage);
    if before.stderr_tail.is_some() {
        ended.stderr_tail.clone_from(&before.stderr_tail);
    }
    ended.results.extend(before.results.clone());
}

/// What a report takes on the wire, about.
fn bytes_of(report: &Report) -> usize {
    let variable = match report {
        Report::Log { data, .. } => data.0.len() / 3 * 4,
        Report::Finished { manifest, .. } => manifest.iter().map(|file| file.path.len() + 64).sum(),
        Report::Ended(ended) => {
            let results = ended.results.values();
            let results: usize = results.map(|result| result.get().len() + 16).sum();
            let tail = ended.stderr_tail.as_ref().map_or(0, String::len);
            results + tail + text_bytes(&ended.outcome)
        }
        Report::GaveBack { tasks, .. } => tasks.len() * 32,
        Report::Preparing { step, .. } => step.len(),
        Report::Said { said, .. } => said.bytes(),
        Report::Started { .. } | Report::Compiled { .. } => 0,
    };
    REPORT_BYTES + variable
}

fn text_bytes(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Trapped { kind, backtrace } => kind.len() + backtrace.len(),
        Outcome::Unknown(fields) => fields.len() * REPORT_BYTES,
        other => other.to_string().len(),
    }
}
