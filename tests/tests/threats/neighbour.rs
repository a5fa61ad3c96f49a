//! The neighbour: a small honest job that runs again and again on the node where
//! the threats are, and notes how long each time took and whether it was right.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use stint_api::client::{Client, Follow, LogChoice};
use stint_api::job::JobSpec;
use stint_api::view::JobState;
use stint_tests::{Site, guest};

/// What it prints, always.
const RIGHT: &[u8] = b"aacokncb\n";
/// Runs by which its own pace is known.
const QUIET_RUNS: usize = 12;
/// How much slower than the slowest of its quiet runs a run beside a threat may be. The
/// machine may be busy with other things than this test, and a scheduler that
/// answers late is measured too; a neighbour that is really held up waits for
/// seconds, which is a hundred times as long and more.
const SLOWER_MAX: u32 = 20;
/// Longest that a run may take: it waits for nothing but its turn.
const STUCK: Duration = Duration::from_secs(60);

/// One run.
#[derive(Clone, Copy, Debug)]
struct Run {
    began: Instant,
    took: Duration,
}

/// The neighbour, at work.
pub(crate) struct Neighbour {
    runs: Receiver<Run>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// The slowest of the runs without a threat.
    quiet: Duration,
    /// Beside threats.
    loud: Vec<Duration>,
}

impl Neighbour {
    /// Moves in, and finds out how long it takes when it is alone.
    pub(crate) fn new(site: &Site) -> Self {
        let (client, wasm) = (
            Client::new(&site.url(), None).unwrap(),
            guest::assemble("neighbour", site.dir()),
        );
        let (sender, runs) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let namespace = "neighbour".parse().unwrap();
                let module = client.push_module(&namespace, &wasm).await.unwrap();
                let spec = JobSpec {
                    namespace,
                    ..JobSpec::new(module.digest)
                };
                for number in 0.. {
                    let began = Instant::now();
                    run(&client, &spec, &format!("run-{number}")).await;
                    let took = began.elapsed();
                    if stopped.load(Ordering::Relaxed) || sender.send(Run { began, took }).is_err()
                    {
                        return;
                    }
                }
            });
        });
        let mut neighbour = Self {
            runs,
            stop,
            thread: Some(thread),
            quiet: Duration::ZERO,
            loud: Vec::new(),
        };
        // The first compiles its module.
        neighbour.next("it is compiled");
        for _ in 0..QUIET_RUNS {
            let run = neighbour.next("nobody else is there");
            neighbour.quiet = neighbour.quiet.max(run.took);
        }
        neighbour
    }

    /// Looks at all its runs until one that began after `since` is over.
    ///
    /// # Panics
    /// When one of them was held up by `threat`.
    pub(crate) fn check(&mut self, threat: &str, since: Instant) {
        loop {
            let run = self.next(threat);
            self.loud.push(run.took);
            assert!(
                run.took <= self.quiet * SLOWER_MAX,
                "beside threat {threat} the neighbour took {:?}, alone at most {:?}",
                run.took,
                self.quiet
            );
            if run.began >= since {
                return;
            }
        }
    }

    /// Moves out, and says how it was.
    pub(crate) fn leave(mut self) -> String {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.loud.sort_unstable();
        let at = |part: usize| self.loud[(self.loud.len() - 1) * part / 100];
        format!(
            "{} runs of the neighbour beside threats: half within {:?}, 99 of 100 within {:?}; alone all within {:?}",
            self.loud.len(),
            at(50),
            at(99),
            self.quiet
        )
    }

    fn next(&self, beside: &str) -> Run {
        match self.runs.recv_timeout(STUCK) {
            Ok(run) => run,
            Err(error) => panic!("the neighbour is stuck or was wronged while {beside}: {error}"),
        }
    }
}

/// One run, from its submit until its result is known and found right.
async fn run(client: &Client, spec: &JobSpec, key: &str) {
    let id = client.submit(spec, key).await.unwrap().id;
    let mut events = client.events(&id);
    while events.next().await.unwrap().is_some() {}
    let job = client.job(&id).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{job:#?}");
    let choice = LogChoice {
        follow: Follow::No,
        ..LogChoice::default()
    };
    let mut logs = client.logs(&id, choice);
    let mut said = Vec::new();
    while let Some(log) = logs.next().await.unwrap() {
        said.extend(log.bytes);
    }
    assert_eq!(said, RIGHT, "the neighbour's result is another");
}
