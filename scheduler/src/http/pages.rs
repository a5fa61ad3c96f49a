//! What is read from pages: the attempts and the results of a job. The driver
//! reads a few pages in each turn, so that no job's history holds up the rest.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use stint_api::id::{JobId, TaskIndex};
use stint_api::view::{AttemptView, ResultLine, TasksView};
use stint_cluster::{PageIndex, RecordKey};
use stint_store::Record;

use super::extract::{Params, Segment};
use super::problem::ApiError;
use super::{Api, Shared};

/// Pages that one turn of the driver reads: 4 MiB or little more, milliseconds.
const PAGES_PER_TURN: usize = 16;
/// Most bytes of the attempts of one answer; a client takes 64 MiB.
const HISTORY_BYTES_MAX: usize = 32 << 20;
/// Most runs of tasks of one answer: the heart is busy while they are gathered.
const RUNS_MAX: usize = 10_000;
/// Bytes of results that are sent in one piece, about.
const PIECE_BYTES: usize = 64 << 10;
/// One JSON value a line.
const NDJSON: &str = "application/x-ndjson";

/// The attempts of a job, as many as are kept and fit into one answer.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    pub(super) list: Vec<AttemptView>,
    pub(super) truncated: bool,
}

/// Reads the pages of a job, in the order of their keys.
struct Pages {
    api: Arc<Api>,
    index: PageIndex,
    after: Option<String>,
    at_end: bool,
}

impl Pages {
    fn new(api: Arc<Api>, index: PageIndex) -> Self {
        Self {
            api,
            after: Some(index.start()),
            index,
            at_end: false,
        }
    }

    /// Some records of one chunk or several; none after the last.
    async fn next(&mut self) -> Result<Option<Vec<Record>>, ApiError> {
        if self.at_end {
            return Ok(None);
        }
        let (prefix, after) = (self.index.prefix(), self.after.take());
        let records = self.api.driver.call(move |turn| {
            turn.store
                .load_page(&prefix, after.as_deref(), PAGES_PER_TURN)
        });
        let records = records.await?.map_err(ApiError::internal)?;
        self.at_end = records.len() < PAGES_PER_TURN;
        self.after = records.last().map(|record| record.key.clone());
        Ok(Some(records))
    }
}

/// The chunk that a page belongs to.
fn chunk_of(record: &Record) -> Option<u32> {
    match record.key.parse() {
        Ok(RecordKey::Page(_, chunk, _)) => Some(chunk),
        _ => None,
    }
}

fn read(index: &PageIndex, records: &[Record]) -> Result<stint_cluster::History, ApiError> {
    index.read(texts(records)).map_err(ApiError::internal)
}

fn texts(records: &[Record]) -> impl Iterator<Item = (&str, &[u8])> {
    let records = records.iter();
    records.map(|record| (record.key.as_str(), record.value.as_slice()))
}

/// The attempts that `index` counts, oldest first; of more than `most` the latest.
pub(super) async fn attempts(
    api: Arc<Api>,
    index: PageIndex,
    most: usize,
) -> Result<Attempts, ApiError> {
    let mut truncated = index.is_truncated();
    let mut list: Vec<AttemptView> = Vec::new();
    let (mut read, mut bytes) = (0, 0);
    let mut chunks = std::collections::BTreeSet::new();
    let mut pages = Pages::new(api, index);
    // A job's pages hold results, too, and a million of those are not read for nothing.
    'reading: while read < pages.index.entries()
        && let Some(records) = pages.next().await?
    {
        chunks.extend(records.iter().map(chunk_of));
        let found = pages.index.read_attempts(texts(&records));
        for attempt in found.map_err(ApiError::internal)? {
            read += 1;
            bytes += bytes_of(&attempt);
            list.push(attempt);
            // The latest may be in any page: all are read, and not many more are held than are wanted.
            if list.len() >= most.saturating_mul(2) {
                truncated |= keep_latest(&mut list, most, chunks.len());
                bytes = list.iter().map(bytes_of).sum();
            }
            if bytes > HISTORY_BYTES_MAX {
                truncated = true;
                list.pop();
                break 'reading;
            }
        }
    }
    truncated |= keep_latest(&mut list, most, chunks.len());
    Ok(Attempts { list, truncated })
}

fn bytes_of(attempt: &AttemptView) -> usize {
    serde_json::to_string(attempt).map_or(0, |text| text.len())
}

/// Orders attempts of so many chunks, and drops all but the latest; whether there were others.
fn keep_latest(list: &mut Vec<AttemptView>, most: usize, chunks: usize) -> bool {
    // Within a chunk they stand in the order in which they were heard of.
    if chunks > 1 {
        list.sort_by_key(|attempt| attempt.ended_at);
    }
    let older = list.len().saturating_sub(most);
    list.drain(..older);
    older > 0
}

/// Which of a job's tasks to show.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TaskParams {
    /// The first task of the page: `next` of the page before; 0 when absent.
    #[serde(default)]
    from: TaskIndex,
    /// Most runs of the page: 1 to 10000, 10000 when absent.
    limit: Option<usize>,
    /// Most attempts, the latest; all that are kept when absent, on the first page.
    history: Option<usize>,
}

/// `GET /v1/jobs/{id}/tasks`.
pub(super) async fn tasks(
    State(api): Shared,
    Segment(id): Segment<JobId>,
    Params(params): Params<TaskParams>,
) -> Result<Json<TasksView>, ApiError> {
    let limit = params.limit.unwrap_or(RUNS_MAX);
    if !(1..=RUNS_MAX).contains(&limit) {
        let what = format!("`limit`: a page has 1 to {RUNS_MAX} runs, not {limit}");
        return Err(ApiError::Query(what));
    }
    let wanted = id.clone();
    let found = api
        .driver
        .call(move |turn| turn.cluster.tasks(&wanted, params.from, limit));
    let (page, index) = found.await?.ok_or_else(|| ApiError::NoJob(id.clone()))?;
    let said = api.events.sayings.of(&id);
    let all = if params.from == 0 { usize::MAX } else { 0 };
    let attempts = match params.history.unwrap_or(all) {
        0 => Attempts::default(),
        most => attempts(api, index, most).await?,
    };
    Ok(Json(TasksView {
        runs: page.runs,
        history: attempts.list,
        truncated: attempts.truncated,
        said,
        next: page.next,
    }))
}

/// Which results of a job.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResultParams {
    /// The first task whose result is wanted; 0 when absent.
    #[serde(default)]
    from: TaskIndex,
}

/// `GET /v1/jobs/{id}/results`: one line a task, ascending.
pub(super) async fn results(
    State(api): Shared,
    Segment(id): Segment<JobId>,
    Params(params): Params<ResultParams>,
) -> Result<Response, ApiError> {
    let wanted = id.clone();
    let index = api.driver.call(move |turn| turn.cluster.pages(&wanted));
    let index = index.await?.ok_or(ApiError::NoJob(id))?;
    let results = Results {
        pages: Pages::new(api, index.since(params.from)),
        gathered: Vec::new(),
        chunk: None,
        lines: VecDeque::new(),
    };
    let pieces = stream::try_unfold(results, async |mut results| {
        match results.piece().await {
            Ok(piece) => Ok(piece.map(|piece| (piece, results))),
            Err(error) => {
                // The answer has begun: a stream that breaks is all that can be said.
                tracing::warn!(?error, "the results of a job break off");
                Err(io::Error::other("the results break off"))
            }
        }
    });
    let body = Body::from_stream(pieces);
    Ok(([(CONTENT_TYPE, NDJSON)], body).into_response())
}

/// Results on their way. Those of one chunk are gathered before any is sent,
/// for its tasks end in any order: at most 256 of 64 KiB each.
struct Results {
    pages: Pages,
    gathered: Vec<ResultLine>,
    chunk: Option<u32>,
    lines: VecDeque<ResultLine>,
}

impl Results {
    /// The next lines; none after the last.
    async fn piece(&mut self) -> Result<Option<Bytes>, ApiError> {
        while self.lines.is_empty() {
            match self.pages.next().await? {
                Some(records) => self.gather(&records)?,
                None if self.gathered.is_empty() => return Ok(None),
                None => self.flush(),
            }
        }
        let mut piece = Vec::new();
        while piece.len() < PIECE_BYTES
            && let Some(line) = self.lines.pop_front()
        {
            write_line(&mut piece, &line)?;
        }
        Ok(Some(piece.into()))
    }

    fn gather(&mut self, records: &[Record]) -> Result<(), ApiError> {
        for part in records.chunk_by(|one, other| chunk_of(one) == chunk_of(other)) {
            let chunk = chunk_of(&part[0]);
            if chunk != self.chunk {
                self.flush();
                self.chunk = chunk;
            }
            let results = read(&self.pages.index, part)?.results;
            self.gathered.extend(results);
        }
        Ok(())
    }

    /// A chunk is complete.
    fn flush(&mut self) {
        self.gathered.sort_by_key(|line| line.task);
        self.lines.extend(self.gathered.drain(..));
    }
}

/// Writes one line. A result is the text that the task wrote, which may span
/// lines; outside of strings a line break is a space like any other, and
/// within them there is none.
fn write_line(piece: &mut Vec<u8>, line: &ResultLine) -> Result<(), ApiError> {
    let start = piece.len();
    serde_json::to_writer(&mut *piece, line).map_err(ApiError::internal)?;
    for byte in &mut piece[start..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    piece.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_of_several_lines_is_one_line() {
        let line = ResultLine {
            task: 3,
            result: serde_json::from_str("{\r\n  \"a\": \"b\\nc\"\n}").unwrap(),
        };
        let mut piece = Vec::new();
        write_line(&mut piece, &line).unwrap();
        let text = String::from_utf8(piece).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        let back: ResultLine = serde_json::from_str(&text).unwrap();
        let value: serde_json::Value = serde_json::from_str(back.result.get()).unwrap();
        assert_eq!(value["a"], "b\nc");
    }
}
