//! Peers from PyPI, in a Python of their own under `target/`: how many no-op tasks a
//! second their schedulers see through on the same machine. They isolate nothing and
//! keep nothing; what cannot be installed is left out, with a word.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::command::ask;
use std::process::Command;

/// Pinned, so that a figure says what it is of.
const PACKAGES: [&str; 3] = ["ray==2.60.0", "dask==2026.8.0", "distributed==2026.8.0"];
/// Both warm up before they are timed, and print seconds.
const RAY: &str = "\
import sys, time, ray
ray.init(num_cpus=int(sys.argv[2]), include_dashboard=False, log_to_driver=False, logging_level='ERROR')
@ray.remote
def nothing(): pass
ray.get([nothing.remote() for _ in range(200)])
since = time.perf_counter()
ray.get([nothing.remote() for _ in range(int(sys.argv[1]))])
print(time.perf_counter() - since)
";
const DASK: &str = "\
import sys, time
from distributed import Client, LocalCluster
def nothing(n): pass
if __name__ == '__main__':
    cluster = LocalCluster(n_workers=int(sys.argv[2]), threads_per_worker=1, dashboard_address=None)
    client = Client(cluster)
    client.gather(client.map(nothing, range(200), pure=False))
    since = time.perf_counter()
    client.gather(client.map(nothing, range(int(sys.argv[1])), pure=False))
    print(time.perf_counter() - since)
";

/// A peer that can be run.
pub(super) struct Peer {
    /// What it is, with its version.
    pub(super) what: &'static str,
    python: PathBuf,
    script: PathBuf,
}

/// Those that are here, or could be fetched.
///
/// # Errors
/// Their scripts cannot be written.
pub(super) fn all(dir: &Path) -> Result<Vec<Peer>> {
    let home = dir.join("peers");
    let python = home.join("bin/python");
    if !python.exists() && ask(Command::new("python3").args(["-m", "venv"]).arg(&home)).is_none() {
        println!("SKIPPED: Ray and Dask: no Python with `venv` is here");
        return Ok(Vec::new());
    }
    let mut install = Command::new(home.join("bin/pip"));
    install.args(["install", "--quiet", "--disable-pip-version-check"]);
    if ask(install.args(PACKAGES)).is_none() {
        println!("SKIPPED: Ray and Dask: {PACKAGES:?} cannot be installed");
        return Ok(Vec::new());
    }
    let peer = |what, name: &str, text: &str| {
        let script = dir.join(name);
        std::fs::write(&script, text)?;
        let python = python.clone();
        anyhow::Ok(Peer {
            what,
            python,
            script,
        })
    };
    Ok(vec![
        peer("Ray 2.60.0", "no_op_ray.py", RAY)?,
        peer("Dask distributed 2026.8.0", "no_op_dask.py", DASK)?,
    ])
}

impl Peer {
    /// How long `tasks` no-op tasks took, once it was warm.
    ///
    /// # Errors
    /// It fails.
    pub(super) fn run(&self, tasks: usize) -> Result<Duration> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut run = Command::new(&self.python);
        run.arg(&self.script);
        let output = run
            .args([tasks.to_string(), cores.to_string()])
            .output()
            .with_context(|| format!("cannot start {}", self.what))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let seconds = said.lines().last().and_then(|line| line.parse().ok());
        ensure!(
            output.status.success() && seconds.is_some(),
            "{} failed: {said}{}",
            self.what,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(Duration::from_secs_f64(seconds.unwrap_or_default()))
    }
}
