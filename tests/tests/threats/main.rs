//! What strangers' code may try, and what comes of it: each threat of
//! `docs/threats.md` is a guest that a real node runs, with the outcome that it
//! must have, while an honest neighbour beside it gets its right result in time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bytes;
mod checks;
mod deeds;
mod neighbour;
mod rows;

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use stint_tests::{Site, guest};

use neighbour::Neighbour;
use rows::{Ends, Guest, ROWS, Row};

/// The node that all of it happens on.
const NODE: &str = "node-a";
/// Room for the neighbour beside a thousand small jobs: who waits for whose place is not the question here.
const CAPACITY: [&str; 2] = ["--capacity", "cpu=16,memory=8Gi,scratch=16Gi"];
/// Every threat's namespace: the neighbour is another's.
const STRANGER: &str = "stranger";

/// How a threat's job ended.
struct Ended {
    /// What `run --json` said.
    json: Value,
    took: Duration,
}

impl Ended {
    fn reason(&self) -> &str {
        self.json["reason"].as_str().unwrap_or_default()
    }

    /// The whole outcome of its last attempt; null when there was none.
    fn outcome(&self, site: &Site) -> Value {
        let Some(id) = self.json["id"].as_str() else {
            return Value::Null;
        };
        let tasks = site.tasks(id).unwrap();
        let last = tasks["history"].as_array().unwrap().last();
        last.map_or(Value::Null, |last| last["outcome"].clone())
    }
}

/// Runs the module in `file` to its end as the stranger's job.
fn run(site: &Site, file: &Path, flags: &[&str], args: &[&str]) -> Ended {
    let mut line: Vec<&OsStr> = vec!["run".as_ref(), "--json".as_ref()];
    line.extend(["--namespace", STRANGER].map(OsStr::new));
    line.extend(flags.iter().map(OsStr::new));
    line.push(file.as_os_str());
    line.extend(args.iter().map(OsStr::new));
    let start = Instant::now();
    let json = site.stint(line).json();
    Ended {
        json,
        took: start.elapsed(),
    }
}

fn file_of(site: &Site, guest: &Guest) -> PathBuf {
    match guest {
        Guest::Text(name) => guest::assemble(name, site.dir()),
        Guest::Bytes(name, make) => {
            let path = site.dir().join(format!("{name}.wasm"));
            std::fs::write(&path, make()).unwrap();
            path
        }
    }
}

fn is(ended: &Ended, wanted: &Ends) -> bool {
    match wanted {
        Ends::With(reason) => ended.reason() == *reason,
        Ends::Exited(code) => ended.reason() == "exited" && ended.json["code"] == *code,
        Ends::Refused(words) => {
            let message = ended.json["error"]["message"].as_str().unwrap_or_default();
            ended.reason() == "module-rejected"
                && ended.json["id"].is_null()
                && message.contains(words)
        }
    }
}

fn meet(site: &Site, row: &Row) {
    let file = file_of(site, &row.guest);
    let ended = run(site, &file, row.flags, row.args);
    assert!(
        row.ends.iter().any(|wanted| is(&ended, wanted)),
        "threat {} did not end with any of {:?}: {:#}\n{:#}",
        row.threat,
        row.ends,
        ended.json,
        ended.outcome(site)
    );
    (row.then)(site, &ended);
}

#[test]
fn no_threat_does_harm_or_hides_what_it_was() {
    let mut site = Site::start();
    site.start_node(NODE, &CAPACITY);
    let canary = site.dir().join("canary");
    std::fs::write(&canary, "sings").unwrap();
    let mut neighbour = Neighbour::new(&site);
    for row in ROWS {
        let start = Instant::now();
        meet(&site, row);
        neighbour.check(row.threat, start);
        tell(row.threat, start);
    }
    for (threat, deed) in deeds::DEEDS {
        let start = Instant::now();
        deed(&mut site);
        neighbour.check(threat, start);
        tell(threat, start);
    }
    assert_eq!(std::fs::read_to_string(&canary).unwrap(), "sings");
    let _ = writeln!(std::io::stderr(), "{}", neighbour.leave());
    site.stop_and_check();
}

fn tell(threat: &str, start: Instant) {
    let _ = writeln!(
        std::io::stderr(),
        "threat {threat}: {:.1} s",
        start.elapsed().as_secs_f64()
    );
}
