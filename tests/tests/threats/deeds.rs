//! Threats that are more than one job, or that come from beside it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use stint_api::client::Client;
use stint_api::job::JobSpec;
use stint_api::quantity::{Bytes, Millicores};
use stint_api::view::EventKind;
use stint_tests::wait::wait_for;
use stint_tests::{Site, guest};

use crate::bytes::branches_with_luggage;
use crate::{CAPACITY, NODE, STRANGER, run};

/// Jobs of one module that come at once.
const AT_ONCE: usize = 1_000;
/// Of them, those that are under way to the scheduler at a time.
const ON_THE_WIRE: usize = 32;
const BOUND: Duration = Duration::from_secs(60);

/// A threat in a few words, and the deed.
pub(crate) type Deed = (&'static str, fn(&mut Site));

pub(crate) const DEEDS: &[Deed] = &[
    (
        "8 a bomb that is refused already",
        a_refused_bomb_is_not_compiled_again,
    ),
    (
        "12 a bomb a thousand times",
        a_module_is_compiled_once_for_all,
    ),
    ("23 a link for the collector", a_link_is_not_published),
    (
        "39 arguments and environment",
        too_much_to_say_is_not_accepted,
    ),
    ("41 half an output", half_an_output_is_not_published),
    ("42 a crash loop", a_crash_loop_is_bounded),
    (
        "45 a signal from outside",
        a_signal_is_told_and_leaves_no_core,
    ),
    (
        "15 a compiled module with a flipped bit",
        a_flipped_bit_is_found,
    ),
];

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(work)
}

fn file(site: &Site, name: &str, bytes: &[u8]) -> PathBuf {
    let path = site.dir().join(format!("{name}.wasm"));
    std::fs::write(&path, bytes).unwrap();
    path
}

/// What a node did to get ready for a job.
async fn steps(client: &Client, job: &str) -> Vec<String> {
    let mut events = client.events(&job.parse().unwrap());
    let mut steps = Vec::new();
    while let Some(event) = events.next().await.unwrap() {
        if let EventKind::Preparing { step, .. } = event.what {
            steps.push(step);
        }
    }
    steps
}

fn is_compiled(steps: &[String]) -> bool {
    steps.iter().any(|step| step.starts_with("compiling"))
}

fn a_refused_bomb_is_not_compiled_again(site: &mut Site) {
    let bomb = file(site, "again", &branches_with_luggage(0));
    let client = Client::new(&site.url(), None).unwrap();
    for is_first in [true, false] {
        let ended = run(site, &bomb, &[], &[]);
        assert_eq!(ended.reason(), "compile-limit", "{:#}", ended.json);
        let job = ended.json["id"].as_str().unwrap();
        let steps = block_on(steps(&client, job));
        assert_eq!(is_compiled(&steps), is_first, "{steps:?}");
    }
}

fn a_module_is_compiled_once_for_all(site: &mut Site) {
    let bomb = file(site, "shared-bomb", &branches_with_luggage(1));
    let client = Client::new(&site.url(), None).unwrap();
    let (compiled, reasons) = block_on(async {
        let namespace = STRANGER.parse().unwrap();
        let module = client.push_module(&namespace, &bomb).await.unwrap();
        // So small that the node is given all of them, and none waits for another's place.
        let spec = JobSpec {
            namespace,
            cpu: Millicores(10),
            memory: Bytes::mebi(1),
            scratch: Bytes::mebi(1),
            ..JobSpec::new(module.digest)
        };
        let mut jobs = Vec::new();
        let mut submits = tokio::task::JoinSet::new();
        for number in 0..AT_ONCE {
            if submits.len() == ON_THE_WIRE {
                jobs.push(submits.join_next().await.unwrap().unwrap());
            }
            let (client, spec) = (client.clone(), spec.clone());
            submits.spawn(async move {
                let key = format!("bomb-{number}");
                client.submit(&spec, &key).await.unwrap().id
            });
        }
        jobs.extend(submits.join_all().await);
        let (mut compiled, mut reasons) = (0, BTreeMap::new());
        for job in jobs {
            compiled += usize::from(is_compiled(&steps(&client, &job.to_string()).await));
            let failure = client.job(&job).await.unwrap().first_failure.unwrap();
            *reasons
                .entry(failure.outcome.reason().to_owned())
                .or_insert(0) += 1;
        }
        (compiled, reasons)
    });
    assert_eq!(reasons, BTreeMap::from([("compile-limit".into(), AT_ONCE)]));
    assert_eq!(compiled, 1, "jobs for which it was compiled");
}

fn a_link_is_not_published(site: &mut Site) {
    let output = site.dir().join("taken");
    let guest = guest::assemble("link-out", site.dir());
    let ended = run(site, &guest, &["--output", output.to_str().unwrap()], &[]);
    assert_eq!(ended.reason(), "output-refused", "{:#}", ended.json);
    assert!(!output.join("0").exists());
}

fn half_an_output_is_not_published(site: &mut Site) {
    let output = site.dir().join("half");
    let guest = guest::assemble("half-output", site.dir());
    let ended = run(site, &guest, &["--output", output.to_str().unwrap()], &[]);
    assert_eq!(ended.reason(), "trapped", "{:#}", ended.json);
    assert!(!output.join("0").exists());
}

fn too_much_to_say_is_not_accepted(site: &mut Site) {
    let wasm = guest::assemble("hello", site.dir());
    let pushed = site.stint(["module".as_ref(), "push".as_ref(), wasm.as_os_str()]);
    assert_eq!(pushed.code, 0, "{pushed:#?}");
    let module = site.get("/v1/modules").unwrap().1["modules"][0]["digest"].clone();
    let many: BTreeMap<String, &str> = (0..100_000).map(|n| (format!("V{n}"), "x")).collect();
    for (what, body) in [
        ("10 MB of arguments", json!({"args": ["x".repeat(900_000)]})),
        ("100,000 arguments", json!({"args": vec!["x"; 100_000]})),
        ("100,000 variables", json!({"env": many})),
        ("a zero byte in an argument", json!({"args": ["a\0b"]})),
        ("a zero byte in a value", json!({"env": {"A": "a\0b"}})),
        ("an equals sign in a name", json!({"env": {"A=B": "c"}})),
        ("an empty name", json!({"env": {"": "c"}})),
        ("a name of ours", json!({"env": {"STINT_TASK_INDEX": "7"}})),
    ] {
        let mut body = body;
        body["module"] = module.clone();
        let headers = [("content-type", "application/json")];
        let body = serde_json::to_vec(&body).unwrap();
        let (status, answer) = site.request("POST", "/v1/jobs", &headers, body).unwrap();
        assert!(
            [400, 413, 422].contains(&status),
            "{what}: {status} {answer:#}"
        );
    }
}

fn submit(site: &Site, name: &str, flags: &[&str]) -> String {
    let file = guest::assemble(name, site.dir());
    let mut line: Vec<&OsStr> = ["submit", "--namespace", STRANGER].map(OsStr::new).into();
    line.extend(flags.iter().map(OsStr::new));
    line.push(file.as_os_str());
    let finished = site.stint(line);
    assert_eq!(finished.code, 0, "{finished:#?}");
    finished.stdout.trim().to_owned()
}

fn a_crash_loop_is_bounded(site: &mut Site) {
    let id = submit(site, "stderr-then-fail", &["--retries", "1000"]);
    let attempts = || site.job(&id).unwrap()["attempts"].as_u64().unwrap();
    wait_for("it is tried again", BOUND, || {
        (attempts() >= 3).then_some(())
    });
    assert!(attempts() < 100, "each wait is longer than the one before");
    assert_eq!(site.stint(["cancel", &id]).code, 0);
    assert_eq!(site.wait_until_over(&id)["state"], "cancelled");
}

fn a_signal_is_told_and_leaves_no_core(site: &mut Site) {
    use rustix::process::{Pid, Signal, kill_process};
    let before = site.pids(NODE, "__worker");
    let id = submit(site, "spin", &["--timeout", "30s"]);
    site.wait_until_running(&id);
    let lost = wait_for("a worker is lost to the signal", BOUND, || {
        // The neighbour's may be hit too; that is free, and it runs again.
        for worker in site.pids(NODE, "__worker") {
            if !before.contains(&worker) {
                let worker = Pid::from_raw(worker).unwrap();
                // It may have ended meanwhile.
                let _ = kill_process(worker, Signal::SEGV);
            }
        }
        let tasks = site.tasks(&id)?;
        Some(tasks["history"].as_array()?.first()?["outcome"].clone())
    });
    assert_eq!(
        (&lost["reason"], &lost["signal"]),
        (&json!("worker-lost"), &json!(11))
    );
    assert_eq!(site.stint(["cancel", &id]).code, 0);
    site.wait_until_over(&id);
    let names = std::fs::read_dir(site.node_dir(NODE)).unwrap();
    let is_core = |name: &OsStr| name.to_string_lossy().starts_with("core");
    assert!(!names.flatten().any(|entry| is_core(&entry.file_name())));
}

/// Every compiled module below a directory.
fn compiled_below(dir: &std::path::Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| match entry.path() {
            path if path.is_dir() => compiled_below(&path),
            path if path.extension() == Some(OsStr::new("cwasm")) => vec![path],
            _ => Vec::new(),
        })
        .collect()
}

fn a_flipped_bit_is_found(site: &mut Site) {
    let cache = site.node_dir(NODE).join("artifacts");
    let guest = guest::assemble("exit-code", site.dir());
    let known = compiled_below(&cache);
    assert_eq!(run(site, &guest, &[], &[]).json["code"], 42);
    let artifacts = compiled_below(&cache);
    let new = artifacts.iter().find(|path| !known.contains(path)).unwrap();
    let whole = std::fs::read(new).unwrap();
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 4;
    for again in [false, true] {
        if again {
            // Nobody has it in memory any more.
            site.kill_whole_node(NODE);
            site.start_node(NODE, &CAPACITY);
        }
        // Put in its place at once, so that whoever runs it goes on with the whole one.
        let beside = new.with_extension("flipped");
        std::fs::write(&beside, &flipped).unwrap();
        std::fs::rename(&beside, new).unwrap();
        assert_eq!(run(site, &guest, &[], &[]).json["code"], 42);
    }
    let found = std::fs::read(new).unwrap();
    assert!(found == whole, "it was compiled again");
}
