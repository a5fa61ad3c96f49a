//! A scheduler and its nodes, each a process of its own: started, found, killed
//! and cleaned up. All of it is in a directory of its own, and so is found by it.

pub(crate) mod processes;

mod interrupt;
mod wait;

pub(crate) use wait::wait_for;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};

use interrupt::on_interrupt;

/// Longest that a process may take to end after it was asked to.
const END_BOUND: Duration = Duration::from_secs(10);

/// A scheduler and its nodes. Clones are the same site.
#[derive(Clone)]
pub(crate) struct Site {
    stint: PathBuf,
    dir: PathBuf,
    listen: String,
    children: Arc<Mutex<BTreeMap<String, Child>>>,
}

impl Site {
    /// A site in `dir`, with nothing running; what an earlier one left there is ended and removed.
    ///
    /// # Errors
    /// The directory cannot be made empty, or no port is free.
    pub(crate) fn new(stint: &Path, dir: &Path) -> Result<Self> {
        end_leftovers(dir);
        if dir.exists() {
            fs::remove_dir_all(dir).with_context(|| format!("cannot empty {}", dir.display()))?;
        }
        fs::create_dir_all(dir)?;
        let free = TcpListener::bind("127.0.0.1:0")?;
        let listen = free.local_addr()?.to_string();
        Ok(Self {
            stint: stint.to_owned(),
            dir: dir.canonicalize()?,
            listen,
            children: Arc::default(),
        })
    }

    /// Where the scheduler listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// Where the scheduler keeps what it keeps.
    pub(crate) fn scheduler_dir(&self) -> PathBuf {
        self.dir.join("scheduler")
    }

    /// Where the node `name` keeps what it keeps.
    pub(crate) fn node_dir(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The command that a person would type for the scheduler.
    pub(crate) fn scheduler(&self, lease: &str) -> Command {
        let mut command = Command::new(&self.stint);
        command
            .args(["serve", "--listen", &self.listen, "--lease", lease])
            .arg("--data-dir")
            .arg(self.scheduler_dir());
        command
    }

    /// The command that a person would type for the node `name`.
    pub(crate) fn node(&self, name: &str, capacity: &str, inputs: &Path) -> Command {
        let mut command = Command::new(&self.stint);
        command
            .args(["node", "--join", &self.url(), "--name", name])
            .args(["--capacity", capacity, "--allow-inputs"])
            .arg(inputs)
            .arg("--dir")
            .arg(self.node_dir(name));
        command
    }

    /// Starts `command` as `name`, its output going to `NAME.log`.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(&self, name: &str, mut command: Command) -> Result<()> {
        let log = self.dir.join(format!("{name}.log"));
        let log = File::options().create(true).append(true).open(log)?;
        // A group of its own: Ctrl-C is ours to handle, in order.
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", self.stint.display()))?;
        self.children().insert(name.to_owned(), child);
        Ok(())
    }

    /// The process id of `name`.
    pub(crate) fn pid(&self, name: &str) -> Option<u32> {
        self.children().get(name).map(Child::id)
    }

    /// Every process that works for `name`: itself, and its keeper with all its descendants.
    pub(crate) fn pids(&self, name: &str) -> Vec<u32> {
        let mut pids: Vec<u32> = self.pid(name).into_iter().collect();
        pids.extend(self.kept(name));
        pids
    }

    /// The keeper of the node `name` and all its descendants.
    pub(crate) fn kept(&self, name: &str) -> Vec<u32> {
        processes::kept_in(&self.node_dir(name))
    }

    /// Kills `pids` with SIGKILL, and waits for those that are ours.
    ///
    /// # Errors
    /// One does not go.
    pub(crate) fn kill(&self, pids: &[u32]) -> Result<()> {
        for pid in pids {
            processes::signal(*pid, rustix::process::Signal::KILL);
        }
        wait_for("the killed processes are gone", END_BOUND, || {
            self.reap();
            Ok(pids
                .iter()
                .all(|pid| !processes::is_alive(*pid))
                .then_some(()))
        })
    }

    /// Calls `play`, and ends everything when it is over, however that comes about.
    ///
    /// # Errors
    /// Those of `play`, and a signal cannot be handled here.
    pub(crate) fn during<T>(&self, play: impl FnOnce() -> Result<T>) -> Result<T> {
        struct Stops<'a>(&'a Site);
        impl Drop for Stops<'_> {
            fn drop(&mut self) {
                self.0.stop();
            }
        }
        let interrupted = self.clone();
        on_interrupt(move || interrupted.stop())?;
        let _stops = Stops(self);
        play()
    }

    /// CPU time that `pids` have used so far, with what their reaped children used.
    pub(crate) fn cpu(pids: &[u32]) -> Duration {
        pids.iter().map(|pid| processes::cpu(*pid)).sum()
    }

    /// Ends everything: nodes, then the scheduler, then what nodes left.
    fn stop(&self) {
        let names: Vec<(String, u32)> = self
            .children()
            .iter()
            .map(|(name, child)| (name.clone(), child.id()))
            .collect();
        // Nodes sort before the scheduler.
        for (name, pid) in &names {
            processes::signal(*pid, rustix::process::Signal::TERM);
            let ended = wait_for(name, END_BOUND, || {
                self.reap();
                Ok((!self.children().contains_key(name)).then_some(()))
            });
            if ended.is_err() {
                processes::signal(*pid, rustix::process::Signal::KILL);
            }
        }
        end_leftovers(&self.dir);
        self.reap();
    }

    fn reap(&self) {
        self.children()
            .retain(|_, child| matches!(child.try_wait(), Ok(None)));
    }

    fn children(&self) -> MutexGuard<'_, BTreeMap<String, Child>> {
        // A map of processes stays true even if somebody panicked beside it.
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends keepers, and all that they keep, whose directory is below `dir`.
fn end_leftovers(dir: &Path) {
    let left = || {
        fs::read_dir(dir)
            .into_iter()
            .flatten()
            .flatten()
            .flat_map(|entry| processes::kept_in(&entry.path()))
            .collect::<Vec<u32>>()
    };
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::KILL] {
        for pid in left() {
            processes::signal(pid, signal);
        }
        let gone = wait_for("keepers are gone", END_BOUND, || {
            Ok(left().is_empty().then_some(()))
        });
        if gone.is_ok() {
            return;
        }
    }
}
