//! A keeper, and this process as its node.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stint_api::id::{AttemptId, Digest};
use stint_api::job::Isolation;
use stint_api::link::{Grant, Plan, RetryBudget};
use stint_api::quantity::{Bytes, Millicores, Resources};
use stint_api::tasks::TaskRange;
use stint_api::time::Span;
use stint_runtime::keeper::client::{
    BERTHS, Connection, Event, Lifetime, LimitsMode, Options, connect_or_spawn,
};
use stint_runtime::keeper::protocol::{BootTime, Spooled, StartOrder};
use stint_sandbox::{Access, Dir, Profile};
use tokio::time::sleep;

use crate::Fault;
use crate::guests::{self, Artifact, Program};

/// This binary is the keeper's too.
const EXE: &str = "/proc/self/exe";
/// Longer than any run of this.
const LEASE: Span = Span::from_secs(3_000);
/// No attempt that is not to reach its deadline takes as long.
pub(crate) const LONG: Span = Span::from_secs(60);
/// How often it is looked whether enough workers wait.
const LOOK: Duration = Duration::from_millis(1);
/// Longest look.
const LOOKS_MAX: usize = 5_000;
/// `USER_HZ`, which Linux fixes at 100 on every architecture that we know.
const TICK: Duration = Duration::from_millis(10);

/// The wall clock, which guests tell too.
pub(crate) fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// A directory with a keeper in it.
pub(crate) struct Site {
    dir: PathBuf,
    connection: Connection,
    tasks: u32,
}

/// What came of an attempt, by the wall clock.
pub(crate) struct Ran {
    /// When its order was given.
    pub(crate) ordered: Duration,
    /// When its outcome was known here.
    pub(crate) known: Duration,
    /// The outcome.
    pub(crate) ended: Spooled,
    /// What it wrote.
    pub(crate) stdout: PathBuf,
}

impl Site {
    /// Starts a keeper in `dir`, which is made anew, with whom at most `berths` workers wait.
    pub(crate) async fn open(dir: &Path, berths: u16) -> Result<Self, Fault> {
        if dir.exists() {
            fs::remove_dir_all(dir)?;
        }
        fs::create_dir_all(dir)?;
        let dir = dir.canonicalize()?;
        let connection = connect(&dir, berths).await?;
        Ok(Self {
            dir,
            connection,
            tasks: 0,
        })
    }

    pub(crate) fn limits(&self) -> &str {
        &self.connection.kept.limits
    }

    pub(crate) fn jail(&self) -> String {
        self.connection.kept.jail.to_string()
    }

    fn pid(&self) -> i32 {
        self.connection.kept.pid.unwrap_or_default()
    }

    /// An order to run `program`, in a new process.
    pub(crate) fn order(&mut self, program: Program) -> Result<StartOrder, Fault> {
        let artifact = guests::artifact(&self.dir, program)?;
        self.order_of(&artifact)
    }

    /// The same of an artifact wherever it is.
    pub(crate) fn order_of(&mut self, artifact: &Artifact) -> Result<StartOrder, Fault> {
        self.tasks += 1;
        let attempt: AttemptId = format!("bench.1.t{}.g1.1", self.tasks).parse()?;
        let limits = Resources {
            cpu: Millicores(1_000),
            memory: Bytes::mebi(16),
            scratch: Bytes::mebi(1),
        };
        Ok(StartOrder {
            grant: grant(&attempt, limits),
            plan: stint_sandbox::Plan {
                artifact: artifact.path.clone(),
                artifact_sha256: artifact.sha256,
                profile: Profile::Plain,
                entry: stint_api::kit::Entry::default(),
                args: vec!["guest".to_owned()],
                env: Vec::new(),
                memory_limit_bytes: limits.memory.0,
                dirs: Vec::new(),
                stdout: self.dir.join("stdout"),
                stderr: self.dir.join("stderr"),
                log_bytes_max: 1 << 16,
            },
            attempt,
            limits,
            timeout: LONG,
        })
    }

    /// Gives an order.
    pub(crate) async fn start(&mut self, order: &StartOrder) -> Result<(), Fault> {
        Ok(self.connection.keeper.start(order.clone()).await?)
    }

    /// How the next attempt that ends has ended.
    pub(crate) async fn ended(&mut self) -> Result<Spooled, Fault> {
        loop {
            match self.connection.events.recv().await {
                Some(Event::Ended(spooled)) => return Ok(*spooled),
                Some(_) => {}
                None => return Err("the keeper is gone".into()),
            }
        }
    }

    /// Lets the keeper forget an attempt that ended.
    pub(crate) async fn discard(&mut self, ended: &Spooled) -> Result<(), Fault> {
        Ok(self
            .connection
            .keeper
            .discard(ended.attempt.clone())
            .await?)
    }

    /// Runs an attempt to its end, which is to be for that `reason`.
    pub(crate) async fn run(&mut self, order: &StartOrder, reason: &str) -> Result<Ran, Fault> {
        // What is left of the run before is not this one's.
        drop(fs::remove_file(&order.plan.stdout));
        let ordered = now();
        self.start(order).await?;
        let ended = self.ended().await?;
        let known = now();
        if ended.outcome.reason() != reason {
            let attempt = &ended.attempt;
            return Err(format!("{attempt} was to end for {reason}: {}", ended.outcome).into());
        }
        self.discard(&ended).await?;
        Ok(Ran {
            ordered,
            known,
            ended,
            stdout: order.plan.stdout.clone(),
        })
    }

    /// Runs this many no-op tasks of one grant, one worker going from each to the next; how
    /// many that were. Runs end early when they take long, and another goes on from there.
    pub(crate) async fn run_through(&mut self, tasks: u32) -> Result<u32, Fault> {
        let mut order = self.order(Program::NoOp)?;
        self.tasks += tasks;
        let first = order.attempt.task;
        order.grant.plan.isolation = Isolation::Job;
        order.plan.env = vec![("STINT_TASK_INDEX".to_owned(), first.to_string())];
        for (guest, access) in [
            ("in", Access::Read),
            ("out", Access::Write),
            ("scratch", Access::Write),
        ] {
            let host = self.dir.join(guest);
            fs::create_dir_all(&host)?;
            let guest = format!("/{guest}");
            order.plan.dirs.push(Dir {
                host,
                guest,
                access,
            });
        }
        drop(fs::remove_file(&order.plan.stdout));
        drop(fs::remove_file(&order.plan.stderr));
        let mut left = TaskRange {
            first,
            count: tasks,
        };
        while left.count > 0 {
            order.attempt.task = left.first;
            order.plan.env[0].1 = left.first.to_string();
            order.grant.tasks = vec![left];
            self.start(&order).await?;
            loop {
                let (spooled, over) = match self.connection.events.recv().await {
                    Some(Event::Passed(spooled)) => {
                        let over = spooled.passed.is_some_and(|passed| passed.over);
                        (spooled, over)
                    }
                    Some(Event::Ended(spooled)) => {
                        return Err(format!("a run ended: {}", spooled.outcome).into());
                    }
                    Some(_) => continue,
                    None => return Err("the keeper is gone".into()),
                };
                let count = spooled.passed.map_or(0, |passed| passed.count);
                left.first += count;
                left.count = left.count.saturating_sub(count);
                self.discard(&spooled).await?;
                if over {
                    break;
                }
            }
        }
        Ok(tasks)
    }

    /// Lets the connection go and finds the keeper again: how long that took, and how
    /// many attempts it was told of.
    pub(crate) async fn find_again(&mut self) -> Result<(Duration, usize), Fault> {
        let start = now();
        self.connection = connect(&self.dir, BERTHS).await?;
        Ok((now() - start, self.connection.kept.running.len()))
    }

    /// A path for a file of this site.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The number of the last order.
    pub(crate) fn number(&self) -> u32 {
        self.tasks
    }

    /// Workers that wait.
    pub(crate) fn waiting(&self) -> Vec<i32> {
        let is = |pid: &i32| is_named(*pid, "stint-berth") && is_waiting(*pid);
        self.children().into_iter().filter(is).collect()
    }

    /// Waits until a worker waits, and the keeper too.
    pub(crate) async fn is_warm(&self) -> Result<(), Fault> {
        for _ in 0..LOOKS_MAX {
            if self.waiting().len() >= 2 && is_waiting(self.pid()) {
                return Ok(());
            }
            sleep(LOOK).await;
        }
        Err("no worker waits".into())
    }

    /// Waits until a worker waits that has loaded `artifact`, another, and the keeper too.
    pub(crate) async fn is_primed(&self, artifact: &Path) -> Result<(), Fault> {
        let artifact = artifact.display().to_string();
        let has = |pid: i32| {
            let maps = fs::read_to_string(format!("/proc/{pid}/maps"));
            maps.is_ok_and(|maps| maps.contains(&artifact))
        };
        for _ in 0..LOOKS_MAX {
            self.is_warm().await?;
            if self.waiting().into_iter().any(has) && is_waiting(self.pid()) {
                return Ok(());
            }
            sleep(LOOK).await;
        }
        Err("nobody waits with the module".into())
    }

    /// Waits until a zygote can bear a worker, for where nobody may wait, and the keeper too.
    pub(crate) async fn is_fertile(&self) -> Result<(), Fault> {
        for _ in 0..LOOKS_MAX {
            let zygotes = self.children().into_iter();
            let mut zygotes = zygotes.filter(|pid| is_named(*pid, "stint-zygote"));
            if zygotes.any(is_waiting) && is_waiting(self.pid()) {
                return Ok(());
            }
            sleep(LOOK).await;
        }
        Err("no zygote waits".into())
    }

    fn children(&self) -> Vec<i32> {
        let pid = self.pid();
        let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let text = text.unwrap_or_default();
        text.split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect()
    }

    /// CPU time of the keeper and of all its children, dead or alive, so far.
    pub(crate) fn cpu(&self) -> Duration {
        let children = self.children().into_iter();
        children.chain([self.pid()]).map(cpu).sum()
    }

    /// Ends the keeper.
    pub(crate) async fn close(mut self) -> Result<(), Fault> {
        self.connection.keeper.exit().await?;
        while self.connection.events.recv().await.is_some() {}
        Ok(())
    }
}

async fn connect(dir: &Path, berths: u16) -> Result<Connection, Fault> {
    let options = Options {
        dir: dir.to_owned(),
        limits: LimitsMode::Auto,
        berths,
        lifetime: Lifetime::Outlives,
    };
    let connection = connect_or_spawn(EXE.as_ref(), &options).await?;
    connection
        .keeper
        .lease(BootTime::now().after(LEASE))
        .await?;
    Ok(connection)
}

fn grant(attempt: &AttemptId, limits: Resources) -> Grant {
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
            timeout: LONG,
            inputs: Vec::new(),
            output: None,
            stall: None,
            isolation: Isolation::Task,
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

fn is_named(pid: i32, name: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim_end() == name)
}

/// Whether a process waits, for a message or for whatever comes.
fn is_waiting(pid: i32) -> bool {
    let at = fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
    at.contains("unix_stream") || at.contains("poll")
}

/// CPU time of a process and of those of its children that it has waited for.
pub(crate) fn cpu(pid: i32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(4);
    TICK * ticks
        .filter_map(|field| field.parse::<u32>().ok())
        .sum::<u32>()
}
