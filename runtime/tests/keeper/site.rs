//! A node's directory for one test, and a look at what a keeper leaves outside of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sha2::{Digest as _, Sha256};
use stint_api::id::{AttemptId, Digest};
use stint_api::link::{Grant, Plan, RetryBudget};
use stint_api::quantity::{Bytes, Millicores, Resources};
use stint_api::tasks::TaskRange;
use stint_api::time::Span;
use stint_runtime::keeper::client::{BERTHS, Lifetime, LimitsMode, Options, connect_or_spawn};
use stint_runtime::keeper::protocol::StartOrder;
use stint_sandbox::Profile;
use tempfile::TempDir;

use crate::node::Node;

/// This binary, which is the keeper's too.
pub(crate) const EXE: &str = "/proc/self/exe";
/// Where the kernel shows its groups.
const GROUPS: &str = "/sys/fs/cgroup";
/// No group of ours is deeper.
const GROUPS_DEPTH: usize = 8;
/// Longest wait for what must come.
const BOUND: Duration = Duration::from_secs(20);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(2);

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(BOUND, async {
        while !condition() {
            tokio::time::sleep(LOOK).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// A node's directory; its keeper is ended with it.
pub(crate) struct Site {
    temporary: TempDir,
    options: Options,
}

impl Site {
    pub(crate) fn new(lifetime: Lifetime) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path().canonicalize().unwrap();
        Self {
            options: Options {
                dir,
                limits: LimitsMode::Auto,
                berths: BERTHS,
                lifetime,
            },
            temporary,
        }
    }

    /// As on a machine where no cgroup can be written.
    pub(crate) fn without_cgroups(mut self) -> Self {
        self.options.limits = LimitsMode::Off;
        self
    }

    /// Where only so many workers may wait.
    pub(crate) fn with_berths(mut self, berths: u16) -> Self {
        self.options.berths = berths;
        self
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn dir(&self) -> &Path {
        self.temporary.path()
    }

    /// Whether the outcome of `attempt` is in the spool, as the next keeper would read it.
    pub(crate) fn is_spooled(&self, attempt: &AttemptId) -> bool {
        self.spooled().contains(&attempt.to_string())
    }

    /// All whose outcomes are.
    pub(crate) fn spooled(&self) -> BTreeSet<String> {
        let text = fs::read_to_string(self.dir().join("spool/outcomes.jsonl"));
        let mut found = BTreeSet::new();
        for line in text.unwrap_or_default().lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
            if let Some(attempt) = line["ended"]["attempt"].as_str() {
                found.insert(attempt.to_owned());
            } else if let Some(attempt) = line["discarded"].as_str() {
                found.remove(attempt);
            }
        }
        found
    }

    /// Finds or starts its keeper.
    pub(crate) async fn connect(&self) -> Node {
        let connected = connect_or_spawn(EXE.as_ref(), &self.options).await;
        let connection = connected.unwrap_or_else(|error| panic!("{error:?}: {}", self.log()));
        Node::new(connection)
    }

    /// The same, with a lease that no test outlasts.
    pub(crate) async fn connect_leased(&self) -> Node {
        let node = self.connect().await;
        node.lease(Span::from_secs(120)).await;
        node
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir().join("keeper.log")).unwrap_or_default()
    }

    /// An order to run `guest`, which is compiled already.
    pub(crate) fn order(&self, attempt: &str, guest: &str, timeout: Span) -> StartOrder {
        let attempt: AttemptId = attempt.parse().unwrap();
        let limits = Resources {
            cpu: Millicores(1_000),
            memory: Bytes::mebi(16),
            scratch: Bytes::mebi(1),
        };
        let (artifact, sha256) = artifact(guest);
        StartOrder {
            grant: grant(&attempt, limits, timeout),
            plan: stint_sandbox::Plan {
                artifact,
                artifact_sha256: sha256,
                profile: Profile::Plain,
                entry: stint_api::kit::Entry::default(),
                args: vec!["guest".to_owned()],
                env: Vec::new(),
                memory_limit_bytes: limits.memory.0,
                dirs: Vec::new(),
                stdout: self.dir().join(format!("{attempt}.out")),
                stderr: self.dir().join(format!("{attempt}.err")),
                log_bytes_max: 1 << 16,
            },
            attempt,
            limits,
            timeout,
        }
    }

    /// Groups of this directory's keeper: the tree itself and its leaves.
    pub(crate) fn groups(&self) -> Vec<PathBuf> {
        let path = self.options.dir.as_os_str().as_encoded_bytes();
        let tree = &Digest(Sha256::digest(path).into()).hex()[..16];
        let mut found = Vec::new();
        find(Path::new(GROUPS), tree, 0, &mut found);
        let leaves: Vec<_> = found.iter().flat_map(|tree| directories(tree)).collect();
        found.extend(leaves);
        found
    }
}

fn directories(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

fn find(dir: &Path, name: &str, depth: usize, found: &mut Vec<PathBuf>) {
    for below in directories(dir) {
        if below.ends_with(name) {
            found.push(below);
        } else if depth < GROUPS_DEPTH {
            find(&below, name, depth + 1, found);
        }
    }
}

impl Drop for Site {
    /// Nothing of a test outlives it, even one that failed.
    fn drop(&mut self) {
        let mark = self.dir().to_str().unwrap_or_default().to_owned();
        for pid in processes() {
            let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).into_owned();
            if command.contains("__keeper") && command.contains(&mark) {
                kill(pid, Signal::TERM);
            }
        }
    }
}

fn grant(attempt: &AttemptId, limits: Resources, timeout: Span) -> Grant {
    Grant {
        id: attempt.grant_id(),
        tasks: vec![TaskRange::one(attempt.task)],
        plan: Plan {
            module: Digest([7; 32]),
            kit: None,
            args: Vec::new(),
            env: BTreeMap::new(),
            task_count: 1,
            retry: Vec::new(),
            limits,
            timeout,
            inputs: Vec::new(),
            output: None,
            stall: None,
            isolation: stint_api::job::Isolation::Task,
        },
        budget: RetryBudget {
            retries: 0,
            losses: 0,
            time: None,
            backoff: Span::ZERO,
            backoff_max: Span::ZERO,
        },
    }
}

/// The programs of these tests.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    let text = match name {
        "noop" => r#"(module (memory (export "memory") 1) (func (export "_start")))"#,
        "hello" => include_str!("../../../tests/jobs/hello.wat"),
        "spin" => include_str!("../../../tests/jobs/spin.wat"),
        "compute" => include_str!("../../../tests/jobs/compute.wat"),
        "exit-42" => include_str!("../../../tests/jobs/exit-code.wat"),
        "traces" => include_str!("../../../tests/jobs/traces.wat"),
        "unreachable" => include_str!("../../../tests/jobs/unreachable.wat"),
        "sleep" => include_str!("../../../tests/jobs/sleep-forever.wat"),
        other => panic!("no guest {other}"),
    };
    wat::parse_str(text).unwrap()
}

/// A guest's artifact and its sha-256, made once.
fn artifact(name: &str) -> (PathBuf, [u8; 32]) {
    static MADE: OnceLock<TempDir> = OnceLock::new();
    let dir = MADE.get_or_init(|| tempfile::tempdir().unwrap());
    let path = dir.path().join(name);
    if !path.exists() {
        fs::write(&path, stint_sandbox::compile(&guest(name)).unwrap()).unwrap();
    }
    let sha256 = Sha256::digest(fs::read(&path).unwrap()).into();
    (path, sha256)
}

fn processes() -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Child processes of `parent`, zombies too.
pub(crate) fn children(parent: i32) -> Vec<i32> {
    let of = |pid: i32| -> Option<i32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let after = stat.rsplit_once(')')?.1;
        after.split_whitespace().nth(1)?.parse().ok()
    };
    let all = processes().into_iter();
    all.filter(|pid| of(*pid) == Some(parent)).collect()
}

/// Those of them that are called so.
fn named(parent: i32, name: &str) -> Vec<i32> {
    let is = |pid: &i32| {
        let comm = fs::read_to_string(format!("/proc/{pid}/comm"));
        comm.is_ok_and(|comm| comm.trim_end() == name)
    };
    children(parent).into_iter().filter(is).collect()
}

/// Workers of `keeper` that were assigned an attempt.
pub(crate) fn workers(keeper: i32) -> Vec<i32> {
    named(keeper, "stint-worker")
}

/// Workers of `keeper` that wait, or are about to.
pub(crate) fn berthed(keeper: i32) -> Vec<i32> {
    named(keeper, "stint-berth")
}

/// Zygotes of `keeper`.
pub(crate) fn zygotes(keeper: i32) -> Vec<i32> {
    named(keeper, "stint-zygote")
}

/// Whether a process waits for a message.
pub(crate) fn is_waiting(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/wchan")).is_ok_and(|at| at.contains("unix_stream"))
}

/// Whether a process is in `state`, as the kernel shows it: `S` sleeps, `Z` was not reaped yet.
pub(crate) fn is_in_state(pid: i32, state: char) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = stat.rsplit_once(") ").map(|(_, after)| after);
    after.is_some_and(|after| after.starts_with(state))
}

/// Waits until `keeper` has a zygote that can bear.
pub(crate) async fn fertile(keeper: i32) {
    until("a zygote is ready", || {
        zygotes(keeper).into_iter().any(is_waiting)
    })
    .await;
}

/// Compilers of `keeper`.
pub(crate) fn compilers(keeper: i32) -> Vec<i32> {
    let compiles = |pid: &i32| command(*pid).contains("__compile\0");
    children(keeper).into_iter().filter(compiles).collect()
}

fn command(pid: i32) -> String {
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&command).into_owned()
}

/// Zygotes and workers that were started by `keeper` or for it, wherever they are now.
pub(crate) fn workers_of(keeper: i32) -> Vec<i32> {
    let of = ["__worker", "__zygote"].map(|verb| format!("{verb}\0{keeper}\0"));
    let is = |pid: &i32| of.iter().any(|of| command(*pid).contains(of));
    processes().into_iter().filter(is).collect()
}

pub(crate) fn kill(pid: i32, signal: Signal) {
    let pid = Pid::from_raw(pid).unwrap();
    let _ = kill_process(pid, signal);
}

/// Whether no such process is left, not even one to be reaped.
pub(crate) fn is_gone(pid: i32) -> bool {
    test_kill_process(Pid::from_raw(pid).unwrap()).is_err()
}
