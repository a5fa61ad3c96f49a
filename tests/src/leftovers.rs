//! What a site leaves behind: processes, found by a mark in their environment
//! that children inherit, and cgroups, found by the name that a node gives its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest as _, Sha256};

use crate::wait::wait_for;

/// The environment variable that marks every process of a site with the site's directory.
pub const TAG: &str = "STINT_TEST_SITE";

/// Longest until the kernel has reaped what was killed.
const GONE_BOUND: Duration = Duration::from_secs(10);

/// A process of a site.
#[derive(Debug)]
struct Process {
    pid: i32,
    /// Its command line, spaces between the arguments.
    command: String,
    /// What `ps` calls it.
    name: String,
    /// The name of the node it belongs to by its own or an ancestor's command line.
    node: Option<String>,
}

fn read(pid: i32, file: &str) -> Option<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/{file}")).ok()?;
    Some(String::from_utf8_lossy(&bytes).replace('\0', " "))
}

fn parent(pid: i32) -> Option<i32> {
    let stat = read(pid, "stat")?;
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()
}

/// Finds the node in whose directory `pid` or an ancestor works.
fn node_of(pid: i32, tag: &str) -> Option<String> {
    let mut pid = pid;
    while pid > 1 {
        let command = read(pid, "cmdline")?;
        if let Some(at) = command.find(&format!("{tag}/")) {
            let name = &command[at + tag.len() + 1..];
            let end = name.find([' ', '/']).unwrap_or(name.len());
            return Some(name[..end].to_owned());
        }
        pid = parent(pid)?;
    }
    None
}

impl Process {
    /// Whether it does what `verb` names. A worker that a zygote bore has the command
    /// line of that, and its own name from when it is assigned an attempt.
    fn does(&self, verb: &str) -> bool {
        match verb {
            "__worker" => self.name == "stint-worker",
            verb => self.command.split(' ').nth(1) == Some(verb),
        }
    }
}

fn processes(tag: &str) -> Vec<Process> {
    let mark = format!("{TAG}={tag}");
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| read(*pid, "environ").is_some_and(|all| all.split(' ').any(|v| v == mark)))
        .filter_map(|pid| {
            let command = read(pid, "cmdline").filter(|command| !command.is_empty())?;
            Some(Process {
                pid,
                command,
                name: read(pid, "comm").unwrap_or_default().trim().to_owned(),
                node: node_of(pid, tag),
            })
        })
        .collect()
}

/// Process ids of the site `tag` on the node `node` that run the hidden verb `verb`.
pub fn pids(tag: &str, node: &str, verb: &str) -> Vec<i32> {
    processes(tag)
        .into_iter()
        .filter(|process| process.node.as_deref() == Some(node))
        .filter(|process| process.does(verb))
        .map(|process| process.pid)
        .collect()
}

/// Kills with SIGKILL, and waits for the end of, all processes of a node, or of the whole site when `node` is empty.
pub fn kill_all(tag: &str, node: &str) {
    wait_for("all processes are gone", GONE_BOUND, || {
        let left: Vec<Process> = processes(tag)
            .into_iter()
            .filter(|process| node.is_empty() || process.node.as_deref() == Some(node))
            .collect();
        for process in &left {
            kill(process.pid);
        }
        left.is_empty().then_some(())
    });
}

/// Sends SIGKILL.
pub fn kill(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Waits until no process of the site is left, and no cgroup of a node whose directory is in `dir`.
///
/// # Panics
/// When something is left after the bound.
pub fn assert_none(tag: &str, dir: &Path) {
    wait_for(
        &format!("no process of {} is left", dir.display()),
        GONE_BOUND,
        || {
            let left = processes(tag);
            left.is_empty().then_some(())
        },
    );
    let trees: Vec<OsString> = subdirectories(dir).iter().map(|dir| tree_of(dir)).collect();
    let mut left = Vec::new();
    find_groups(Path::new("/sys/fs/cgroup"), &trees, &mut left);
    assert!(left.is_empty(), "cgroups are left: {left:#?}");
}

/// The name of the group that holds all slots of the node in `dir`.
fn tree_of(dir: &Path) -> OsString {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let digest = Sha256::digest(dir.as_os_str().as_encoded_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    OsString::from(&hex[..16])
}

fn find_groups(group: &Path, names: &[OsString], found: &mut Vec<PathBuf>) {
    for inner in subdirectories(group) {
        match inner.file_name() {
            Some(name) if names.iter().any(|wanted| wanted == name) => found.push(inner),
            _ => find_groups(&inner, names, found),
        }
    }
}

/// Those that are directories themselves, not links to some.
fn subdirectories(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// Whether any process of the site `tag` runs the hidden verb `verb`.
pub fn any_running(tag: &str, verb: &str) -> bool {
    processes(tag).iter().any(|process| process.does(verb))
}
