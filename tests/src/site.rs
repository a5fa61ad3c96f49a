//! A site: one scheduler and any number of nodes, each a process of its own in
//! a directory of its own, all of it gone when the test ends.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::leftovers;
use crate::network::Network;
use crate::port;
use crate::wait::wait_for;

/// Longest that a process of the product may take until it answers: the machine may be busy.
const READY_BOUND: Duration = Duration::from_secs(30);
/// Longest that any job of the tests may take.
const JOB_BOUND: Duration = Duration::from_secs(90);
/// Long enough that a busy machine is not taken for a dead one.
const CALM_LEASE: &str = "6s";

/// A scheduler and its nodes.
#[derive(Debug)]
pub struct Site {
    dir: tempfile::TempDir,
    port: u16,
    lease: &'static str,
    scheduler: Option<Child>,
    nodes: BTreeMap<String, Child>,
    /// Variables of every process that is started from now on.
    env: Vec<(&'static str, String)>,
}

/// A command that ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Finished {
    /// Stdout as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is not JSON ({error}): {self:#?}"))
    }
}

/// The binary under test, beside the test's own target directory.
///
/// # Panics
/// When it has not been built.
pub fn binary() -> PathBuf {
    let exe = std::env::current_exe().expect("the test knows its own path");
    let target = exe
        .ancestors()
        .nth(2)
        .expect("tests live in target/PROFILE/deps");
    let binary = target.join("stint");
    assert!(
        binary.exists(),
        "{} is missing; `cargo build --workspace` first",
        binary.display()
    );
    binary
}

impl Site {
    /// A scheduler without nodes, and a lease that a busy machine keeps.
    pub fn start() -> Self {
        Self::start_with_lease(CALM_LEASE)
    }

    /// A scheduler without nodes.
    pub fn start_with_lease(lease: &'static str) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("stint-test-")
            .tempdir()
            .expect("a temp dir");
        let mut site = Self {
            dir,
            port: port::free(),
            lease,
            scheduler: None,
            nodes: BTreeMap::new(),
            env: Vec::new(),
        };
        site.start_scheduler();
        site
    }

    /// A site with the nodes `names`, all of them ready.
    pub fn with_nodes(names: &[&str]) -> Self {
        let mut site = Self::start();
        for name in names {
            site.start_node(name, &[]);
        }
        site
    }

    /// Gives variables to every process that is started from now on.
    pub fn set_env(&mut self, env: Vec<(&'static str, String)>) {
        self.env = env;
    }

    /// The site's directory, for files of the test.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The scheduler's URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The directory of a node.
    pub fn node_dir(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// Starts the scheduler, again after it was killed, and waits until it is ready.
    pub fn start_scheduler(&mut self) {
        self.start_scheduler_with(&[]);
    }

    /// Starts the scheduler with more flags, and waits until it is ready.
    pub fn start_scheduler_with(&mut self, more: &[&str]) {
        let listen = format!("127.0.0.1:{}", self.port);
        let data = self.dir().join("scheduler");
        let child = self
            .command([
                "serve",
                "--listen",
                &listen,
                "--lease",
                self.lease,
                "--data-dir",
            ])
            .arg(data)
            .args(more)
            .stdout(Stdio::null())
            .stderr(self.log("scheduler"))
            .spawn()
            .expect("the scheduler starts");
        self.scheduler = Some(child);
        wait_for("the scheduler is ready", READY_BOUND, || {
            self.get("/readyz").filter(|(status, _)| *status == 200)
        });
    }

    /// Starts a node, again after it was killed, and waits until the scheduler calls it ready.
    pub fn start_node(&mut self, name: &str, more: &[&str]) {
        self.spawn_node(name, more);
        wait_for("the node is ready", READY_BOUND, || {
            self.node_state(name).filter(|state| state == "ready")
        });
    }

    /// Starts a node without waiting for it.
    pub fn spawn_node(&mut self, name: &str, more: &[&str]) {
        let mut command = self.node_command(name, &self.url(), more);
        let child = command.spawn().expect("the node starts");
        self.nodes.insert(name.to_owned(), child);
    }

    /// Starts a node in a network of its own, and waits until the scheduler calls it ready.
    pub fn start_node_within(&mut self, network: &Network, name: &str) {
        let command = self.node_command(name, &network.url_to(self.port), &[]);
        let mut command = network.within(&command);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(self.log(name)).spawn();
        self.nodes
            .insert(name.to_owned(), child.expect("the node starts"));
        wait_for("the node is ready", READY_BOUND, || {
            self.node_state(name).filter(|state| state == "ready")
        });
    }

    fn node_command(&self, name: &str, join: &str, more: &[&str]) -> Command {
        let dir = self.node_dir(name);
        let mut command = self.command(["node", "--name", name, "--join", join, "--dir"]);
        command.arg(dir);
        if !more.contains(&"--capacity") {
            command.args(["--capacity", "cpu=4,memory=2Gi,scratch=4Gi"]);
        }
        command
            .arg("--allow-inputs")
            .arg(self.dir())
            .arg("--allow-outputs")
            .arg(self.dir());
        command
            .args(more)
            .stdout(Stdio::null())
            .stderr(self.log(name));
        command
    }

    /// Asks the scheduler to go by SIGTERM and waits until it is gone.
    pub fn stop_scheduler(&mut self) {
        if let Some(mut child) = self.scheduler.take() {
            terminate(&mut child);
        }
    }

    /// Kills the scheduler with SIGKILL and waits until it is gone.
    pub fn kill_scheduler(&mut self) {
        if let Some(mut child) = self.scheduler.take() {
            child
                .kill()
                .and_then(|()| child.wait())
                .expect("the scheduler dies");
        }
    }

    /// Kills a node process with SIGKILL; its keeper and workers live on.
    pub fn kill_node_process(&mut self, name: &str) {
        if let Some(mut child) = self.nodes.remove(name) {
            child
                .kill()
                .and_then(|()| child.wait())
                .expect("the node process dies");
        }
    }

    /// Asks a node to go by SIGTERM and waits until it is gone.
    pub fn stop_node(&mut self, name: &str) {
        if let Some(mut child) = self.nodes.remove(name) {
            terminate(&mut child);
        }
    }

    /// Stops all processes of a node where they are, or lets them go on: SIGSTOP, SIGCONT.
    pub fn freeze_node(&self, name: &str, frozen: bool) {
        use rustix::process::{Pid, Signal, kill_process};
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        for verb in ["node", "__keeper", "__zygote", "__worker"] {
            for pid in self.pids(name, verb) {
                // One that has ended needs no signal.
                let _ = Pid::from_raw(pid).map(|pid| kill_process(pid, signal));
            }
        }
    }

    /// The scheduler's process id, while it runs.
    pub fn scheduler_pid(&self) -> Option<u32> {
        self.scheduler.as_ref().map(Child::id)
    }

    /// How the scheduler process ended, if it did.
    pub fn scheduler_ended(&mut self) -> Option<std::process::ExitStatus> {
        let child = self.scheduler.as_mut()?;
        child.try_wait().expect("the scheduler is a child")
    }

    /// What a process of the site wrote.
    pub fn log_of(&self, name: &str) -> String {
        let path = self.dir().join(format!("{name}.log"));
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// Kills node process, keeper and workers with SIGKILL: the machine is gone.
    pub fn kill_whole_node(&mut self, name: &str) {
        self.kill_node_process(name);
        leftovers::kill_all(&self.tag(), name);
    }

    /// Process ids of a node's processes whose hidden verb is `verb`, for example `__worker`.
    pub fn pids(&self, name: &str, verb: &str) -> Vec<i32> {
        leftovers::pids(&self.tag(), name, verb)
    }

    /// The state of a node as the scheduler sees it.
    pub fn node_state(&self, name: &str) -> Option<String> {
        let (_, nodes) = self.get("/v1/nodes")?;
        let node = nodes["nodes"]
            .as_array()?
            .iter()
            .find(|node| node["id"] == name)?;
        node["state"].as_str().map(str::to_owned)
    }

    /// `GET path`, with the answer's status and JSON body (null when it has none); none while nobody answers.
    pub fn get(&self, path: &str) -> Option<(u16, Value)> {
        self.request("GET", path, &[], Vec::new())
    }

    /// Any request with a body and headers.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Option<(u16, Value)> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .ok()?;
        let url = format!("{}{path}", self.url());
        runtime.block_on(async {
            let method = method.parse().ok()?;
            let mut request = reqwest::Client::new().request(method, url).body(body);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let answer = request.timeout(Duration::from_secs(20)).send().await.ok()?;
            let status = answer.status().as_u16();
            let body = answer.bytes().await.ok()?;
            Some((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
        })
    }

    /// A `stint` command that talks to this site.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(binary());
        command
            .args(args)
            .env("STINT_SERVER", self.url())
            .env(leftovers::TAG, self.tag());
        command
            .env("XDG_CACHE_HOME", self.dir().join("cache"))
            .env_remove("RUST_BACKTRACE")
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).current_dir(self.dir());
        command
    }

    /// Runs `stint ARGS` to its end.
    pub fn stint<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Finished {
        run(&mut self.command(args))
    }

    /// Assembles the guest `name` and runs it with `--json` and `flags`; the answer's JSON beside.
    pub fn run_guest(&self, name: &str, flags: &[&str]) -> (Finished, Value) {
        let wasm = crate::guest::assemble(name, self.dir());
        let mut args: Vec<&OsStr> = vec!["run".as_ref(), "--json".as_ref()];
        args.extend(flags.iter().map(OsStr::new));
        args.push(wasm.as_os_str());
        let finished = self.stint(args);
        let json = finished.json();
        (finished, json)
    }

    /// Submits the guest `name` and returns the job's id.
    pub fn submit_guest(&self, name: &str, flags: &[&str]) -> String {
        let wasm = crate::guest::assemble(name, self.dir());
        let mut args: Vec<&OsStr> = vec!["submit".as_ref()];
        args.extend(flags.iter().map(OsStr::new));
        args.push(wasm.as_os_str());
        let finished = self.stint(args);
        assert_eq!(finished.code, 0, "{finished:#?}");
        finished.stdout.trim().to_owned()
    }

    /// The job as the API shows it now.
    pub fn job(&self, id: &str) -> Option<Value> {
        self.get(&format!("/v1/jobs/{id}"))
            .filter(|(status, _)| *status == 200)
            .map(|(_, job)| job)
    }

    /// The job's tasks and history of attempts as the API shows them now.
    pub fn tasks(&self, id: &str) -> Option<Value> {
        let answer = self.get(&format!("/v1/jobs/{id}/tasks"));
        answer
            .filter(|(status, _)| *status == 200)
            .map(|(_, tasks)| tasks)
    }

    /// Waits until the job has run its first attempt.
    pub fn wait_until_running(&self, id: &str) {
        wait_for("the job runs", JOB_BOUND, || {
            self.job(id).filter(|job| job["started_at"].is_string())
        });
    }

    /// Waits until the job is over and returns it.
    pub fn wait_until_over(&self, id: &str) -> Value {
        wait_for("the job is over", JOB_BOUND, || {
            let over = ["succeeded", "failed", "cancelled"];
            self.job(id)
                .filter(|job| over.iter().any(|state| job["state"] == *state))
        })
    }

    /// Stops everything and checks that nothing is left: no process, no cgroup.
    pub fn stop_and_check(mut self) {
        self.stop();
        leftovers::assert_none(&self.tag(), self.dir());
    }

    fn stop(&mut self) {
        for child in self.nodes.values_mut().chain(self.scheduler.as_mut()) {
            terminate(child);
        }
        self.nodes.clear();
        self.scheduler = None;
    }

    /// Marks every process of this site, through its environment.
    fn tag(&self) -> String {
        self.dir().display().to_string()
    }

    fn log(&self, name: &str) -> Stdio {
        let path = self.dir().join(format!("{name}.log"));
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(path);
        file.expect("a log file").into()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show_logs();
        }
        self.stop();
        leftovers::kill_all(&self.tag(), "");
    }
}

impl Site {
    /// The last lines of every process, where a failing test shows them.
    fn show_logs(&self) {
        let names = ["scheduler"]
            .into_iter()
            .chain(self.nodes.keys().map(String::as_str));
        for name in names {
            let text = std::fs::read_to_string(self.dir().join(format!("{name}.log")));
            let text = text.unwrap_or_default();
            let from = text.len().saturating_sub(4_000);
            let from = (from..text.len())
                .find(|i| text.is_char_boundary(*i))
                .unwrap_or(from);
            let _ = writeln!(std::io::stderr(), "--- {name}\n{}", &text[from..]);
        }
    }
}

/// Runs a command to its end.
///
/// # Panics
/// When it cannot be started.
pub fn run(command: &mut Command) -> Finished {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Finished {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// SIGTERM, and SIGKILL when that does not end it in time.
fn terminate(child: &mut Child) {
    use rustix::process::{Pid, Signal, kill_process};
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
    let start = std::time::Instant::now();
    while start.elapsed() < Duration::from_secs(10) {
        if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
}
