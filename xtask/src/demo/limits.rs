//! Jobs that ask for more than they may have, or fail.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{Shown, Stage, title};
use crate::layout::Layout;

/// A job wants more memory than its limit.
///
/// # Errors
/// It does not end by that reason.
pub(super) fn memory(stage: &Stage, layout: &Layout) -> Result<Shown> {
    title("a job that wants too much memory");
    let guest = stage.shell.path(&layout.guest("hog"));
    let (code, job) = stage.shell.run_job(&["--memory", "64Mi", &guest])?;
    ensure!(
        job["reason"] == "guest-memory-limit",
        "reason: {}",
        job["reason"]
    );
    ensure!(code == Some(125), "exit code: {code:?}");
    Ok(shown("wants too much memory", &job))
}

/// A job loops.
///
/// # Errors
/// It does not end by its deadline.
pub(super) fn time(stage: &Stage, layout: &Layout) -> Result<Shown> {
    title("a job that never ends");
    let guest = stage.shell.path(&layout.guest("spin"));
    let (code, job) = stage.shell.run_job(&["--timeout", "2s", &guest])?;
    ensure!(job["reason"] == "deadline", "reason: {}", job["reason"]);
    ensure!(code == Some(124), "exit code: {code:?}");
    Ok(shown("loops", &job))
}

/// A job fails twice, and then does not.
///
/// # Errors
/// It does not succeed on the third try.
pub(super) fn retries(stage: &Stage, layout: &Layout) -> Result<Shown> {
    title("a job that fails twice");
    let guest = stage.shell.path(&layout.guest("flaky"));
    let (code, job) = stage.shell.run_job(&["--retries", "3", &guest])?;
    ensure!(job["state"] == "succeeded", "state: {}", job["state"]);
    ensure!(job["attempts"] == 3, "attempts: {}", job["attempts"]);
    ensure!(code == Some(0), "exit code: {code:?}");
    Ok(shown("fails twice, succeeds on the third try", &job))
}

/// A line of the summary, from what `run` or `status` said.
pub(super) fn shown(what: &'static str, job: &Value) -> Shown {
    let text = |field: &Value| field.as_str().unwrap_or_default().to_owned();
    let reason = match job["reason"].as_str() {
        Some(reason) if job["state"] != reason => format!(": {reason}"),
        _ => String::new(),
    };
    let attempts = match job["attempts"].as_u64() {
        Some(1) => "1 attempt".to_owned(),
        Some(n) => format!("{n} attempts"),
        None => String::new(),
    };
    Shown {
        what,
        job: text(&job["id"]),
        came: format!("{}{reason}, {attempts}", text(&job["state"])),
    }
}
