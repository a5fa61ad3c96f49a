//! Following a job until it is over: its output, its events, why it waits,
//! and Ctrl-C, which cancels it.

use std::time::Duration;

use stint_api::client::{Client, Error, Follow, LogBytes, LogChoice, Patience};
use stint_api::id::JobId;
use stint_api::view::{Event, JobView};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::failure::Shown;
use crate::interrupt::Interrupts;
use crate::progress::Progress;
use crate::writer::Writer;

/// Pieces of output, and events, that may wait to be written; the scheduler
/// holds the rest back.
const PENDING_MAX: usize = 64;
/// How often a job that does not start is asked why.
const WAITING_INTERVAL: Duration = Duration::from_secs(3);
/// Longest wait for a cancelled job to be over.
const CANCEL_WAIT: Duration = Duration::from_secs(15);
/// Longest wait for the rest of the output once the job is over.
const OUTPUT_WAIT: Duration = Duration::from_secs(10);

/// How following ended.
#[derive(Debug)]
pub(crate) enum Followed {
    /// The job is over.
    Over(Box<JobView>),
    /// Ctrl-C: the job was cancelled, and is over if there was time for it.
    Interrupted(Box<JobView>),
}

/// A job that is being followed.
#[derive(Debug)]
pub(crate) struct Follower<'a> {
    pub(crate) client: &'a Client,
    pub(crate) id: &'a JobId,
    pub(crate) progress: &'a Progress,
    pub(crate) writer: Writer,
}

impl Follower<'_> {
    /// Follows the job until it is over, or until Ctrl-C has cancelled it.
    pub(crate) async fn follow(mut self, interrupts: &mut Interrupts) -> Result<Followed, Error> {
        let mut logs = spawn_logs(self.client.clone(), self.id.clone());
        let mut events = spawn_events(self.client.clone(), self.id.clone());
        let mut ask = tokio::time::interval_at(Instant::now() + WAITING_INTERVAL, WAITING_INTERVAL);
        let mut waiting = None;
        let mut logs_open = true;
        loop {
            tokio::select! {
                log = logs.recv(), if logs_open => match log {
                    Some(log) => self.write(log),
                    None => logs_open = false,
                },
                event = events.recv() => match event {
                    Some(event) => self.progress.event(&event?),
                    None => break,
                },
                _ = ask.tick() => {
                    self.progress.still_preparing();
                    self.say_why_it_waits(&mut waiting).await;
                }
                () = interrupts.next() => return self.cancel(interrupts).await,
            }
        }
        let deadline = Instant::now() + OUTPUT_WAIT;
        while logs_open {
            tokio::select! {
                log = tokio::time::timeout_at(deadline, logs.recv()) => match log {
                    Ok(Some(log)) => self.write(log),
                    Ok(None) => logs_open = false,
                    Err(_) => {
                        self.progress.note("the rest of the output did not come; see `stint logs`");
                        logs_open = false;
                    }
                },
                () = interrupts.next() => logs_open = false,
            }
        }
        let _ = self.writer.finish();
        Ok(Followed::Over(Box::new(
            patient_job(self.client, self.id).await?,
        )))
    }

    /// Output that cannot be written (nobody reads it any more) does not stop the job.
    fn write(&mut self, log: Result<LogBytes, Error>) {
        match log {
            Ok(log) => {
                let _ = self.progress.aside(|| self.writer.write(&log));
            }
            Err(error) => {
                let shown = Shown::new(&error.into());
                self.progress
                    .note(&format!("output is missing: {}", shown.message));
            }
        }
    }

    async fn say_why_it_waits(&self, said: &mut Option<String>) {
        let Ok(job) = self.client.job(self.id).await else {
            return; // The events tell when the scheduler is gone for good.
        };
        if job.waiting.is_some() && job.waiting != *said {
            if let Some(why) = &job.waiting {
                self.progress.waiting(why);
            }
            *said = job.waiting;
        }
    }

    async fn cancel(self, interrupts: &mut Interrupts) -> Result<Followed, Error> {
        self.progress.note("cancelling; once more to leave at once");
        let over = async {
            self.client.cancel(self.id).await?;
            let mut events = self.client.events(self.id);
            while events.next().await?.is_some() {}
            Ok::<(), Error>(())
        };
        tokio::select! {
            over = tokio::time::timeout(CANCEL_WAIT, over) => {
                if let Ok(Err(error)) = over {
                    return Err(error);
                }
            }
            () = interrupts.next() => {}
        }
        Ok(Followed::Interrupted(Box::new(
            self.client.job(self.id).await?,
        )))
    }
}

/// A job, through a restart of its scheduler.
async fn patient_job(client: &Client, id: &JobId) -> Result<JobView, Error> {
    let mut patience = Patience::default();
    loop {
        match client.job(id).await {
            Ok(job) => return Ok(job),
            Err(error) => patience.after(error).await?,
        }
    }
}

// Each stream has a task of its own: a future of theirs that is dropped
// half-way, as `select!` would, would have to begin again.

fn spawn_logs(client: Client, id: JobId) -> mpsc::Receiver<Result<LogBytes, Error>> {
    let (sender, receiver) = mpsc::channel(PENDING_MAX);
    tokio::spawn(async move {
        let choice = LogChoice {
            follow: Follow::UntilOver,
            ..LogChoice::default()
        };
        let mut logs = client.logs(&id, choice);
        while let Some(log) = logs.next().await.transpose() {
            let failed = log.is_err();
            if sender.send(log).await.is_err() || failed {
                break;
            }
        }
    });
    receiver
}

fn spawn_events(client: Client, id: JobId) -> mpsc::Receiver<Result<Event, Error>> {
    let (sender, receiver) = mpsc::channel(PENDING_MAX);
    tokio::spawn(async move {
        let mut events = client.events(&id);
        while let Some(event) = events.next().await.transpose() {
            let failed = event.is_err();
            if sender.send(event).await.is_err() || failed {
                break;
            }
        }
    });
    receiver
}
