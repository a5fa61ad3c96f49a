//! The verbs that are answered bit by bit: events, logs and results of a job.
//!
//! Events and logs outlive a broken connection: they are asked for again from
//! where they stopped, until the job is over.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use base64::Engine as _;
use reqwest::Response;
use serde::de::DeserializeOwned;

use super::sse::{Message, Parser};
use super::{Client, Error, Patience};
use crate::id::{AttemptId, JobId, TaskIndex};
use crate::link::Stream;
use crate::view::{Event, EventKind, LogChunk, ResultLine};

/// Longest line of results: a result of 64 KiB and its frame.
const RESULT_LINE_BYTES_MAX: usize = 1 << 20;

/// Which logs of a job.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogChoice {
    /// One task's, or all.
    pub task: Option<TaskIndex>,
    /// One stream, or both.
    pub stream: Option<Stream>,
    /// Whether to wait for what is yet to be written.
    pub follow: Follow,
}

/// Whether a stream of logs waits for what is yet to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Follow {
    /// What is there, and no more.
    #[default]
    No,
    /// Until the job is over.
    UntilOver,
}

impl Client {
    /// Follows what happens to a job, from its start until it is over.
    pub fn events(&self, id: &JobId) -> Events {
        Events {
            followed: Followed::new(self, id, "events"),
            over: false,
        }
    }

    /// Reads the logs of a job.
    pub fn logs(&self, id: &JobId, choice: LogChoice) -> Logs {
        let mut followed = Followed::new(self, id, "logs");
        followed.follow = choice.follow;
        followed
            .query
            .extend(choice.task.map(|task| ("task", task.to_string())));
        followed.query.extend(choice.stream.map(|stream| {
            let name = match stream {
                Stream::Stdout => "stdout",
                Stream::Stderr => "stderr",
            };
            ("stream", name.to_owned())
        }));
        let follow = choice.follow == Follow::UntilOver;
        followed.query.push(("follow", follow.to_string()));
        Logs {
            followed,
            seen: HashMap::new(),
        }
    }

    /// What the tasks of a job returned, ascending by task.
    ///
    /// # Errors
    /// When there is no such job, or no answer could be had.
    pub async fn results(&self, id: &JobId) -> Result<Results, Error> {
        let path = format!("/v1/jobs/{id}/results");
        let response = self.open(&path, &[], None).await?;
        Ok(Results {
            client: self.clone(),
            response,
            buffer: VecDeque::new(),
            ended: false,
        })
    }
}

/// What happens to a job.
#[derive(Debug)]
pub struct Events {
    followed: Followed,
    over: bool,
}

impl Events {
    /// The next event; `None` when the job is over.
    ///
    /// # Errors
    /// When the scheduler refuses, or stays away for longer than [`super::SILENCE_MAX`].
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        if self.over {
            return Ok(None);
        }
        let event = self.followed.next::<Event>().await?;
        self.over = event
            .as_ref()
            .is_none_or(|event| matches!(event.what, EventKind::Done { .. }));
        Ok(event)
    }
}

/// What a job writes.
#[derive(Debug)]
pub struct Logs {
    followed: Followed,
    /// Where each stream goes on: what comes twice after a break is cut.
    /// One entry for each attempt that wrote, a few dozen bytes each.
    seen: HashMap<(AttemptId, Stream), u64>,
}

/// Bytes of a log that were not seen before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogBytes {
    /// The attempt that wrote them.
    pub attempt: AttemptId,
    /// Which stream.
    pub stream: Stream,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Logs {
    /// The next bytes; `None` when there are no more, and there will be none.
    ///
    /// # Errors
    /// When the scheduler refuses, stays away for longer than
    /// [`super::SILENCE_MAX`], or sends what is not a log.
    pub async fn next(&mut self) -> Result<Option<LogBytes>, Error> {
        while let Some(chunk) = self.followed.next::<LogChunk>().await? {
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(&chunk.data)
                .map_err(|_| self.followed.client.protocol("a log not in base64".into()))?;
            let key = (chunk.attempt, chunk.stream);
            let bytes = unseen(
                self.seen.entry(key.clone()).or_default(),
                chunk.offset,
                bytes,
            );
            if !bytes.is_empty() {
                let (attempt, stream) = key;
                return Ok(Some(LogBytes {
                    attempt,
                    stream,
                    bytes,
                }));
            }
        }
        Ok(None)
    }
}

/// The part of `bytes`, which stand at `offset`, from `seen` on; moves `seen` past them.
fn unseen(seen: &mut u64, offset: u64, mut bytes: Vec<u8>) -> Vec<u8> {
    let known = usize::try_from(seen.saturating_sub(offset)).unwrap_or(usize::MAX);
    let end = offset.saturating_add(bytes.len() as u64);
    bytes.drain(..known.min(bytes.len()));
    *seen = (*seen).max(end);
    bytes
}

/// Ends a stream that is whole; one that just stops was cut.
const END_EVENT: &str = "end";
/// Wait before a stream that was cut in good order is opened again.
const REOPEN_WAIT: Duration = Duration::from_millis(200);

/// A stream of events about a job that is opened again when it breaks.
#[derive(Debug)]
struct Followed {
    client: Client,
    job: JobId,
    path: String,
    query: Vec<(&'static str, String)>,
    follow: Follow,
    open: Option<(Response, Parser)>,
    last_id: Option<String>,
    patience: Patience,
    /// The job was over when the stream was cut last: what comes now is all.
    was_over: bool,
}

impl Followed {
    fn new(client: &Client, job: &JobId, what: &str) -> Self {
        Self {
            client: client.clone(),
            job: job.clone(),
            path: format!("/v1/jobs/{job}/{what}"),
            query: Vec::new(),
            follow: Follow::UntilOver,
            open: None,
            last_id: None,
            patience: Patience::default(),
            was_over: false,
        }
    }

    /// The next message; `None` when there are no more, and there will be none.
    async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Error> {
        loop {
            match self.step().await {
                Ok(Some(message)) if message.event == END_EVENT => return Ok(None),
                Ok(Some(message)) => {
                    self.patience.refresh();
                    self.last_id.clone_from(&message.id);
                    return serde_json::from_str(&message.data)
                        .map(Some)
                        .map_err(|source| Error::Decode {
                            server: self.client.server().to_owned(),
                            source,
                        });
                }
                Ok(None) => {
                    self.open = None;
                    if self.follow == Follow::No || self.was_over {
                        return Ok(None);
                    }
                    self.cut().await?;
                }
                Err(error) => {
                    self.open = None;
                    self.patience.after(error).await?;
                }
            }
        }
    }

    async fn step(&mut self) -> Result<Option<Message>, Error> {
        let (response, parser) = match &mut self.open {
            Some(open) => open,
            closed => {
                let query: Vec<(&str, &str)> = self
                    .query
                    .iter()
                    .map(|(name, value)| (*name, value.as_str()))
                    .collect();
                let last_id = self.last_id.as_deref();
                let response = self.client.open(&self.path, &query, last_id).await?;
                closed.insert((response, Parser::default()))
            }
        };
        loop {
            match parser.message() {
                Ok(Some(message)) => return Ok(Some(message)),
                Ok(None) => {}
                Err(_) => return Err(self.client.protocol("garbage in a stream of events".into())),
            }
            match response.chunk().await {
                Ok(Some(chunk)) => parser.push(&chunk),
                Ok(None) => return Ok(None),
                Err(error) => return Err(Error::transport(self.client.server(), error)),
            }
        }
    }

    /// The stream stopped without its last event: a scheduler that stops ends
    /// its streams too. When the job got over in between, the rest is read once more.
    async fn cut(&mut self) -> Result<(), Error> {
        loop {
            match self.client.job(&self.job).await {
                Ok(job) => {
                    self.was_over = job.state.is_final();
                    if !self.was_over {
                        tokio::time::sleep(REOPEN_WAIT).await;
                    }
                    return Ok(());
                }
                Err(error) => self.patience.after(error).await?,
            }
        }
    }
}

/// What the tasks of a job returned.
#[derive(Debug)]
pub struct Results {
    client: Client,
    response: Response,
    buffer: VecDeque<u8>,
    ended: bool,
}

impl Results {
    /// The next task's result; `None` after the last.
    ///
    /// # Errors
    /// When the connection breaks, or a line is not a result.
    pub async fn next(&mut self) -> Result<Option<ResultLine>, Error> {
        loop {
            let end = self.buffer.iter().position(|byte| *byte == b'\n');
            let length = match end {
                Some(end) => end + 1,
                None if self.ended => self.buffer.len(),
                None => 0,
            };
            let line: Vec<u8> = self.buffer.drain(..length).collect();
            let line = line.trim_ascii();
            if !line.is_empty() {
                return serde_json::from_slice(line)
                    .map(Some)
                    .map_err(|source| Error::Decode {
                        server: self.client.server().to_owned(),
                        source,
                    });
            }
            if self.ended && self.buffer.is_empty() {
                return Ok(None);
            }
            if length > 0 {
                continue;
            }
            if self.buffer.len() > RESULT_LINE_BYTES_MAX {
                return Err(self.client.protocol("a result without end".into()));
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) => self.buffer.extend(chunk),
                Ok(None) => self.ended = true,
                Err(error) => return Err(Error::transport(self.client.server(), error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_log_says_twice_is_seen_once() {
        let mut seen = 0;
        assert_eq!(unseen(&mut seen, 0, b"abc".to_vec()), b"abc");
        assert_eq!(unseen(&mut seen, 0, b"abcde".to_vec()), b"de");
        assert_eq!(unseen(&mut seen, 2, b"cd".to_vec()), b"");
        // A gap is dropped bytes, not an error: the node keeps a bounded log.
        assert_eq!(unseen(&mut seen, 9, b"z".to_vec()), b"z");
        assert_eq!(seen, 10);
    }
}
