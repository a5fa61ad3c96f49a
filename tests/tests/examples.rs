//! What runs on a laptop runs on a cluster: every example, with no server and on two nodes,
//! leaves the same files and results, and who fails is told the same in the same words.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use stint_tests::kit::{artifacts, python, stint, with_python};
use stint_tests::leftovers::{self, TAG};
use stint_tests::site::{Finished, Site, run};

/// What is the same wherever a job runs; how long it took is not.
const SAME: [&str; 6] = ["state", "reason", "code", "tasks", "attempts", "error"];
/// The field of a result that says how long something took.
const TOOK: &str = "seconds";

/// What came of a job.
#[derive(Debug, PartialEq)]
struct Ended {
    code: i32,
    report: Map<String, Value>,
    results: Vec<Value>,
    /// The published files, by path, as digests.
    files: BTreeMap<String, String>,
}

/// The checkout.
fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap().canonicalize().unwrap()
}

/// Somewhere to run jobs.
enum Place {
    Laptop(tempfile::TempDir),
    Cluster(Site),
}

impl Place {
    /// No server: each command brings its own.
    fn laptop() -> Self {
        Self::Laptop(tempfile::tempdir().unwrap())
    }

    /// Two nodes, which may read the examples, and have compiled what was compiled before.
    fn cluster() -> Self {
        let mut site = Site::start();
        for name in ["a", "b"] {
            let dir = site.node_dir(name);
            std::fs::create_dir(&dir).unwrap();
            std::os::unix::fs::symlink(artifacts(), dir.join("artifacts")).unwrap();
            let examples = root().join("examples");
            site.start_node(name, &["--allow-inputs", examples.to_str().unwrap()]);
        }
        Self::Cluster(site)
    }

    fn dir(&self) -> &Path {
        match self {
            Self::Laptop(dir) => dir.path(),
            Self::Cluster(site) => site.dir(),
        }
    }

    /// The server, where there is one.
    fn site(&self) -> Option<&Site> {
        match self {
            Self::Laptop(_) => None,
            Self::Cluster(site) => Some(site),
        }
    }

    /// Where the job `name` publishes.
    fn out(&self, name: &str) -> PathBuf {
        self.dir().join("out").join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = match self {
            Self::Laptop(_) => stint(args),
            Self::Cluster(site) => site.command(args),
        };
        command.env(TAG, self.dir()).current_dir(self.dir());
        with_python(&mut command).env_remove("RUST_BACKTRACE");
        command
    }

    /// Runs the job `name` as `file` says, and `flags` and `args` after that.
    fn run(&self, name: &str, file: &Path, flags: &[&str], args: &[&str]) -> Ended {
        let (out, results) = (self.out(name), self.dir().join(format!("{name}.json")));
        let mut command = self.command(&["run", "--json", "--results"]);
        command.arg(&results).arg("--output").arg(&out).args(flags);
        let finished = run(command.arg(file).args(args));
        Ended::new(&finished, &results, &out)
    }

    /// Runs an example of this checkout.
    fn example(&self, job: &str, flags: &[&str], args: &[&str]) -> Ended {
        let file = root().join("examples").join(job);
        self.run(&job.replace(['/', '.'], "-"), &file, flags, args)
    }

    /// Stops it and checks that nothing is left.
    fn stop(self) {
        match self {
            Self::Laptop(dir) => {
                leftovers::assert_none(&dir.path().display().to_string(), dir.path());
            }
            Self::Cluster(site) => site.stop_and_check(),
        }
    }
}

impl Ended {
    fn new(finished: &Finished, results: &Path, out: &Path) -> Self {
        let report = finished.json();
        let same = SAME.map(|field| (field.to_owned(), report[field].clone()));
        let results = std::fs::read_to_string(results).unwrap_or_default();
        let mut files = BTreeMap::new();
        digests(out, out, &mut files);
        Self {
            code: finished.code,
            report: same.into_iter().collect(),
            results: results.lines().map(result).collect(),
            files,
        }
    }

    /// The same, if it succeeded.
    fn well(self) -> Self {
        assert_eq!(self.report["state"], "succeeded", "{self:#?}");
        self
    }
}

/// One line of results, without how long it took.
fn result(line: &str) -> Value {
    let mut result: Value = serde_json::from_str(line).unwrap();
    if let Some(fields) = result["result"].as_object_mut() {
        fields.remove(TOOK);
    }
    result["result"].clone()
}

fn digests(dir: &Path, base: &Path, found: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            digests(&path, base, found);
            continue;
        }
        let digest = Sha256::digest(std::fs::read(&path).unwrap());
        let name = path.strip_prefix(base).unwrap().display().to_string();
        found.insert(name, format!("{digest:x}"));
    }
}

/// Runs something in both places, and gives what came of it when that is the same.
fn both(places: &[Place; 2], run: impl Fn(&Place) -> Ended) -> Ended {
    let [laptop, cluster] = places.each_ref().map(run);
    assert_eq!(laptop, cluster, "a laptop (left) is no cluster (right)");
    laptop
}

#[test]
fn compiled_examples_leave_the_same_on_a_laptop_and_on_two_nodes() {
    // Where the second job of the word count looks, unless it is told otherwise.
    std::fs::create_dir_all(root().join("target/wordcount/counts")).unwrap();
    let places = [Place::laptop(), Place::cluster()];
    let example = |job: &str, args: &[&str]| both(&places, |at| at.example(job, &[], args).well());

    let flights = example("flights/job.toml", &[]);
    assert_eq!(flights.results.len(), 12);
    assert_eq!(flights.results[6]["carriers"]["UA"]["flights"], 5_066);
    example("kernels/job.toml", &[]);
    let flaky = example("misbehave/flaky.toml", &[]);
    assert_eq!(flaky.report["attempts"], 3);
    example("misbehave/steady.toml", &["1"]);
    let prices = example("montecarlo/job.toml", &["2"]);
    let (min, max) = (1.40, 1.50);
    for price in prices.results.iter().map(|result| result["price"].as_f64()) {
        assert!((min..max).contains(&price.unwrap()), "{prices:#?}");
    }

    let mapped = example("wordcount/job.toml", &[]);
    let files = mapped.files.keys().filter(|file| file.contains("part-"));
    assert_eq!(files.count(), 8, "{mapped:#?}");
    let reduced = both(&places, |at| {
        let counts = at.out("wordcount-job-toml");
        let input = format!("counts={}", counts.display());
        at.example("wordcount/reduce.toml", &["--input", &input], &[])
            .well()
    });
    let words = |ended: &Ended| -> u64 {
        let counted = ended.results.iter().map(|result| &result["words"]);
        counted.map(|words| words.as_u64().unwrap()).sum()
    };
    assert_eq!(words(&mapped), words_of_the_texts());
    assert_eq!(words(&reduced), words(&mapped));

    if root().join("target/guests/logistic.wasm").exists() {
        let whole = example("c-logistic/job.toml", &["2000"]);
        assert!(whole.results[0]["accuracy"].as_f64() > Some(0.9));
        let resumed = example("c-logistic/job.toml", &["2000", "700"]);
        assert_eq!(resumed.report["attempts"], 3);
        assert_eq!(resumed.results, whole.results);
    } else {
        let why = "SKIPPED: the example in C, which `cargo xtask guests` could not build\n";
        std::io::stderr().write_all(why.as_bytes()).unwrap();
    }

    let used = nodes_of(places[1].site().unwrap());
    assert_eq!(used, ["a", "b"].map(str::to_owned).into());
    places.into_iter().for_each(Place::stop);
}

/// The words of the corpus, counted here.
fn words_of_the_texts() -> u64 {
    let texts = root().join("examples/data/sqlite-docs");
    let mut words = 0;
    for text in std::fs::read_dir(texts).unwrap() {
        let text = std::fs::read_to_string(text.unwrap().path()).unwrap();
        let runs = text.split(|c: char| !c.is_alphabetic());
        words += runs.filter(|run| !run.is_empty()).count() as u64;
    }
    words
}

/// The nodes that ran an attempt of any job.
fn nodes_of(site: &Site) -> BTreeSet<String> {
    let (_, jobs) = site.get("/v1/jobs").unwrap();
    let ids = jobs["jobs"].as_array().unwrap().iter();
    let histories = ids.map(|job| site.tasks(job["id"].as_str().unwrap()).unwrap());
    let attempts = histories.flat_map(|tasks| tasks["history"].as_array().unwrap().clone());
    attempts
        .map(|attempt| attempt["node"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn python_examples_leave_the_same_on_a_laptop_and_on_two_nodes() {
    python();
    let places = [Place::laptop(), Place::cluster()];
    let mut add = places[1].command(&["kit", "add", "python"]);
    let added = run(&mut add);
    assert_eq!(added.code, 0, "{added:#?}");

    let report = both(&places, |at| {
        at.example("python-report/job.toml", &[], &[]).well()
    });
    let files: Vec<&str> = report.files.keys().map(String::as_str).collect();
    assert_eq!(files, ["0/delays.csv", "0/delays.png", "0/result.json"]);
    assert_eq!(report.results[0]["flights"], 336_776);
    let out = places[0].out("python-report-job-toml").join("0");
    let picture = std::fs::read(out.join("delays.png")).unwrap();
    assert!(picture.starts_with(b"\x89PNG"), "not a picture");

    // Two of its points: each task pays the seconds that importing scikit-learn takes.
    let search = both(&places, |at| {
        let flags = ["--tasks", "2"];
        at.example("grid-search/job.toml", &flags, &[]).well()
    });
    let expected = json!({"C": 1, "gamma": 0.001, "accuracy": 0.975, "worst_fold": 0.9683});
    assert_eq!(search.results[1], expected);

    for (name, text, reason) in [
        ("divides.py", "1 / 0\n", "exited"),
        ("lacks.py", "import torch\n", "exited"),
        (
            "eats.py",
            "x = bytearray(1 << 30)\nprint(len(x))\n",
            "guest-memory-limit",
        ),
    ] {
        let ended = both(&places, |at| {
            let file = at.dir().join(name);
            std::fs::write(&file, text).unwrap();
            at.run(name, &file, &[], &[])
        });
        assert_eq!(ended.report["reason"], reason, "{ended:#?}");
        assert!(ended.report["error"]["hint"].is_string(), "{ended:#?}");
    }
    places.into_iter().for_each(Place::stop);
}

#[test]
fn who_fails_is_told_the_same_on_a_laptop_and_on_two_nodes() {
    let places = [Place::laptop(), Place::cluster()];
    for (job, flags, args, code, reason) in [
        ("hog.toml", &[][..], &[][..], 125, "guest-memory-limit"),
        ("spin.toml", &["--timeout", "300ms"], &[], 124, "deadline"),
        ("flaky.toml", &["--retries", "0"], &[], 42, "exited"),
        (
            "steady.toml",
            &["--tasks", "3", "--parallelism", "1"],
            &["one"],
            1,
            "exited",
        ),
    ] {
        let job = format!("misbehave/{job}");
        let ended = both(&places, |at| at.example(&job, flags, args));
        assert_eq!(ended.code, code, "{ended:#?}");
        assert_eq!(ended.report["reason"], reason, "{ended:#?}");
        assert!(ended.report["error"]["hint"].is_string(), "{ended:#?}");
    }
    // In one place, because messages name the file.
    let modules = tempfile::tempdir().unwrap();
    for guest in [
        "unreachable",
        "bad-import",
        "big-result",
        "trap-after-words",
    ] {
        let module = stint_tests::guest::assemble(guest, modules.path());
        let ended = both(&places, |at| at.run(guest, &module, &[], &[]));
        assert_eq!(ended.report["state"], "failed", "{ended:#?}");
    }
    places.into_iter().for_each(Place::stop);
}
