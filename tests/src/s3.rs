//! A real S3 server for tests: moto, from PyPI by pinned versions and hashes, on a free
//! port of this machine. What it needs is installed once, into `target/servers`.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use crate::port;
use crate::site::run;
use crate::wait::wait_for;

/// Longest until it answers: it imports for a second or two, on a busy machine for more.
const READY_BOUND: Duration = Duration::from_secs(60);
/// What is signed with, which must be found in no message and no log.
pub const SECRET: &str = "a-secret-that-nobody-may-see";

/// Who asks; moto looks at no signature, and lets nobody without one overwrite or read.
const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=stint/20260101/us-east-1/s3/aws4_request, \
                      SignedHeaders=host, Signature=0";

/// A server that goes with the test.
#[derive(Debug)]
pub struct S3 {
    child: Child,
    port: u16,
}

impl S3 {
    /// Starts it, with empty buckets of these names.
    ///
    /// # Panics
    /// When it cannot be had: the first time it takes PyPI, pip and venv.
    pub fn start(buckets: &[&str]) -> Self {
        let server = installed().join("bin/moto_server");
        let port = port::free();
        let child = Command::new(server)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("moto starts");
        let s3 = Self { child, port };
        wait_for("the S3 server is ready", READY_BOUND, || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        for bucket in buckets {
            s3.ask("PUT", bucket, Vec::new());
        }
        s3
    }

    /// What a process needs in its environment to use it.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ACCESS_KEY_ID", "stint".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            (
                "AWS_ENDPOINT_URL",
                format!("http://127.0.0.1:{}", self.port),
            ),
        ]
    }

    /// Puts an object: `bucket/key`.
    pub fn put(&self, path: &str, body: &[u8]) {
        self.ask("PUT", path, body.to_vec());
    }

    /// What an object holds.
    pub fn get(&self, path: &str) -> String {
        self.ask("GET", path, Vec::new())
    }

    /// The keys of a bucket, in order.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        let list = self.ask("GET", &format!("{bucket}?list-type=2"), Vec::new());
        let keys = list.split("<Key>").skip(1);
        keys.filter_map(|rest| Some(rest.split_once("</Key>")?.0.to_owned()))
            .collect()
    }

    /// Uploads of a bucket that were begun and not ended.
    pub fn uploads(&self, bucket: &str) -> usize {
        let list = self.ask("GET", &format!("{bucket}?uploads"), Vec::new());
        list.matches("<UploadId>").count()
    }

    fn ask(&self, method: &str, path: &str, body: Vec<u8>) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let url = format!("http://127.0.0.1:{}/{path}", self.port);
        runtime.expect("a runtime").block_on(async {
            let method = method.parse().expect("a method");
            let request = reqwest::Client::new().request(method, &url).body(body);
            let answer = request
                .header("authorization", SIGNED)
                .send()
                .await
                .expect("an answer");
            assert!(answer.status().is_success(), "{url}: {}", answer.status());
            answer.text().await.expect("text")
        })
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the server is installed.
fn installed() -> PathBuf {
    static READY: OnceLock<PathBuf> = OnceLock::new();
    let ready = READY.get_or_init(|| {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        let wanted = tests.join("servers/requirements.txt");
        let place = tests.join("../target/servers");
        let stamp = place.join("requirements.txt");
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        if read(&stamp) != read(&wanted) {
            let made = run(Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(&place));
            assert_eq!(
                made.code, 0,
                "tests of S3 need Python 3.11 or later, with venv: {made:#?}"
            );
            let got = run(Command::new(place.join("bin/python"))
                .args([
                    "-m",
                    "pip",
                    "--disable-pip-version-check",
                    "install",
                    "--quiet",
                ])
                .args([
                    "--no-deps",
                    "--only-binary",
                    ":all:",
                    "--require-hashes",
                    "--requirement",
                ])
                .arg(&wanted));
            assert_eq!(got.code, 0, "tests of S3 need PyPI once: {got:#?}");
            std::fs::copy(&wanted, &stamp).expect("a stamp");
        }
        place
    });
    ready.clone()
}
