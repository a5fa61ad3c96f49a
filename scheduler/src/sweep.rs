//! What is left of what is forgotten goes: the logs of jobs, and modules, scripts and
//! files of kits that nothing needs any more. The heart forgets them; what stands in no
//! record is looked for from time to time: so nothing is left behind either when the
//! scheduler dies between the two.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use stint_api::id::{Digest, JobId};
use stint_api::kit::Manifest;
use stint_cluster::Roots;
use tokio::sync::watch;

use crate::blobs::Blobs;
use crate::driver::Handle;
use crate::files::Files;
use crate::logs::Logs;

/// Between two looks: logs may stay a little longer than their job.
const PERIOD: Duration = Duration::from_secs(300);
/// Jobs asked for in one call: the heart is busy meanwhile.
const JOBS_MAX: usize = 1_000;
/// A file that was touched less long ago stays in any case: longer than the longest upload, and
/// what may follow until a record names it.
const TOUCHED_MIN: Duration = Duration::from_secs(2 * 3_600);

/// What is swept.
#[derive(Debug)]
pub(crate) struct Sweep {
    pub(crate) driver: Handle,
    pub(crate) logs: Arc<Logs>,
    pub(crate) blobs: Arc<Blobs>,
    pub(crate) files: Arc<Files>,
    /// How long files stay that nothing needs.
    pub(crate) keep: Duration,
}

impl Sweep {
    /// Sweeps until the scheduler stops.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        loop {
            if sweep_once(&self.driver, &self.logs).await.is_none() {
                return;
            }
            if self.sweep_files().await.is_none() {
                return;
            }
            // An error means that the scheduler was dropped.
            let stopped = tokio::time::timeout(PERIOD, stop.wait_for(|stopped| *stopped));
            if stopped.await.is_ok() {
                return;
            }
        }
    }

    /// Removes modules and files that nothing needs; none when the scheduler stops.
    async fn sweep_files(&self) -> Option<()> {
        let roots = self.driver.call(|turn| turn.cluster.roots()).await.ok()?;
        let (blobs, files) = (Arc::clone(&self.blobs), Arc::clone(&self.files));
        let age = self.keep.max(TOUCHED_MIN);
        let swept = tokio::task::spawn_blocking(move || {
            let Some(before) = SystemTime::now().checked_sub(age) else {
                return Ok(0);
            };
            let needed = with_listed(&files, &roots)?;
            Ok(blobs.sweep(&roots.modules, before)? + files.sweep(&needed, before)?)
        });
        match swept.await.ok()? {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "modules and files that nothing needs are gone"),
            Err::<_, std::io::Error>(error) => {
                tracing::warn!(%error, "modules and files that nothing needs stay");
            }
        }
        Some(())
    }
}

/// Scripts and lists of files, and what those list.
fn with_listed(files: &Files, roots: &Roots) -> std::io::Result<BTreeSet<Digest>> {
    let mut needed = roots.files.clone();
    for list in &roots.lists {
        // Without it nobody can say what else is needed.
        let Some(found) = files.find(list)? else {
            continue;
        };
        let manifest: Manifest = serde_json::from_slice(&std::fs::read(found.path)?)?;
        needed.extend(manifest.files().map(|file| file.digest));
    }
    Ok(needed)
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
