//! Bad input gets a clear error that says what to do next, and nothing is lost.
//! Each case is a golden transcript: what was given, the exit code or status,
//! and what was answered.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use stint_tests::site::{Finished, run};
use stint_tests::{Site, golden, guest};

/// What differs from run to run is replaced by what it is.
fn normal(site: &Site, text: &str) -> String {
    let text = text.replace(&site.dir().display().to_string(), "DIR");
    let text = text.replace(&site.url(), "SERVER");
    let text = text.replace(site.url().trim_start_matches("http://"), "ADDRESS");
    let mut words: Vec<String> = Vec::new();
    for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let hex = bare.len() == 64 && bare.bytes().all(|b| b.is_ascii_hexdigit());
        words.push(if hex {
            word.replace(bare, "DIGEST")
        } else {
            word.to_owned()
        });
    }
    words.concat()
}

fn transcript(site: &Site, title: &str, finished: &Finished) -> String {
    let mut text = format!("# {title}\nexit code: {}\n", finished.code);
    for (name, stream) in [("stdout", &finished.stdout), ("stderr", &finished.stderr)] {
        if !stream.is_empty() {
            let _ = write!(text, "{name}:\n{}\n", normal(site, stream).trim_end());
        }
    }
    text.push('\n');
    text
}

fn exchange(site: &Site, title: &str, answer: Option<(u16, Value)>) -> String {
    let (status, body) = answer.unwrap_or_else(|| panic!("{title}: no answer"));
    assert_eq!(
        body["status"], status,
        "{title}: a problem names its status: {body:#}"
    );
    format!(
        "# {title}\nstatus: {status}\n{}\n\n",
        normal(site, &format!("{body:#}"))
    )
}

fn file(site: &Site, name: &str, bytes: &[u8]) -> PathBuf {
    let path = site.dir().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn run_file(site: &Site, path: &Path, flags: &[&str]) -> Finished {
    let mut args: Vec<&OsStr> = vec!["run".as_ref()];
    args.extend(flags.iter().map(OsStr::new));
    args.push(path.as_os_str());
    site.stint(args)
}

fn assert_nothing_is_lost(site: &Site) {
    let (finished, json) = site.run_guest("hello", &[]);
    assert_eq!(finished.code, 0, "a good job still runs: {json:#}");
}

#[test]
fn modules_that_are_none_are_refused_with_the_reason() {
    let site = Site::with_nodes(&["node-a"]);
    let good = std::fs::read(guest::assemble("hello", site.dir())).unwrap();
    let mut artifact = b"\x7fELF".to_vec();
    artifact.extend_from_slice(&[
        2, 1, 1, 200, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 62, 0, 1, 0, 0, 0,
    ]);
    let files: [(&str, &str, Vec<u8>); 6] = [
        ("an empty file", "empty.wasm", Vec::new()),
        (
            "not a wasm file",
            "picture.wasm",
            b"\x89PNG\r\n\x1a\n".to_vec(),
        ),
        (
            "a truncated module",
            "cut.wasm",
            good[..good.len() - 7].to_vec(),
        ),
        (
            "text format",
            "text.wasm",
            b"(module (func (export \"_start\")))".to_vec(),
        ),
        ("a precompiled .cwasm", "compiled.cwasm", artifact),
        (
            "a .cwasm behind a wasm name",
            "sly.wasm",
            b"\x7fELF\x02\x01\x01\xc8".to_vec(),
        ),
    ];
    let mut seen = String::new();
    for (title, name, bytes) in files {
        seen += &transcript(
            &site,
            title,
            &run_file(&site, &file(&site, name, &bytes), &[]),
        );
    }
    for (title, name) in [
        ("an import that the host does not give", "bad-import"),
        ("no entry", "no-start"),
        ("initial memory above the limit", "big-memory"),
    ] {
        let path = guest::assemble(name, site.dir());
        seen += &transcript(&site, title, &run_file(&site, &path, &[]));
    }
    let missing = site.dir().join("missing.wasm");
    seen += &transcript(&site, "no such file", &run_file(&site, &missing, &[]));
    golden::check("bad-modules", &seen);
    assert_nothing_is_lost(&site);
}

#[test]
fn fields_that_are_wrong_are_named() {
    let site = Site::with_nodes(&["node-a"]);
    let wasm = guest::assemble("hello", site.dir());
    let push = site.stint(["module".as_ref(), "push".as_ref(), wasm.as_os_str()]);
    assert_eq!(push.code, 0, "{push:#?}");
    let digest = format!(
        "sha256:{}",
        hex(&Sha256::digest(std::fs::read(&wasm).unwrap()))
    );
    let module = format!("\"module\":\"{digest}\"");
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let bodies: Vec<(&str, String)> = vec![
        (
            "an unknown field",
            format!("{{{module},\"colour\":\"red\"}}"),
        ),
        (
            "a misspelt field",
            format!("{{{module},\"memroy\":\"64Mi\"}}"),
        ),
        (
            "a duplicate field",
            format!("{{{module},\"tasks\":1,\"tasks\":2}}"),
        ),
        ("a missing field", "{\"tasks\":1}".to_owned()),
        ("not JSON", "{\"module\":".to_owned()),
        (
            "nesting a hundred thousand deep",
            format!("{{{module},\"args\":{deep}}}"),
        ),
        ("a wrong type", format!("{{{module},\"tasks\":\"many\"}}")),
        ("a limit of zero", format!("{{{module},\"memory\":0}}")),
        (
            "a limit that is no amount",
            format!("{{{module},\"memory\":\"lots\"}}"),
        ),
        (
            "more than the largest node has",
            format!("{{{module},\"memory\":\"3Gi\"}}"),
        ),
        ("no tasks", format!("{{{module},\"tasks\":0}}")),
        (
            "a number out of range",
            format!("{{{module},\"tasks\":1e999}}"),
        ),
        (
            "a reserved variable",
            format!("{{{module},\"env\":{{\"STINT_JOB\":\"x\"}}}}"),
        ),
        (
            "a module that was never pushed",
            format!("{{\"module\":\"sha256:{}\"}}", "9".repeat(64)),
        ),
        (
            "twenty megabytes of JSON",
            format!("{{{module},\"name\":\"{}\"}}", "x".repeat(20 << 20)),
        ),
    ];
    let mut seen = String::new();
    let json = [("content-type", "application/json")];
    for (title, body) in bodies {
        seen += &exchange(
            &site,
            title,
            site.request("POST", "/v1/jobs", &json, body.into_bytes()),
        );
    }
    golden::check("bad-fields", &seen);
    assert_nothing_is_lost(&site);
}

#[test]
fn requests_that_are_wrong_are_answered() {
    let site = Site::with_nodes(&["node-a"]);
    let wasm = std::fs::read(guest::assemble("hello", site.dir())).unwrap();
    let put = format!("/v1/modules?digest=sha256:{}", "1".repeat(64));
    let mut seen = String::new();
    seen += &exchange(
        &site,
        "a digest that is not the body's",
        site.request("PUT", &put, &[], wasm),
    );
    seen += &exchange(
        &site,
        "a digest that is none",
        site.request("PUT", "/v1/modules?digest=md5:1", &[], vec![0]),
    );
    seen += &exchange(&site, "an unknown job", site.get("/v1/jobs/default.999"));
    seen += &exchange(
        &site,
        "an id that is none",
        site.get("/v1/jobs/..%2f..%2fetc"),
    );
    seen += &exchange(
        &site,
        "an unknown verb",
        site.request("POST", "/v1/jobs/default.1:explode", &[], vec![]),
    );
    seen += &exchange(&site, "an unknown path", site.get("/v1/pods"));
    seen += &exchange(
        &site,
        "a method that is not offered",
        site.request("DELETE", "/v1/jobs", &[], vec![]),
    );
    seen += &exchange(
        &site,
        "a cursor that is none",
        site.get("/v1/jobs?cursor=!!"),
    );
    golden::check("bad-requests", &seen);
    assert_nothing_is_lost(&site);
}

#[test]
fn an_upload_that_is_cut_leaves_nothing() {
    use std::io::{Read as _, Write as _};
    let site = Site::with_nodes(&["node-a"]);
    let wasm = std::fs::read(guest::assemble("hello", site.dir())).unwrap();
    let digest = hex(&Sha256::digest(&wasm));
    let address = site.url().trim_start_matches("http://").to_owned();
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    let head = format!(
        "PUT /v1/modules?digest=sha256:{digest} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
        wasm.len()
    );
    socket.write_all(head.as_bytes()).unwrap();
    socket.write_all(&wasm[..wasm.len() / 2]).unwrap();
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let _ = socket.read_to_end(&mut Vec::new());
    let (_, modules) = site.get("/v1/modules").unwrap();
    assert_eq!(modules, json!({ "modules": [] }));
    assert_nothing_is_lost(&site);
}

#[test]
fn commands_that_cannot_start_say_why() {
    let site = Site::with_nodes(&["node-a"]);
    let mut seen = String::new();
    let address = site.url().trim_start_matches("http://").to_owned();
    let other = site.dir().join("other");
    let serve = |listen: &str, data: &Path| {
        run(site
            .command(["serve", "--listen", listen, "--data-dir"])
            .arg(data))
    };
    seen += &transcript(&site, "a port in use", &serve(&address, &other));
    let locked = site.dir().join("scheduler");
    let finished = serve("127.0.0.1:0", &locked);
    let pid = finished.stderr.split_once("(pid ");
    let pid = pid.and_then(|(_, rest)| rest.split_once(')'));
    let (pid, _) = pid.expect("the message names the process");
    let seen_pid = transcript(&site, "a data directory locked by another", &finished);
    seen += &seen_pid.replace(&format!("(pid {pid})"), "(pid PID)");
    seen += &transcript(
        &site,
        "an open address without a token",
        &serve("0.0.0.0:0", &other),
    );
    seen += &transcript(
        &site,
        "an unknown job",
        &site.stint(["status", "default.999"]),
    );
    seen += &transcript(&site, "not a job id", &site.stint(["status", "Nonsense!"]));
    seen += &transcript(
        &site,
        "an unknown flag",
        &site.stint(["run", "--memroy", "1Gi", "x.wasm"]),
    );
    let toml = file(
        &site,
        "job.toml",
        b"module = \"hello.wasm\"\nmemroy = \"64Mi\"\n",
    );
    seen += &transcript(
        &site,
        "a misspelt field in job.toml",
        &run_file(&site, &toml, &[]),
    );
    let toml = file(&site, "broken.toml", b"module = \"hello.wasm\n");
    seen += &transcript(
        &site,
        "a job.toml that is no TOML",
        &run_file(&site, &toml, &[]),
    );
    let script = file(&site, "analysis.py", b"print(1)\n");
    seen += &transcript(&site, "a Python script", &run_file(&site, &script, &[]));
    let mut lost = site.command(["jobs"]);
    lost.env("STINT_SERVER", "http://127.0.0.1:9");
    seen += &transcript(&site, "a server that is not there", &run(&mut lost));
    golden::check("bad-commands", &seen);
    assert_nothing_is_lost(&site);
}

#[test]
fn a_data_directory_of_another_version_is_refused_and_left_alone() {
    let mut site = Site::start();
    site.kill_scheduler();
    let format = site.dir().join("scheduler").join("FORMAT");
    let kept = std::fs::read_to_string(&format).unwrap();
    std::fs::write(&format, "999\n").unwrap();
    let data = site.dir().join("scheduler");
    let finished = run(site
        .command(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(&data));
    golden::check(
        "other-version",
        &transcript(&site, "a data directory of another version", &finished),
    );
    std::fs::write(&format, kept).unwrap();
    site.start_scheduler();
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
