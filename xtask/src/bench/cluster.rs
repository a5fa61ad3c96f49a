//! Our side: a scheduler and one node with the machine's cores, each a process,
//! spoken to over the API as any client would.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::figures::{Figures, Rate};
use super::http::Connection;
use crate::layout::Layout;
use crate::site::{Site, processes, wait_for};

/// `(module (func (export "_start")))`: what every task runs.
pub(super) const NO_OP: &[u8] = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x0a\x01\x06_start\0\0\x0a\x04\x01\x02\0\x0b";
/// The one node.
pub(super) const NODE: &str = "node";
/// Long, so that a busy machine is not taken for a dead one.
const LEASE: &str = "10s";
/// Longest that scheduler and node may take to be ready.
const READY_BOUND: Duration = Duration::from_secs(60);

/// A running scheduler and node, and the no-op module.
pub(super) struct Cluster {
    site: Site,
    stint: std::path::PathBuf,
    url: String,
    module: String,
    limits: String,
}

/// What an array took, on each side.
#[derive(Debug)]
pub(super) struct Spent {
    pub(super) took: Duration,
    /// CPU time of the scheduler.
    pub(super) scheduler: Duration,
    /// Of the node process.
    pub(super) node: Duration,
    /// Of the keeper, and all that it keeps.
    pub(super) kept: Duration,
    /// Most memory of the scheduler meanwhile.
    pub(super) scheduler_peak_kib: u64,
    /// Most memory of the node process meanwhile.
    pub(super) node_peak_kib: u64,
    /// What the scheduler's records grew by.
    pub(super) disk_bytes: u64,
}

impl Spent {
    /// CPU time of all together.
    pub(super) fn cpu(&self) -> Duration {
        self.scheduler + self.node + self.kept
    }
}

impl Cluster {
    /// Starts both and pushes the module.
    ///
    /// # Errors
    /// They do not become ready.
    pub(super) fn start(layout: &Layout, site: &Site, dir: &Path) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        site.start("scheduler", site.scheduler(LEASE))?;
        let capacity = format!("cpu={cores},memory=4Gi,scratch=4Gi");
        site.start(NODE, site.node(NODE, &capacity, dir))?;
        let mut cluster = Self {
            site: site.clone(),
            stint: layout.stint(),
            url: site.url(),
            module: String::new(),
            limits: String::new(),
        };
        cluster.limits = wait_for("the node is ready", READY_BOUND, || {
            let nodes = cluster.ask(&["nodes"]).unwrap_or_default();
            let node = &nodes["nodes"][0];
            let ready = node["state"] == "ready";
            Ok(ready.then(|| node["limits"].as_str().unwrap_or_default().to_owned()))
        })?;
        let wasm = dir.join("no-op.wasm");
        std::fs::write(&wasm, NO_OP)?;
        cluster.module = cluster.push(&wasm)?;
        Ok(cluster)
    }

    /// Pushes a module; its digest.
    ///
    /// # Errors
    /// It is refused.
    pub(super) fn push(&self, wasm: &Path) -> Result<String> {
        let pushed = self.ask(&["module", "push", &wasm.to_string_lossy()])?;
        let digest = pushed["digest"].as_str().context("a digest")?;
        Ok(digest.to_owned())
    }

    /// The result of a job of one task of `module`, with one argument and a core of its own.
    ///
    /// # Errors
    /// It does not succeed.
    pub(super) fn result(&self, module: &str, argument: &str) -> Result<Value> {
        let mut connection = Connection::open(&self.url)?;
        let spec = json!({
            "module": module, "args": [argument], "cpu": "1", "memory": "512Mi",
            "scratch": "16Mi", "timeout": "5m",
        });
        let (_, id) = self.run(&mut connection, &spec)?;
        let results = self.ask(&["results", &id])?;
        Ok(results["result"].clone())
    }

    /// How the node holds its slots to their limits.
    pub(super) fn limits(&self) -> &str {
        &self.limits
    }

    /// Runs one task to its end.
    ///
    /// # Errors
    /// It does not succeed.
    pub(super) fn one_task(&self) -> Result<Duration> {
        let mut connection = Connection::open(&self.url)?;
        let (took, _) = self.job(&mut connection, 1)?;
        Ok(took)
    }

    /// Runs `count` jobs of one task, one after the other.
    ///
    /// # Errors
    /// One does not succeed.
    pub(super) fn one_task_jobs(
        &self,
        count: usize,
        jobs: &mut Figures,
        attempts: &mut Figures,
    ) -> Result<()> {
        let mut connection = Connection::open(&self.url)?;
        let cpu = self.cpu();
        let mut ids = Vec::new();
        for _ in 0..count {
            let (took, id) = self.job(&mut connection, 1)?;
            jobs.add(took);
            ids.push(id);
        }
        jobs.add_cpu(self.cpu().saturating_sub(cpu));
        for id in ids {
            let job = self.ask(&["status", &id])?;
            let wall = job["usage"]["wall_seconds"].as_f64();
            attempts.add(Duration::from_secs_f64(wall.context("a wall time")?));
        }
        Ok(())
    }

    /// Runs one array of `tasks` tasks to its end.
    ///
    /// # Errors
    /// It does not succeed.
    pub(super) fn array(&self, tasks: usize, rate: &mut Rate) -> Result<()> {
        let mut connection = Connection::open(&self.url)?;
        let cpu = self.cpu();
        let (took, _) = self.job(&mut connection, tasks)?;
        rate.add(tasks, took, self.cpu().saturating_sub(cpu));
        Ok(())
    }

    /// Runs one array of `tasks` tasks that share workers of a whole core each.
    ///
    /// # Errors
    /// It does not succeed.
    pub(super) fn packed(&self, tasks: usize) -> Result<Spent> {
        let mut connection = Connection::open(&self.url)?;
        let scheduler: Vec<u32> = self.site.pid("scheduler").into_iter().collect();
        let node: Vec<u32> = self.site.pid(NODE).into_iter().collect();
        for pid in scheduler.iter().chain(&node) {
            processes::reset_peak(*pid)?;
        }
        // Workers come and go, so that they are looked up each time.
        let kept = || Site::cpu(&self.site.kept(NODE));
        let sides = || (Site::cpu(&scheduler), Site::cpu(&node), kept());
        let (before, disk) = (sides(), self.disk_bytes()?);
        let spec = json!({
            "module": self.module, "tasks": tasks, "cpu": "1", "memory": "16Mi",
            "scratch": "1Mi", "timeout": "60s", "isolation": "job",
        });
        let (took, _) = self.run(&mut connection, &spec)?;
        let after = sides();
        let peak = |pids: &[u32]| {
            pids.iter()
                .filter_map(|pid| processes::peak_kib(*pid))
                .sum()
        };
        Ok(Spent {
            took,
            scheduler: after.0.saturating_sub(before.0),
            node: after.1.saturating_sub(before.1),
            kept: after.2.saturating_sub(before.2),
            scheduler_peak_kib: peak(&scheduler),
            node_peak_kib: peak(&node),
            disk_bytes: self.disk_bytes()?.saturating_sub(disk),
        })
    }

    /// Bytes of what the scheduler has written down.
    fn disk_bytes(&self) -> Result<u64> {
        let mut sum = 0;
        for entry in std::fs::read_dir(self.site.scheduler_dir())? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().contains("sqlite") {
                sum += entry.metadata()?.len();
            }
        }
        Ok(sum)
    }

    /// Submits `jobs` jobs of one task in one batch and waits for the end of the last: when
    /// they were accepted, when done, and what CPU time that took.
    ///
    /// # Errors
    /// The last does not succeed.
    pub(super) fn batches(&self, jobs: usize) -> Result<(Duration, Duration, Duration)> {
        let mut connection = Connection::open(&self.url)?;
        let events = Connection::open(&self.url)?;
        let spec = json!({
            "module": self.module, "cpu": "250m", "memory": "16Mi", "scratch": "1Mi",
            "timeout": "60s",
        });
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let key = format!("bench-{}", now.as_nanos());
        let cpu = self.cpu();
        let start = Instant::now();
        let batch = json!({ "jobs": vec![spec; jobs] });
        let submitted = connection.post("/v1/jobs:batch", &key, &batch)?;
        let accepted = start.elapsed();
        let ids = submitted["ids"].as_array().context("ids")?;
        let last = ids.last().and_then(Value::as_str).context("an id")?;
        let done = events.wait_for_event(&format!("/v1/jobs/{last}/events"), r#""kind":"done""#)?;
        ensure!(done.contains(r#""state":"succeeded""#), "{last}: {done}");
        let took = start.elapsed();
        Ok((accepted, took, self.cpu().saturating_sub(cpu)))
    }

    /// What of the scheduler is in memory.
    pub(super) fn scheduler_rss_kib(&self) -> Option<u64> {
        processes::resident_kib(self.site.pid("scheduler")?)
    }

    /// Runs a job of no-op tasks to its end: how long that took, and its id.
    fn job(&self, connection: &mut Connection, tasks: usize) -> Result<(Duration, String)> {
        let spec = json!({
            "module": self.module, "tasks": tasks, "cpu": "250m", "memory": "16Mi",
            "scratch": "1Mi", "timeout": "60s",
        });
        self.run(connection, &spec)
    }

    /// Submits a job and waits for its end: how long that took, and its id.
    fn run(&self, connection: &mut Connection, spec: &Value) -> Result<(Duration, String)> {
        // Opened before the clock starts: a client keeps its connections.
        let events = Connection::open(&self.url)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let key = format!("bench-{}", now.as_nanos());
        let start = Instant::now();
        let submitted = connection.post("/v1/jobs", &key, spec)?;
        let id = submitted["id"].as_str().context("an id")?.to_owned();
        let done = events.wait_for_event(&format!("/v1/jobs/{id}/events"), r#""kind":"done""#)?;
        let took = start.elapsed();
        ensure!(
            done.contains(r#""state":"succeeded""#),
            "{id} did not succeed: {done}"
        );
        Ok((took, id))
    }

    /// CPU time of scheduler, node, keeper and every worker so far.
    fn cpu(&self) -> Duration {
        let mut pids = self.site.pids(NODE);
        pids.extend(self.site.pid("scheduler"));
        Site::cpu(&pids)
    }

    fn ask(&self, args: &[&str]) -> Result<Value> {
        let output = Command::new(&self.stint)
            .args(args)
            .arg("--json")
            .env("STINT_SERVER", &self.url)
            .output()
            .context("cannot start stint")?;
        ensure!(
            output.status.success(),
            "stint {}: {}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_no_op_is_a_module_whose_sections_have_the_lengths_they_claim() {
        let mut rest = &super::NO_OP[8..];
        let mut ids = Vec::new();
        while let [id, length, tail @ ..] = rest {
            ids.push(*id);
            rest = &tail[usize::from(*length)..];
        }
        assert_eq!(ids, [1, 3, 7, 10]);
    }
}
