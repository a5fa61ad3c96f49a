//! Workers and compilers as their keeper meets them: real processes of this
//! binary, told what to do over a socket, and everything they say back. Without
//! the usual harness, because the binary must be able to become a child.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "in place of the harness")]

use std::fs::{self, File};
use std::io::{IoSlice, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use stint_api::kit::Entry;
use stint_runtime::frame::{Channel, Decoder, NODE_FRAME_BYTES_MAX, encode};

/// Only a hang takes it whole.
const PATIENCE: Duration = Duration::from_secs(60);

/// Its name, and what it does in a directory of its own.
type Test = (&'static str, fn(&Path));

const TESTS: [Test; 10] = [
    ("a_module_is_compiled_and_then_run", compile_and_run),
    ("the_keepers_signal_is_the_deadline", deadline),
    ("a_worker_says_what_its_guest_used", usage),
    ("a_plan_of_another_shape_is_not_run", other_plan),
    (
        "nothing_of_an_attempt_is_visible_to_the_next",
        one_after_another,
    ),
    ("a_module_that_is_none_is_refused", no_module),
    ("cpu_time_over_ends_a_compiler_by_its_signal", cpu_limit),
    (
        "an_artifact_too_large_ends_a_compiler_by_its_signal",
        output_limit,
    ),
    ("memory_over_aborts_a_compiler", memory_limit),
    ("a_child_of_nobody_does_nothing", orphan),
];

fn main() -> ExitCode {
    if let Some(code) = stint_runtime::enter() {
        return code;
    }
    let filter = std::env::args().nth(1).filter(|arg| !arg.starts_with('-'));
    let chosen = TESTS
        .into_iter()
        .filter(|(name, _)| filter.as_ref().is_none_or(|part| name.contains(part)));
    let (mut passed, mut failed) = (0, 0);
    for (name, test) in chosen {
        let dir = tempfile::tempdir().unwrap();
        if std::panic::catch_unwind(|| test(dir.path())).is_ok() {
            passed += 1;
            println!("test {name} ... ok");
        } else {
            failed += 1;
            println!("test {name} ... FAILED");
        }
    }
    let result = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {result}. {passed} passed; {failed} failed; 0 ignored");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// A child and the socket to it.
struct Kept {
    child: Child,
    socket: UnixStream,
    channel: Channel,
    decoder: Decoder,
}

impl Kept {
    fn start(verb: &str, keeper: u32) -> Self {
        let (socket, theirs) = UnixStream::pair().unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args([verb, &keeper.to_string(), "plain", &jail().to_string()])
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let channel = match verb {
            "__worker" => Channel::Worker,
            _ => Channel::Compiler,
        };
        Self {
            child,
            socket,
            channel,
            decoder: Decoder::new(channel, NODE_FRAME_BYTES_MAX),
        }
    }

    fn worker() -> Self {
        Self::start("__worker", std::process::id())
    }

    fn compiler() -> Self {
        Self::start("__compile", std::process::id())
    }

    fn tell(mut self, message: &Value) -> Self {
        let frame = encode(self.channel, NODE_FRAME_BYTES_MAX, message).unwrap();
        self.socket.write_all(&frame).unwrap();
        self
    }

    /// Tells it of an attempt, and gives it the files.
    fn assign(&mut self, dir: &Path, assignment: &Value) {
        let log = |name| {
            let options = File::options().create(true).append(true).clone();
            options.open(dir.join(name)).unwrap()
        };
        let artifact = File::open(dir.join("artifact")).unwrap();
        let (stdout, stderr) = (log("stdout"), log("stderr"));
        let mut fds = vec![stdout.as_fd(), stderr.as_fd()];
        if assignment["module"] != json!("same") {
            fds.insert(0, artifact.as_fd());
        }
        let said = json!({ "run": assignment });
        let frame = encode(self.channel, NODE_FRAME_BYTES_MAX, &said).unwrap();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
        let bytes = [IoSlice::new(&frame)];
        let sent = sendmsg(&self.socket, &bytes, &mut control, SendFlags::empty());
        assert_eq!(sent, Ok(frame.len()));
    }

    /// The next thing that it says, if it says anything more.
    fn hear(&mut self) -> Option<Value> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(message) = self.decoder.take().unwrap() {
                return Some(message);
            }
            match self.socket.read(&mut buffer).unwrap_or(0) {
                0 => return None,
                count => self.decoder.push(&buffer[..count]),
            }
        }
    }

    /// Nothing more is said on either side, and the child ends.
    fn ends(mut self) -> ExitStatus {
        // It may be gone already.
        let _ = self.socket.shutdown(std::net::Shutdown::Write);
        assert_eq!(self.hear(), None);
        self.child.wait().unwrap()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

/// Compiles a guest and makes the assignment of an attempt at it, in `dir`.
fn assignment(dir: &Path, guest: &str) -> Value {
    let task = compilation(dir, &job(guest));
    let mut compiler = Kept::compiler().tell(&task);
    let said = compiler.hear().unwrap();
    assert!(compiler.ends().success());
    let sha256 = said["compiled"]["sha256"].as_str().unwrap();
    let artifact = fs::read(dir.join("artifact")).unwrap();
    let bytes: [u8; 32] = Sha256::digest(&artifact).into();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(sha256, format!("sha256:{hex}"));
    json!({
        "module": {"given": {"profile": "plain", "sha256": bytes}},
        "guest": {
            "entry": Entry::default(),
            "args": ["guest"],
            "env": [],
            "memory_limit_bytes": 64 << 20,
            "dirs": [],
            "log_bytes_max": 1 << 20,
        },
        "more": false,
    })
}

/// A worker that is assigned an attempt at `guest`.
fn worker(dir: &Path, guest: &str) -> Kept {
    let assignment = assignment(dir, guest);
    let mut worker = Kept::worker();
    worker.assign(dir, &assignment);
    worker
}

fn compilation(dir: &Path, wasm: &[u8]) -> Value {
    fs::write(dir.join("wasm"), wasm).unwrap();
    json!({
        "wasm": dir.join("wasm"),
        "entry": Entry::default(),
        "artifact": dir.join("artifact"),
        "cpu_seconds": 60,
        "output_bytes": 64 << 20,
        "data_bytes": null,
        "jail": jail(),
    })
}

/// As a keeper that cannot give anybody away asks for it.
fn jail() -> Value {
    json!({"need": [], "identity": null})
}

fn job(guest: &str) -> Vec<u8> {
    let jobs = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/jobs");
    wat::parse_file(format!("{jobs}/{guest}.wat")).unwrap()
}

/// A module that takes a compiler a while: branches to any of many blocks, each of
/// which takes many values along.
fn heavy() -> Vec<u8> {
    const BLOCKS: usize = 400;
    let values = "i32.const 0 ".repeat(BLOCKS);
    let targets: String = (1..=BLOCKS).map(|depth| format!("{depth} ")).collect();
    let branch = format!("local.get 0 (if (then {values} local.get 0 br_table {targets}))");
    let text = format!(
        "(module (type $many (func (result {results})))
           (func (export \"_start\") (local i32) {open} {branches} {values} {close} {drops}))",
        results = "i32 ".repeat(BLOCKS),
        open = "block (type $many) ".repeat(BLOCKS),
        branches = branch.repeat(150),
        close = "end ".repeat(BLOCKS),
        drops = "drop ".repeat(BLOCKS),
    );
    wat::parse_str(text).unwrap()
}

/// What is left of an ended frame.
fn ended(said: Option<Value>) -> Value {
    said.unwrap()["ended"].take()
}

fn compile_and_run(dir: &Path) {
    let mut worker = worker(dir, "hello");
    assert_eq!(worker.hear(), Some(json!("running")));
    let said = ended(worker.hear());
    assert_eq!(said["outcome"]["reason"], "succeeded");
    assert!(worker.ends().success());
    assert_eq!(fs::read_to_string(dir.join("stdout")).unwrap(), "hello\n");
}

fn deadline(dir: &Path) {
    let mut worker = worker(dir, "compute");
    assert_eq!(worker.hear(), Some(json!("running")));
    worker.signal(Signal::USR1);
    let said = ended(worker.hear());
    assert_eq!(
        said["outcome"],
        json!({"reason": "deadline", "scope": "attempt"})
    );
    assert!(worker.ends().success());
}

fn usage(dir: &Path) {
    let mut worker = worker(dir, "memory-polite");
    worker.hear();
    let said = ended(worker.hear());
    assert_eq!(said["outcome"], json!({"reason": "exited", "code": 3}));
    assert_eq!(said["peak_memory"], "128Ki");
    assert_ne!(said["refused_growth"], "0");
    assert_ne!(said["cpu"], "0s");
    assert!(worker.ends().success());
}

fn other_plan(dir: &Path) {
    let mut other = assignment(dir, "hello");
    other["guest"]["network"] = json!("all of it");
    let mut worker = Kept::worker();
    worker.assign(dir, &other);
    assert_eq!(worker.ends().code(), Some(1));
    // Fewer files than it tells of are not taken for others.
    let mut other = assignment(dir, "hello");
    other["guest"]["dirs"] = json!([{"guest": "/in", "access": "read"}]);
    let mut worker = Kept::worker();
    worker.assign(dir, &other);
    let said = worker.hear().unwrap();
    assert_eq!(said["unable"]["outcome"]["reason"], "engine-fault");
    assert!(worker.ends().success());
    // Nor is a module that was never given.
    let mut other = assignment(dir, "hello");
    other["module"] = json!("same");
    let mut worker = Kept::worker();
    worker.assign(dir, &other);
    let said = worker.hear().unwrap();
    assert_eq!(said["unable"]["outcome"]["reason"], "engine-fault");
    assert!(worker.ends().success());
    assert_eq!(fs::read_to_string(dir.join("stdout")).unwrap(), "");
}

fn one_after_another(dir: &Path) {
    let mut first = assignment(dir, "hello");
    first["more"] = json!(true);
    let mut worker = Kept::worker();
    for again in 0..3 {
        worker.assign(dir, &first);
        assert_eq!(worker.hear(), Some(json!("running")), "{again}");
        assert_eq!(ended(worker.hear())["outcome"]["reason"], "succeeded");
        first["module"] = json!("same");
    }
    assert!(worker.ends().success());
    let said = fs::read_to_string(dir.join("stdout")).unwrap();
    assert_eq!(said, "hello\nhello\nhello\n");
}

fn no_module(dir: &Path) {
    let mut compiler = Kept::compiler().tell(&compilation(dir, b"(module)"));
    let said = compiler.hear().unwrap();
    assert_eq!(said["refused"]["outcome"]["reason"], "module-rejected");
    assert!(compiler.ends().success());
}

fn cpu_limit(dir: &Path) {
    let mut task = compilation(dir, &heavy());
    task["cpu_seconds"] = json!(1);
    let status = Kept::compiler().tell(&task).ends();
    assert_eq!(status.signal(), Some(Signal::XCPU.as_raw()), "{status}");
}

fn output_limit(dir: &Path) {
    let mut task = compilation(dir, &job("hello"));
    task["output_bytes"] = json!(1_000);
    let status = Kept::compiler().tell(&task).ends();
    assert_eq!(status.signal(), Some(Signal::XFSZ.as_raw()), "{status}");
}

fn memory_limit(dir: &Path) {
    let mut task = compilation(dir, &heavy());
    task["data_bytes"] = json!(16 << 20);
    let status = Kept::compiler().tell(&task).ends();
    assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()), "{status}");
}

fn orphan(dir: &Path) {
    let assignment = assignment(dir, "hello");
    // Process 1 is the parent of neither.
    let status = Kept::start("__worker", 1).ends();
    assert_eq!(status.code(), Some(1));
    let status = Kept::start("__compile", 1).ends();
    assert_eq!(status.code(), Some(1));
    // A keeper that closes its end without a word has nothing to run either.
    assert!(Kept::worker().ends().success());
    assert_eq!(Kept::compiler().ends().code(), Some(1));
    assert!(!dir.join("stdout").exists(), "{assignment}");
}
