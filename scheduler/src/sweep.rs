//! Logs of jobs that are forgotten go. The heart forgets a job; its logs, which
//! stand in no record, are looked for from time to time: so nothing is left behind
//! either when the scheduler dies between the two.

use std::sync::Arc;
use std::time::Duration;

use stint_api::id::JobId;
use tokio::sync::watch;

use crate::driver::Handle;
use crate::logs::Logs;

/// Between two looks: logs may stay a little longer than their job.
const PERIOD: Duration = Duration::from_secs(300);
/// Jobs asked for in one call: the heart is busy meanwhile.
const JOBS_MAX: usize = 1_000;

/// Sweeps until the scheduler stops.
pub(crate) async fn sweep(driver: Handle, logs: Arc<Logs>, mut stop: watch::Receiver<bool>) {
    loop {
        if sweep_once(&driver, &logs).await.is_none() {
            return;
        }
        // An error means that the scheduler was dropped.
        let stopped = tokio::time::timeout(PERIOD, stop.wait_for(|stopped| *stopped));
        if stopped.await.is_ok() {
            return;
        }
    }
}

/// Removes the logs of every job that is not known; none when the scheduler stops.
async fn sweep_once(driver: &Handle, logs: &Arc<Logs>) -> Option<()> {
    let reader = Arc::clone(logs);
    let listed = tokio::task::spawn_blocking(move || reader.jobs())
        .await
        .ok()?;
    for jobs in listed.chunks(JOBS_MAX) {
        let jobs = jobs.to_vec();
        let unknown = driver.call(move |turn| {
            let unknown = jobs.into_iter().filter(|job| !turn.cluster.knows(job));
            unknown.collect::<Vec<JobId>>()
        });
        let unknown = unknown.await.ok()?;
        let logs = Arc::clone(logs);
        let removed = tokio::task::spawn_blocking(move || {
            for job in &unknown {
                if let Err(error) = logs.remove(job) {
                    tracing::warn!(%job, %error, "the logs of a forgotten job stay");
                }
            }
        });
        removed.await.ok()?;
    }
    Some(())
}
