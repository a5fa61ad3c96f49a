//! From an order to an end.

use std::fs;

use stint_api::id::{AttemptId, Digest};
use stint_api::job::Input;
use stint_api::link::{LOG_STREAM_BYTES_MAX, Order, Report, Stream, Verdict};
use stint_api::outcome::Outcome;

use crate::site::{Site, ended, guest, last};

/// What a report is about, in a word.
fn word(report: &Report) -> String {
    match report {
        Report::Started { .. } => "started".into(),
        Report::Ended(ended) => ended.outcome.reason().into(),
        Report::Finished { .. } => "finished".into(),
        Report::Log { .. } => "log".into(),
        Report::Preparing { step, .. } => step.split(' ').next().unwrap().into(),
        Report::GaveBack { .. } => "gave back".into(),
        Report::Said { .. } => "said".into(),
        Report::Compiled { .. } => "compiled".into(),
    }
}

/// What was told of a stream before the end of the task.
fn log_before_end(reports: &[Report], wanted: Stream) -> Vec<u8> {
    let mut bytes = Vec::new();
    for report in reports {
        match report {
            Report::Log {
                stream,
                offset,
                data,
                ..
            } if *stream == wanted => {
                assert_eq!(*offset, bytes.len() as u64, "a gap in the log");
                bytes.extend(&data.0);
            }
            Report::Ended(_) => return bytes,
            _ => {}
        }
    }
    panic!("no end was told");
}

pub(crate) async fn a_task_is_told_of_from_its_module_to_its_end() {
    let site = Site::start().await;
    site.run(&guest("hello"), |_| ()).await;
    let end = site.last().await;
    assert_eq!(
        (end.outcome, end.verdict),
        (Outcome::Succeeded, Verdict::Final)
    );
    let reports = site.scheduler.reports();
    let words: Vec<String> = reports.iter().map(word).collect();
    let story = [
        "fetching",
        "compiling",
        "compiled",
        "started",
        "log",
        "succeeded",
    ];
    assert_eq!(words, story);
    assert_eq!(log_before_end(&reports, Stream::Stdout), b"hello\n");
    site.let_go().await;
    assert_eq!(site.names("artifacts").len(), 1, "it stays compiled");
}

pub(crate) async fn beginning_and_end_of_a_log_are_told_before_the_end() {
    let site = Site::start().await;
    site.run(&guest("log-flood"), |_| ()).await;
    let end = site.last().await;
    assert_eq!(end.outcome, Outcome::Succeeded);
    let log = log_before_end(&site.scheduler.reports(), Stream::Stdout);
    let (least, most) = (LOG_STREAM_BYTES_MAX - (1 << 20), LOG_STREAM_BYTES_MAX);
    assert!(
        (least..=most).contains(&(log.len() as u64)),
        "{}",
        log.len()
    );
    let dropped = end.usage.logs_dropped.0;
    assert!(dropped >= 4 << 20, "{dropped}");
    let missing = format!("\n[{dropped} bytes are left out here]\n");
    let mut windows = log.windows(missing.len());
    assert!(windows.any(|window| window == missing.as_bytes()));
}

pub(crate) async fn a_job_that_fails_is_tried_again_without_asking() {
    let site = Site::start().await;
    site.run(&guest("flaky"), |grant| grant.budget.retries = 2)
        .await;
    assert_eq!(site.last().await.outcome, Outcome::Succeeded);
    let ends: Vec<(String, u32)> = ended(&site.scheduler.reports())
        .map(|end| (end.outcome.reason().to_owned(), end.try_number))
        .collect();
    let wanted = [("exited", 1), ("exited", 2), ("succeeded", 3)];
    assert_eq!(
        ends,
        wanted.map(|(reason, try_number)| (reason.to_owned(), try_number))
    );
    site.let_go().await;
}

pub(crate) async fn a_module_with_other_bytes_is_never_run() {
    let site = Site::start().await;
    let digest = Digest([9; 32]);
    let bytes = wat::parse_bytes(&guest("hello")).unwrap().into_owned();
    site.scheduler.add_module_as(digest, bytes);
    site.run_module(digest, |_| ()).await;
    let end = site.last().await;
    let text = end.outcome.to_string();
    assert!(
        text.starts_with("start-failed") && text.contains("another digest"),
        "{text}"
    );
    assert_eq!(site.names("node/modules"), [] as [&str; 0]);
}

pub(crate) async fn inputs_are_there_to_read() {
    /// Exits with 7 when `/in/numbers` can be opened and cannot be written to.
    const READS: &str = r#"(module
        (import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "numbers")
        (data (i32.const 16) "folder/deep")
        (func (export "_start")
            (if (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 7) (i32.const 0)
                    (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 64))
                (then (call $exit (i32.const 1))))
            (if (i32.eqz (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 7)
                    (i32.const 0) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 64)))
                (then (call $exit (i32.const 2))))
            (if (call $open (i32.const 6) (i32.const 0) (i32.const 23) (i32.const 4) (i32.const 0)
                    (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 64))
                (then (call $exit (i32.const 3))))
            (call $exit (i32.const 7))))"#;
    let site = Site::start().await;
    fs::create_dir(site.path("data/folder")).unwrap();
    fs::write(site.path("data/folder/deep"), "2").unwrap();
    fs::write(site.path("data/numbers"), "1").unwrap();
    let input = |name: &str| Input {
        name: name.into(),
        url: format!("file://{}", site.path(&format!("data/{name}")).display()),
        ..Input::default()
    };
    let inputs = vec![input("numbers"), input("folder")];
    site.run(READS.as_bytes(), |grant| grant.plan.inputs = inputs)
        .await;
    assert_eq!(site.last().await.outcome, Outcome::Exited { code: 7 });
    assert_eq!(fs::read_to_string(site.path("data/numbers")).unwrap(), "1");
}

pub(crate) async fn too_much_on_the_disk_ends_an_attempt() {
    /// Appends to a file in `/scratch` for ever, whatever the answer.
    const FILLS: &str = r#"(module
        (import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write"
            (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 17)
        (data (i32.const 64) "big")
        (func (export "_start")
            (drop (call $open (i32.const 5) (i32.const 0) (i32.const 64) (i32.const 3)
                (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 24)))
            (i32.store (i32.const 32) (i32.const 65536))
            (i32.store (i32.const 36) (i32.const 4096))
            (loop $more
                (drop (call $write (i32.load (i32.const 24)) (i32.const 32) (i32.const 1)
                    (i32.const 40)))
                (br $more))))"#;
    let site = Site::start().await;
    site.run(FILLS.as_bytes(), |_| ()).await;
    assert_eq!(site.last().await.outcome, Outcome::ScratchFull);
    site.let_go().await;
}

pub(crate) async fn a_stopped_grant_is_killed_with_its_reason() {
    let site = Site::start().await;
    let attempt: AttemptId = site.run(&guest("spin"), |_| ()).await;
    let started = |reports: &[Report]| {
        let mut all = reports.iter();
        all.any(|report| matches!(report, Report::Started { .. }))
            .then_some(())
    };
    site.scheduler.wait(started).await;
    let stop = Order::Stop {
        id: attempt.grant_id(),
        why: Outcome::Cancelled,
    };
    site.scheduler.order(stop).await;
    let end = site.scheduler.wait(last).await;
    assert_eq!(end.outcome, Outcome::Cancelled);
    site.let_go().await;
}
