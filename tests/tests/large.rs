//! Large jobs and long lists stay usable: results of very many tasks are streamed in bounded
//! memory on both sides, while the job runs and after; a table of a large job, and a page of
//! very many jobs, are there at once. The node is the test's own: what is tried here is the scheduler
//! and the command line. A fifth of a million tasks by themselves; `STINT_LARGE=1000000` for more.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use stint_api::client::Client;
use stint_api::id::{Incarnation, JobId, Namespace};
use stint_api::job::{JobBatch, JobSpec};
use stint_api::link::{Ended, Grant, Hello, Order, PROTOCOL, Report, Reports, Verdict};
use stint_api::outcome::{Outcome, Usage};
use stint_api::quantity::{Bytes, Millicores, Resources};
use stint_api::time::{Span, Time};
use stint_tests::Site;

/// Tasks of the job, each with a result.
const TASKS: u32 = 200_000;
/// Most that either side may have in memory, however many results there are.
const MEMORY_KIB_MAX: u64 = 200 << 10;
/// Jobs of the long list, for so many tasks: 20,000 by themselves.
const TASKS_A_JOB: u32 = 10;
/// Jobs of one batch: the most that it takes.
const BATCH: u32 = 10_000;
/// Longest that a table or a page may take: the machine may be busy.
const AT_ONCE: Duration = Duration::from_secs(3);
/// Slots of the node.
const SLOTS: u32 = 64;

fn tasks() -> u32 {
    let wanted = std::env::var("STINT_LARGE").ok();
    wanted.map_or(TASKS, |wanted| wanted.parse().unwrap())
}

fn hello() -> Hello {
    Hello {
        protocol: PROTOCOL,
        version: "0".to_owned(),
        node: "node-a".parse().unwrap(),
        incarnation: Incarnation(1),
        cluster: None,
        capacity: Resources {
            cpu: Millicores(1_000 * SLOTS),
            memory: Bytes::mebi(64 * u64::from(SLOTS)),
            scratch: Bytes::mebi(64 * u64::from(SLOTS)),
        },
        labels: BTreeMap::new(),
        limits: "none".to_owned(),
        held: Vec::new(),
        sent_at: Time::default(),
    }
}

fn spec(site: &Site) -> JobSpec {
    let pushed = site.stint([
        "module".as_ref(),
        "push".as_ref(),
        "--json".as_ref(),
        stint_tests::guest::assemble("no-op", site.dir()).as_os_str(),
    ]);
    let digest = pushed.json()["digest"].as_str().unwrap().to_owned();
    let mut spec = JobSpec::new(digest.parse().unwrap());
    spec.memory = Bytes::mebi(64);
    spec.scratch = Bytes::mebi(64);
    spec
}

/// All tasks of the grant ended well, each with a result.
fn ended(grant: &Grant) -> impl Iterator<Item = Report> + '_ {
    grant.tasks.iter().map(|tasks| {
        let result = |task| {
            let text = format!("{{\"square\": {}, \"name\": \"task {task}\"}}", task * 2);
            (task, serde_json::from_str(&text).unwrap())
        };
        let wall = Span::from_nanos(100_000 * u64::from(tasks.count));
        Report::Ended(Ended {
            id: grant.id.clone(),
            tasks: *tasks,
            try_number: 1,
            outcome: Outcome::Succeeded,
            usage: Usage {
                wall,
                ..Usage::default()
            },
            at: Time::from_nanos(1),
            verdict: Verdict::Final,
            stderr_tail: None,
            results: tasks.iter().map(result).collect(),
        })
    })
}

/// Runs what it is granted until so many tasks have ended.
async fn run(client: &Client, count: u32) {
    let hello = hello();
    let welcome = client.hello(&hello).await.unwrap();
    let generation = welcome.generation;
    let mut orders = client.orders(&hello.node, generation).await.unwrap();
    let mut done = 0;
    while done < count {
        let line = orders.next().await.unwrap().unwrap();
        let mut reports = Vec::new();
        for order in line.orders {
            let grants = match order {
                Order::Run(grant) => vec![grant],
                Order::Full { grants, .. } => grants,
                _ => Vec::new(),
            };
            for grant in &grants {
                done += grant.tasks.iter().map(|run| run.count).sum::<u32>();
                reports.extend(ended(grant));
            }
        }
        let node = hello.node.clone();
        let batch = Reports {
            node,
            generation,
            reports,
        };
        client.report(&batch).await.unwrap();
    }
}

/// The most that a process has had in memory so far.
fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse().unwrap()
}

/// Lines of `stint results`, and the most memory it had.
fn results(site: &Site, id: &JobId, format: &str) -> (u32, String, u64) {
    let mut command = site.command(["results", &id.to_string(), "--format", format]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut count, mut last, mut peak) = (0, String::new(), 0);
    for line in lines {
        last = line.unwrap();
        count += 1;
        // Gone once it has written its last line.
        if count % 10_000 == 0 && child.try_wait().unwrap().is_none() {
            peak = peak.max(peak_kib(child.id()));
        }
    }
    assert!(child.wait().unwrap().success());
    (count, last, peak)
}

fn tell(figures: &str) {
    let _ = writeln!(std::io::stderr(), "{figures}");
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

#[test]
fn results_of_very_many_tasks_are_streamed_and_a_table_of_them_is_there_at_once() {
    let site = Site::start();
    let (client, tasks) = (Client::new(&site.url(), None).unwrap(), tasks());
    let mut spec = spec(&site);
    spec.tasks = tasks;
    let id = runtime().block_on(async {
        let id = client.submit(&spec, "large").await.unwrap().id;
        run(&client, tasks / 2).await;
        id
    });
    // While it runs there is what has ended.
    let (half, ..) = results(&site, &id, "json");
    assert!((tasks / 2..tasks).contains(&half), "{half}");
    runtime().block_on(run(&client, tasks - half));
    let began = Instant::now();
    let (count, last, client_peak) = results(&site, &id, "json");
    let took = began.elapsed();
    assert_eq!(count, tasks);
    assert!(
        last.starts_with(&format!("{{\"task\":{}", tasks - 1)),
        "{last}"
    );
    let (rows, last, table_peak) = results(&site, &id, "csv");
    assert_eq!(rows, tasks + 1);
    assert!(
        last.ends_with(&format!(",task {},{}", tasks - 1, (tasks - 1) * 2)),
        "{last}"
    );
    let began = Instant::now();
    let status = site.stint(["status", &id.to_string()]);
    let shown = began.elapsed();
    assert_eq!(status.code, 0, "{status:#?}");
    assert!(status.stdout.lines().count() < 150, "{}", status.stdout);
    let scheduler_peak = peak_kib(site.scheduler_pid().unwrap());
    let figures = format!(
        "{tasks} tasks: results in {took:?}, status in {shown:?}; at most KiB: scheduler \
         {scheduler_peak}, results {client_peak}, as a table {table_peak}"
    );
    tell(&figures);
    let peaks = [scheduler_peak, client_peak, table_peak];
    assert!(peaks.iter().all(|peak| *peak < MEMORY_KIB_MAX), "{figures}");
    assert!(shown < AT_ONCE, "{figures}");
    site.stop_and_check();
}

#[test]
fn a_page_of_very_many_jobs_is_there_at_once() {
    let site = Site::start();
    let (client, jobs) = (
        Client::new(&site.url(), None).unwrap(),
        tasks() / TASKS_A_JOB,
    );
    let namespace = Namespace::default();
    let mut spec = spec(&site);
    // They wait, each with a reason to be told.
    spec.constraints = vec!["nowhere".parse().unwrap()];
    let mut took = runtime().block_on(async {
        for first in (0..jobs).step_by(BATCH as usize) {
            let count = BATCH.min(jobs - first) as usize;
            let batch = JobBatch {
                jobs: vec![spec.clone(); count],
            };
            let key = format!("batch {first}");
            client.submit_batch(&batch, &key).await.unwrap();
        }
        let (mut took, mut cursor, mut seen) = (Vec::new(), None, 0);
        loop {
            let began = Instant::now();
            let page = client.jobs(&namespace, cursor.as_deref(), 100).await;
            took.push(began.elapsed());
            let page = page.unwrap();
            seen += page.jobs.len();
            cursor = page.next;
            if cursor.is_none() {
                assert_eq!(seen, jobs as usize);
                return took;
            }
        }
    });
    took.sort_unstable();
    let late = took[took.len() * 99 / 100];
    let began = Instant::now();
    let listed = site.stint(["jobs"]);
    let shown = began.elapsed();
    assert_eq!(listed.stdout.lines().count(), 21, "{listed:#?}");
    let figures = format!("{jobs} jobs: p99 of a page of 100 {late:?}; `stint jobs` in {shown:?}");
    tell(&figures);
    assert!(late < AT_ONCE / 3 && shown < AT_ONCE, "{figures}");
    site.stop_and_check();
}
