//! One attempt, from the supervisor's word to start it to the word that it is
//! over: a task of its own that owns the attempt's directory meanwhile.
//!
//! ```text
//! make slot ─▶ order keeper ─▶ accompany: logs, scratch ─▶ drain logs ─▶ harvest ─▶ ended
//!     │ kill, or it cannot be had        │ ended, or lost with its keeper            ▲
//!     └──────────────────────────────────┴───────────────────────────────────────────┘
//! ```
//!
//! What the driver knows comes over a watch: see `known.rs`.

use std::sync::Arc;
use std::time::Duration;

use stint_api::id::AttemptId;
use stint_api::link::{Grant, Report};
use stint_api::outcome::Outcome;
use stint_api::quantity::Bytes;
use stint_api::tasks::TaskRange;
use stint_supervisor::AttemptEnd;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::happened::Happened;
use super::harvest::{Left, harvest};
use super::known::Known;
use super::last_lines::last_lines;
use super::modules::blocking;
use super::plan::start_order;
use super::said::Listener;
use super::scratch::Room;
use super::slot::Slot;
use super::tail::{News, Tail};
use super::tools::Tools;
use crate::keeper::protocol::{Spooled, StartOrder};

/// How often an attempt's logs and files are looked at while it runs: soon
/// enough for whoever follows a log, seldom enough to cost nothing.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Every so many looks its files are measured, which walks them all.
const LOOKS_A_MEASURE: u32 = 3;
/// After so many looks at a run it has begun its last task: what is said there is that task's.
const SETTLING_LOOKS: u32 = 10;
/// While this much waits to be told to the scheduler, logs stay in their files:
/// a few batches, so that the link is never idle for want of it.
const UNSAID_BYTES_MAX: usize = 8 << 20;
/// The signal that takes workers along when their keeper dies.
const SIGKILL: i32 = 9;

/// An attempt's task.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// What its slot is called: of a run, the first attempt.
    id: AttemptId,
    grant: Grant,
    slot: Slot,
    known: watch::Receiver<Known>,
    tools: Arc<Tools>,
}

/// How far an attempt is when its task begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum From {
    /// Nothing was done.
    Start,
    /// An earlier node process gave it to the keeper, which has it over this connection.
    Kept {
        /// The connection.
        epoch: u64,
    },
}

impl Attempt {
    pub(crate) fn new(
        id: AttemptId,
        mut grant: Grant,
        known: watch::Receiver<Known>,
        tools: Arc<Tools>,
    ) -> Self {
        if tools.disks {
            // A disk is one attempt's, so that there are no runs.
            grant.tasks = vec![TaskRange::one(id.task)];
        }
        let mut slot = Slot::at(tools.dir.slot(&id));
        let own = {
            let known = known.borrow();
            let task = known.turn.unwrap_or(id.task);
            Slot::at(tools.dir.slot(&AttemptId { task, ..id.clone() }))
        };
        // It ended in a run before, and its files were taken out of that.
        if own.root().exists() {
            slot = own;
        }
        Self {
            id,
            grant,
            slot,
            known,
            tools,
        }
    }

    /// Sees the attempt to its end, and tells the driver.
    pub(crate) async fn run(mut self, from: From) {
        let ordered = match from {
            From::Start => self.start().await,
            From::Kept { epoch } => Ok(epoch),
        };
        let end = match ordered {
            Ok(epoch) => self.accompany(epoch).await,
            Err(outcome) => Some(self.without_run(outcome)),
        };
        if let Some(end) = &end {
            self.keep_checkpoint(&end.outcome).await;
        }
        let happened = match end {
            Some(end) => Happened::Ended {
                attempt: self.attempt(),
                slot: self.id,
                end: Box::new(end),
            },
            None => {
                let slot = self.slot;
                let removed = blocking(move || slot.remove()).await;
                if !matches!(removed, Ok(Ok(()))) {
                    tracing::warn!(slot = %self.id, "its files stay until the next start");
                }
                Happened::RunOver { slot: self.id }
            }
        };
        self.tools.teller.tell(happened).await;
    }

    /// The attempt whose turn it is.
    fn attempt(&self) -> AttemptId {
        let task = self.known.borrow().turn.unwrap_or(self.id.task);
        AttemptId {
            task,
            ..self.id.clone()
        }
    }

    /// Whether several tasks run here one after another.
    fn is_run(&self) -> bool {
        self.grant.tasks.iter().any(|run| run.count > 1)
    }

    /// What it left for its next attempt outlives its slot, unless there is none.
    async fn keep_checkpoint(&self, outcome: &Outcome) {
        if *outcome == Outcome::Succeeded {
            return;
        }
        let (id, slot, tools) = (self.attempt(), self.slot.clone(), Arc::clone(&self.tools));
        let kept = blocking(move || tools.checkpoints.keep(&id, &slot)).await;
        if let Ok(Err(error)) = kept {
            tracing::warn!(attempt = %self.id, %error, "its checkpoint is lost");
        }
    }

    fn without_run(&self, outcome: Outcome) -> AttemptEnd {
        AttemptEnd::without_run(outcome, self.tools.now())
    }

    /// Gives the attempt to the keeper; the connection over which.
    async fn start(&mut self) -> Result<u64, Outcome> {
        if self.tools.checkpoints.has(&self.grant.id) {
            // What an earlier attempt left is one task's, so that there is no run.
            self.grant.tasks = vec![TaskRange::one(self.id.task)];
        }
        let order = self.make().await?;
        let keeper = self.tools.keeper.clone();
        let started = tokio::select! {
            // First, so that an attempt that shall not run is not begun.
            biased;
            why = killed(&mut self.known) => return Err(why),
            started = keeper.start(order) => started,
        };
        started.map_err(|error| Outcome::StartFailed {
            step: format!("order: {error}"),
        })
    }

    /// Makes the slot. Not to be dropped half-way, or its files might stay.
    async fn make(&mut self) -> Result<StartOrder, Outcome> {
        let module = self.grant.plan.module;
        let tools = Arc::clone(&self.tools);
        let artifact = tokio::select! {
            biased;
            why = killed(&mut self.known) => return Err(why),
            artifact = tools.modules.ready(&self.grant.plan, &self.id.job) => artifact?,
        };
        let beside = match &self.grant.plan.kit {
            None => None,
            Some(kit) => tokio::select! {
                biased;
                why = killed(&mut self.known) => return Err(why),
                beside = tools.kits.ready(kit) => Some(beside?),
            },
        };
        let inputs = tokio::select! {
            biased;
            why = killed(&mut self.known) => return Err(why),
            inputs = tools.staging.stage_all(&self.id.job, self.id.task, &self.grant.plan.inputs) => inputs?,
        };
        let (id, grant, slot) = (self.id.clone(), self.grant.clone(), self.slot.clone());
        let tools = Arc::clone(&self.tools);
        let made = blocking(move || {
            let failed = |step: String| Outcome::StartFailed { step };
            let touched = artifact.touch();
            touched.map_err(|error| failed(format!("the compiled module: {error}")))?;
            let disk = tools.disks.then_some(grant.plan.limits.scratch);
            slot.make(&inputs, disk)
                .map_err(|error| failed(super::explain::explain(&error)))?;
            let found = tools.checkpoints.give_back(&id, &slot);
            found.map_err(|error| failed(format!("its checkpoint: {error}")))?;
            if let Some(beside) = &beside {
                let put = beside.put(&slot);
                put.map_err(|error| failed(format!("the script: {error}")))?;
            }
            Ok(start_order(
                &id,
                grant,
                &artifact,
                &slot,
                &inputs,
                beside.as_ref(),
            ))
        });
        let made = made.await?;
        if matches!(made, Err(Outcome::StartFailed { .. })) {
            self.tools.modules.doubt(&module);
        }
        made
    }

    /// Says its logs and watches its files until it is over; how it ended, unless it is
    /// a run that is over and of which all that ran has passed.
    async fn accompany(&mut self, epoch: u64) -> Option<AttemptEnd> {
        let mut look = Look::new(&self.id, &self.slot, &self.grant);
        let mut ticks = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut kill: Option<Outcome> = None;
        let mut killed_in = None;
        let mut settling = SETTLING_LOOKS;
        let spooled = loop {
            let known = self.known.borrow_and_update().clone();
            if known.over {
                return None;
            }
            if let Some(spooled) = known.ended {
                break Some(spooled);
            }
            if known.missing_in > epoch {
                break None;
            }
            if kill.is_none() {
                kill = known.kill;
            }
            let current = epoch.max(known.present_in);
            if let Some(why) = &kill
                && killed_in.is_none_or(|killed_in| killed_in < current)
            {
                killed_in = self.tools.keeper.kill(&self.id, why).await;
            }
            tokio::select! {
                changed = self.known.changed() => if changed.is_err() {
                    // The driver has gone, and this task goes with it.
                    std::future::pending::<()>().await;
                },
                _ = ticks.tick() => {
                    if self.is_run() && !self.known.borrow().started {
                        continue;
                    }
                    // What a run has in its logs is nobody's before it is known whose.
                    let logs = !self.is_run() || self.known.borrow().speaks;
                    settling = settling.saturating_sub(1);
                    let hear = Hear {
                        logs: logs && self.has_room(),
                        said: (logs || settling == 0) && self.has_room(),
                    };
                    let is_full = self.look(&mut look, hear).await;
                    kill = kill.or(is_full);
                }
            }
        };
        self.take_out_of_its_run().await;
        // What was written after the last look.
        look.is_unread = true;
        while look.is_unread && self.wait_for_room().await {
            self.look(&mut look, Hear::ALL).await;
        }
        let dropped = self.end_logs(look).await;
        Some(match spooled {
            Some(mut spooled) => {
                spooled.usage.logs_dropped = spooled.logs_dropped.max(dropped);
                self.finish(*spooled).await
            }
            None => self.lost(),
        })
    }

    /// Gives the files of an attempt that ended in a run the attempt's own name, by which
    /// they are found from now on.
    async fn take_out_of_its_run(&mut self) {
        let own = Slot::at(self.tools.dir.slot(&self.attempt()));
        if own == self.slot {
            return;
        }
        let (from, to) = (self.slot.root().to_owned(), own.root().to_owned());
        match blocking(move || std::fs::rename(from, to)).await {
            Ok(Ok(())) => self.slot = own,
            Ok(Err(error)) => tracing::error!(%error, "its files stay where nobody finds them"),
            Err(outcome) => tracing::error!(%outcome, "its files stay where nobody finds them"),
        }
    }

    fn has_room(&self) -> bool {
        *self.tools.unsaid.borrow() < UNSAID_BYTES_MAX
    }

    /// Waits until little is unsaid; false when the driver has gone.
    async fn wait_for_room(&self) -> bool {
        let mut unsaid = self.tools.unsaid.clone();
        unsaid
            .wait_for(|bytes| *bytes < UNSAID_BYTES_MAX)
            .await
            .is_ok()
    }

    /// Looks once; why the attempt must end, if it must.
    async fn look(&self, look: &mut Look, hear: Hear) -> Option<Outcome> {
        let mut taken = std::mem::take(look);
        let (slot, attempt) = (self.slot.clone(), self.attempt());
        let looked = blocking(move || {
            if hear.logs || hear.said {
                taken.of(attempt, &slot);
            }
            let seen = taken.once(hear);
            (taken, seen)
        });
        let (back, seen) = looked.await.ok()?;
        *look = back;
        for report in seen.logs {
            self.tools.teller.tell(Happened::Say(report)).await;
        }
        seen.full
    }

    /// Says the end of its logs; how much of them nobody will read.
    async fn end_logs(&self, look: Look) -> Bytes {
        let ended = blocking(move || match look.watched {
            Some((mut tail, mut listener, _)) => {
                let mut news = tail.finish();
                news.reports.extend(listener.finish());
                news
            }
            None => News::default(),
        });
        let news = ended.await.unwrap_or_default();
        for report in news.reports {
            self.tools.teller.tell(Happened::Say(report)).await;
        }
        Bytes(news.dropped)
    }

    /// The attempt ended as the keeper says; what it left is looked at.
    async fn finish(&self, spooled: Spooled) -> AttemptEnd {
        if matches!(spooled.outcome, Outcome::StartFailed { .. }) {
            self.tools.modules.doubt(&self.grant.plan.module);
        }
        let harvested = if spooled.outcome == Outcome::Succeeded {
            let (slot, plan) = (self.slot.clone(), self.grant.plan.clone());
            blocking(move || harvest(&slot, &plan)).await.flatten()
        } else if self.tools.disks && fails_by_itself(&spooled.outcome) {
            // It may have failed because it was told that its disk was full.
            let room = Room::new(&self.slot, self.grant.plan.limits.scratch);
            let room = blocking(move || room.check()).await.flatten();
            room.map(|()| Left::default())
        } else {
            Ok(Left::default())
        };
        let (outcome, left) = match harvested {
            Ok(left) => (spooled.outcome, left),
            Err(outcome) => (outcome, Left::default()),
        };
        let (slot, ended) = (self.slot.clone(), outcome.clone());
        let stderr_tail = blocking(move || last_lines(&slot, &ended)).await;
        AttemptEnd {
            outcome,
            at: spooled.ended_at,
            usage: spooled.usage,
            stderr_tail: stderr_tail.unwrap_or_default(),
            result: left.result,
            files: left.files,
        }
    }

    /// The attempt is gone with its keeper.
    fn lost(&self) -> AttemptEnd {
        let started = self.known.borrow().started;
        self.without_run(if started {
            Outcome::WorkerLost { signal: SIGKILL }
        } else {
            Outcome::StartFailed {
                step: "the keeper was lost before the worker was up".to_owned(),
            }
        })
    }
}

/// Whether a guest ended so without anybody's doing.
const fn fails_by_itself(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Exited { .. } | Outcome::Trapped { .. })
}

/// Waits until the attempt shall end.
async fn killed(known: &mut watch::Receiver<Known>) -> Outcome {
    let why = match known.wait_for(|known| known.kill.is_some()).await {
        Ok(known) => known.kill.clone(),
        Err(_) => None,
    };
    match why {
        Some(why) => why,
        None => std::future::pending().await,
    }
}

/// What is looked at while an attempt runs.
#[derive(Debug, Default)]
struct Look {
    watched: Option<(Tail, Listener, Room)>,
    looks: u32,
    /// Whether the logs had more at the last look.
    is_unread: bool,
}

/// What of it is to be passed on.
#[derive(Clone, Copy, Debug)]
struct Hear {
    logs: bool,
    said: bool,
}

impl Hear {
    const ALL: Self = Self {
        logs: true,
        said: true,
    };
}

#[derive(Debug, Default)]
struct Seen {
    logs: Vec<Report>,
    full: Option<Outcome>,
}

impl Look {
    fn new(id: &AttemptId, slot: &Slot, grant: &Grant) -> Self {
        let room = Room::new(slot, grant.plan.limits.scratch);
        Self {
            watched: Some((
                Tail::new(id.clone(), slot),
                Listener::new(id.clone(), slot),
                room,
            )),
            looks: 0,
            is_unread: true,
        }
    }

    /// The logs are of `attempt`, in `slot`.
    fn of(&mut self, attempt: AttemptId, slot: &Slot) {
        if let Some((tail, listener, _)) = &mut self.watched {
            tail.of(attempt.clone(), slot);
            listener.of(attempt, slot);
        }
    }

    fn once(&mut self, hear: Hear) -> Seen {
        let Some((tail, listener, room)) = &mut self.watched else {
            self.is_unread = false;
            return Seen::default();
        };
        let mut seen = Seen::default();
        if hear.logs {
            let news = tail.read();
            seen.logs = news.reports;
            self.is_unread = news.is_unread;
        }
        if hear.said {
            seen.logs.extend(listener.listen(Instant::now().into_std()));
        }
        self.looks = self.looks.wrapping_add(1);
        if self.looks.is_multiple_of(LOOKS_A_MEASURE) {
            seen.full = room.check().err();
        }
        seen
    }
}
