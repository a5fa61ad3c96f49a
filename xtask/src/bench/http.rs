//! As much HTTP/1.1 as it takes to submit a job and to hear of its end: a client
//! of its own, because starting one of the command line costs more than what is measured.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// Longest silence: no job here takes nearly as long.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// Longest answer to read: a job and its frame are a few KiB.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// A connection that asks one thing after another.
pub(super) struct Connection {
    host: String,
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects to `url`, which is `http://HOST:PORT`.
    ///
    /// # Errors
    /// Nobody answers there.
    pub(super) fn open(url: &str) -> Result<Self> {
        let host = url.strip_prefix("http://").context("http://HOST:PORT")?;
        let stream = TcpStream::connect(host).with_context(|| format!("nobody at {host}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        Ok(Self {
            host: host.to_owned(),
            stream: BufReader::new(stream),
        })
    }

    /// Posts JSON and reads the JSON that answers.
    ///
    /// # Errors
    /// The answer is not one of success.
    pub(super) fn post(&mut self, path: &str, key: &str, body: &Value) -> Result<Value> {
        let body = body.to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
             idempotency-key: {key}\r\ncontent-length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        self.stream.get_mut().write_all((head + &body).as_bytes())?;
        let (status, length) = self.head()?;
        let length = length.context("an answer of unknown length")?;
        ensure!(length <= ANSWER_BYTES_MAX, "an answer of {length} bytes");
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        let answer: Value = serde_json::from_slice(&answer)?;
        ensure!((200..300).contains(&status), "POST {path}: {answer}");
        Ok(answer)
    }

    /// Asks for a stream of server-sent events and reads until one holds `last`;
    /// the connection is of no use afterwards.
    ///
    /// # Errors
    /// The stream ends before.
    pub(super) fn wait_for_event(mut self, path: &str, last: &str) -> Result<String> {
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\naccept: text/event-stream\r\n\r\n",
            self.host
        );
        self.stream.get_mut().write_all(head.as_bytes())?;
        let (status, _) = self.head()?;
        ensure!(status == 200, "GET {path}: status {status}");
        // Chunk sizes stand on lines of their own, so that lines of data stay whole
        // as long as the scheduler sends an event in one piece, which it does.
        loop {
            let line = self.line()?;
            if line.starts_with("data:") && line.contains(last) {
                return Ok(line);
            }
        }
    }

    fn head(&mut self) -> Result<(u16, Option<usize>)> {
        let first = self.line()?;
        let status = first.split(' ').nth(1).context("a status")?.parse()?;
        let mut length = None;
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                return Ok((status, length));
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = Some(value.trim().parse()?);
            }
        }
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            bail!("the scheduler hung up");
        }
        Ok(line.trim_end().to_owned())
    }
}
