//! Machines and processes that go away under a job.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::limits::shown;
use super::{NODES, Shown, Stage, title};
use crate::layout::Layout;
use crate::site::wait_for;

/// Longest until a job of some seconds has run on one node and then on another.
const JOB_BOUND: Duration = Duration::from_secs(60);

/// The node process dies and comes back; what it ran goes on meanwhile.
///
/// # Errors
/// The job fails or runs twice.
pub(super) fn node_process(stage: &Stage, layout: &Layout) -> Result<Shown> {
    title("a job whose node process is killed and restarted");
    let (id, node) = submit(stage, layout, "6")?;
    let pid = stage.site.pid(node).context("the node runs")?;
    println!("$ kill -9 {pid}    # the node process of {node}");
    stage.site.kill(&[pid])?;
    let kept = stage.site.kept(node);
    println!("its keeper and worker live on: {kept:?}");
    ensure!(kept.len() >= 2, "the worker is gone");
    stage.start_node(node)?;
    stage.shell.show(&["logs", "--follow", &id])?;
    let job = wait_until_over(stage, &id)?;
    stage.shell.show(&["status", &id])?;
    ensure!(job["state"] == "succeeded", "state: {}", job["state"]);
    ensure!(job["attempts"] == 1, "attempts: {}", job["attempts"]);
    Ok(shown("its node process dies: re-adopted", &job))
}

/// Node process, keeper and workers die at once, as when a machine loses power.
///
/// # Errors
/// The job fails, or its history does not say what happened.
pub(super) fn whole_node(stage: &Stage, layout: &Layout) -> Result<Shown> {
    title("a job whose whole node is lost");
    let (id, node) = submit(stage, layout, "4")?;
    let pids = stage.site.pids(node);
    let words: Vec<String> = pids.iter().map(u32::to_string).collect();
    println!(
        "$ kill -9 {}    # node process, keeper and worker of {node}",
        words.join(" ")
    );
    stage.site.kill(&pids)?;
    stage.wait_for_node(node, "lost")?;
    stage.shell.show(&["nodes"])?;
    stage.shell.show(&["events", &id])?;
    let job = wait_until_over(stage, &id)?;
    stage.shell.show(&["status", &id])?;
    ensure!(job["state"] == "succeeded", "state: {}", job["state"]);
    let told = job.to_string();
    ensure!(told.contains("node-lost"), "no node-lost in {told}");
    // It comes back empty-handed and sweeps what it left: its cgroups.
    stage.start_node(node)?;
    stage.wait_for_node(node, "ready")?;
    Ok(shown("its whole node dies: run elsewhere", &job))
}

/// Submits a job that says a line a second, and waits until it runs somewhere.
fn submit(stage: &Stage, layout: &Layout, seconds: &str) -> Result<(String, &'static str)> {
    let guest = stage.shell.path(&layout.guest("steady"));
    let answer = stage
        .shell
        .keep(&["submit", "--name", "steady", &guest, seconds])?;
    let id = answer.stdout.trim().to_owned();
    println!("{id}");
    ensure!(answer.code == Some(0), "submit failed");
    let node = wait_for("the job runs", JOB_BOUND, || {
        let job = stage.shell.ask(&["status", &id])?;
        let started = job["started_at"].is_string();
        Ok(NODES.into_iter().find(|node| started && holds(&job, node)))
    })?;
    println!("it runs on {node}");
    Ok((id, node))
}

/// Whether the job's tasks are on that node.
fn holds(job: &Value, node: &str) -> bool {
    let runs = job["runs"].as_array();
    runs.into_iter().flatten().any(|run| run["node"] == node)
}

fn wait_until_over(stage: &Stage, id: &str) -> Result<Value> {
    wait_for("the job is over", JOB_BOUND, || {
        let job = stage.shell.ask(&["status", id])?;
        let over = ["succeeded", "failed", "cancelled"]
            .iter()
            .any(|state| job["state"] == *state);
        Ok(over.then_some(job))
    })
}
