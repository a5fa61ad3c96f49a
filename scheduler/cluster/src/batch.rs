//! Somebody submits many jobs at once: all of them are accepted, or none.

use stint_api::job::JobSpec;
use stint_api::time::Time;

use crate::cluster::Cluster;
use crate::effects::Effects;
use crate::refusal::SubmitError;
use crate::submit::{IdempotencyKey, Submission};

/// Jobs are not accepted together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// There is none, or too many.
    #[error("a batch has 1 to {most} jobs, not {0}", most = Cluster::BATCH_JOBS_MAX)]
    Count(usize),
    /// One of them is refused, and so are all.
    #[error("job {index} of the batch is refused, and so are all")]
    Job {
        /// Which, from 0.
        index: usize,
        /// Why.
        source: SubmitError,
    },
}

impl Cluster {
    /// Most jobs of one batch: milliseconds of the heart, a few MiB of records.
    pub const BATCH_JOBS_MAX: usize = 10_000;

    /// Accepts many jobs at once. Each has a key of its own, made from that of the
    /// batch: submitted again, those are found that are there already, and the
    /// others are made.
    ///
    /// # Errors
    /// The jobs are too many, or one is refused; then nothing changed.
    pub fn submit_batch(
        &mut self,
        now: Time,
        specs: Vec<JobSpec>,
        key: Option<&IdempotencyKey>,
    ) -> Result<(Vec<Submission>, Effects), BatchError> {
        if !(1..=Self::BATCH_JOBS_MAX).contains(&specs.len()) {
            return Err(BatchError::Count(specs.len()));
        }
        let count = specs.len();
        let mut answers = Vec::with_capacity(count);
        let mut records = Vec::with_capacity(count);
        for (index, spec) in specs.into_iter().enumerate() {
            let refused = |source| BatchError::Job { index, source };
            let key = key.map(|key| key.of_job(index));
            let known = key.as_ref().map(|key| self.made_by(&spec.namespace, key));
            match known.transpose().map_err(refused)?.flatten() {
                Some(known) => answers.push(Some(Submission::Known(known))),
                None => {
                    let record = self.checked(now, spec, key, None).map_err(refused)?;
                    records.push(record);
                    answers.push(None);
                }
            }
        }
        let index = count - 1;
        self.room_for(records.iter())
            .map_err(|source| BatchError::Job { index, source })?;
        let mut draft = self.begin(now);
        let mut records = records.into_iter();
        let mut made = |answer: Option<Submission>| {
            let enter = |record| Submission::New(self.enter(&mut draft, record));
            answer.or_else(|| records.next().map(enter))
        };
        let answers = answers.into_iter().filter_map(&mut made).collect();
        Ok((answers, self.seal(draft)))
    }
}
