//! Facts before answers: nothing leaves before it is durable, and nothing
//! leaves at all once it cannot be.

use std::pin::Pin;
use std::sync::{Condvar, Mutex};
use std::task::Poll;

use stint_api::id::{ClusterId, Digest, JobId};
use stint_api::job::JobSpec;
use stint_api::quantity::Bytes;
use stint_api::view::{JobState, ModuleView};
use stint_cluster::{CancelError, Submission};
use stint_store::{Batch, CampaignError, LoadError, MemoryStore, PowerLoss, Record};

use super::start::Started;
use super::*;

/// A store that several drivers share one after another, whose commits wait
/// while its gate is shut.
#[derive(Clone, Default)]
struct Shared(Arc<(Mutex<Inside>, Condvar)>);

#[derive(Default)]
struct Inside {
    memory: MemoryStore,
    is_shut: bool,
    waiting: bool,
}

impl Shared {
    fn inside(&self) -> std::sync::MutexGuard<'_, Inside> {
        self.0.0.lock().unwrap()
    }

    fn shut(&self) {
        self.inside().is_shut = true;
    }

    fn open(&self) {
        self.inside().is_shut = false;
        self.0.1.notify_all();
    }

    /// Blocks until a commit waits at the gate.
    fn wait_for_commit(&self) {
        let inside = self.inside();
        drop(
            self.0
                .1
                .wait_while(inside, |inside| !inside.waiting)
                .unwrap(),
        );
    }

    fn lose_power(&self, after_batches: usize) {
        let loss = PowerLoss { after_batches };
        self.inside().memory.fail_next_commit(loss);
    }

    fn cycle_power(&self) {
        let mut inside = self.inside();
        let memory = std::mem::take(&mut inside.memory);
        inside.memory = memory.power_cycle();
    }
}

impl Store for Shared {
    fn load_page(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>, LoadError> {
        self.inside().memory.load_page(prefix, after, limit)
    }

    fn campaign(&mut self) -> Result<Term, CampaignError> {
        self.inside().memory.campaign()
    }

    fn commit(&mut self, term: Term, batches: &[Batch]) -> Result<(), CommitError> {
        let mut inside = self.inside();
        if inside.is_shut {
            inside.waiting = true;
            self.0.1.notify_all();
            inside = self
                .0
                .1
                .wait_while(inside, |inside| inside.is_shut)
                .unwrap();
            inside.waiting = false;
        }
        inside.memory.commit(term, batches)
    }
}

async fn driver(store: &Shared) -> Started {
    let origin = Origin {
        store: Box::new(store.clone()),
        cluster: stint_cluster::Config::default(),
        new: ClusterId(7),
        clock: Clock::start(),
        metrics: Arc::new(Metrics::new()),
    };
    start(origin).await.unwrap()
}

fn module() -> ModuleView {
    ModuleView {
        namespace: stint_api::id::Namespace::default(),
        digest: Digest([1; 32]),
        size: Bytes(8),
        kind: "core".to_owned(),
        entry: "_start".to_owned(),
        memory_min: Bytes(0),
        imports: Vec::new(),
        profile: "plain".to_owned(),
        pushed_at: Time::default(),
        kit: None,
    }
}

async fn push(handle: &Handle) {
    let pushed = handle.call(|turn| {
        let (_, effects) = turn.cluster.module_pushed(turn.now, module()).unwrap();
        turn.follow(effects);
    });
    pushed.await.unwrap();
}

async fn submit(handle: &Handle) -> Result<JobId, CallError> {
    let submitted = handle.call(|turn| {
        let spec = JobSpec::new(Digest([1; 32]));
        let (submission, effects) = turn.cluster.submit(turn.now, spec, None).unwrap();
        turn.follow(effects);
        submission
    });
    submitted.await.map(|submission| match submission {
        Submission::New(id) | Submission::Known(id) => id,
    })
}

async fn is_known(handle: &Handle, id: JobId) -> bool {
    let known = handle.call(move |turn| turn.cluster.job(&id).is_some());
    known.await.unwrap()
}

/// Looks once whether there is an answer.
async fn is_pending<T>(mut answer: Pin<&mut impl Future<Output = T>>) -> bool {
    std::future::poll_fn(|context| Poll::Ready(answer.as_mut().poll(context).is_pending())).await
}

async fn end(started: Started) -> Result<(), DriverError> {
    let ended = started.ended.await.unwrap();
    tokio::task::spawn_blocking(|| started.thread.join().unwrap())
        .await
        .unwrap();
    ended
}

#[tokio::test]
async fn nothing_is_answered_or_told_before_it_is_durable() {
    let store = Shared::default();
    let started = driver(&store).await;
    push(&started.handle).await;
    let heard = *started.events.changes().borrow();
    store.shut();
    let mut answer = Box::pin(submit(&started.handle));
    // Asks; the answer waits for the disk.
    assert!(is_pending(answer.as_mut()).await);
    store.wait_for_commit();
    // A reader behind it must not see what is not durable either.
    let mut reader = Box::pin(is_known(&started.handle, "default.1".parse().unwrap()));
    assert!(is_pending(reader.as_mut()).await);
    assert!(is_pending(answer.as_mut()).await);
    assert_eq!(*started.events.changes().borrow(), heard);
    store.open();
    let id = answer.await.unwrap();
    assert_eq!(id, "default.1".parse().unwrap());
    assert!(reader.await);
    let mut head = started.events.changes();
    head.wait_for(|head| *head > heard).await.unwrap();
    started.handle.stop();
    end(started).await.unwrap();
}

#[tokio::test]
async fn a_commit_that_fails_ends_the_driver_and_every_answer() {
    let store = Shared::default();
    let started = driver(&store).await;
    push(&started.handle).await;
    store.lose_power(0);
    assert_eq!(submit(&started.handle).await, Err(CallError::Stopped));
    let handle = started.handle.clone();
    assert!(matches!(end(started).await, Err(DriverError::Commit(_))));
    assert_eq!(submit(&handle).await, Err(CallError::Stopped));
    // Nothing was acknowledged, and nothing is there.
    store.cycle_power();
    let started = driver(&store).await;
    assert!(!is_known(&started.handle, "default.1".parse().unwrap()).await);
    started.handle.stop();
    end(started).await.unwrap();
}

#[tokio::test]
async fn an_answer_that_was_lost_with_the_power_may_still_have_been_kept() {
    let store = Shared::default();
    let started = driver(&store).await;
    push(&started.handle).await;
    store.lose_power(usize::MAX);
    assert_eq!(submit(&started.handle).await, Err(CallError::Stopped));
    assert!(end(started).await.is_err());
    store.cycle_power();
    let started = driver(&store).await;
    assert!(is_known(&started.handle, "default.1".parse().unwrap()).await);
    started.handle.stop();
    end(started).await.unwrap();
}

#[tokio::test]
async fn what_was_answered_is_there_after_the_next_start_under_the_same_name() {
    let store = Shared::default();
    let started = driver(&store).await;
    push(&started.handle).await;
    let id = submit(&started.handle).await.unwrap();
    let cancelled = id.clone();
    let cancelled = started.handle.call(move |turn| {
        let effects = turn.cluster.cancel(turn.now, &cancelled)?;
        turn.follow(effects);
        Ok::<_, CancelError>(())
    });
    cancelled.await.unwrap().unwrap();
    let cluster = started.handle.call(|turn| turn.cluster.id());
    let cluster = cluster.await.unwrap();
    let heard = *started.events.changes().borrow();
    started.handle.stop();
    end(started).await.unwrap();
    let started = driver(&store).await;
    let job = started.handle.call(move |turn| turn.cluster.job(&id));
    assert_eq!(job.await.unwrap().unwrap().state, JobState::Cancelled);
    let again = started.handle.call(|turn| turn.cluster.id());
    assert_eq!(again.await.unwrap(), cluster);
    // Numbers of events go on: a follower of the last process is not sent old ones.
    assert!(*started.events.changes().borrow() >= heard);
    started.handle.stop();
    end(started).await.unwrap();
}

#[tokio::test]
async fn who_was_replaced_cannot_write_any_more() {
    let store = Shared::default();
    let old = driver(&store).await;
    push(&old.handle).await;
    let new = driver(&store).await;
    assert_eq!(submit(&old.handle).await, Err(CallError::Stopped));
    assert!(matches!(
        end(old).await,
        Err(DriverError::Commit(CommitError::Fenced { .. }))
    ));
    submit(&new.handle).await.unwrap();
    new.handle.stop();
    end(new).await.unwrap();
}

#[tokio::test]
async fn a_heart_that_breaks_ends_the_driver() {
    let started = driver(&Shared::default()).await;
    let broken = started
        .handle
        .call(|_| -> () { panic!("broken on purpose") });
    assert_eq!(broken.await, Err(CallError::Stopped));
    // The thread ends without a word: whoever waits is told so.
    assert!(started.ended.await.is_err());
}
