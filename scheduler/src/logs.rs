//! Logs on disk: one file an attempt and stream, and one index a job that lists
//! the chunks in the order in which they came. A follower is a position in the
//! index, so it resumes exactly, across a restart of the scheduler too.
//!
//! Logs outlive the scheduler's death, not the machine's: they are not synced.
//! Outcomes and results, which decide something, are.

mod index;

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stint_api::id::{AttemptId, JobId, TaskIndex};
use stint_api::link::{LOG_STREAM_BYTES_MAX, Stream};
use tokio::sync::broadcast;

use crate::metrics::Metrics;
use index::{ENTRY_BYTES, Entry};

/// Most bytes of all logs of one job: a million tasks that chatter must not fill the disk.
const JOB_BYTES_MAX: u64 = 1 << 30;
/// Bytes of log that one read returns, about: a follower's share of memory.
const READ_BYTES: usize = 256 << 10;
/// Entries of the index that one read looks at, 160 KiB of it.
const READ_ENTRIES: usize = 4_096;
/// Jobs whose change a slow follower may miss before it must look for itself.
const CHANGES_MAX: usize = 1_024;
/// Tasks whose files share a directory.
const TASKS_PER_DIRECTORY: u32 = 4_096;

/// Why logs cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    #[error("cannot use {path}")]
    Io {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("the reading of a log broke off")]
    Broke,
}

/// Bytes of a log at their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) attempt: AttemptId,
    pub(crate) stream: Stream,
    pub(crate) offset: u64,
    pub(crate) data: Vec<u8>,
}

/// Which chunks of a job.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Choice {
    pub(crate) task: Option<TaskIndex>,
    pub(crate) stream: Option<Stream>,
}

/// A piece of a job's logs.
#[derive(Debug)]
pub(crate) struct Piece {
    /// Each chunk with the position after it.
    pub(crate) chunks: Vec<(u64, Chunk)>,
    /// Where the next read starts.
    pub(crate) next: u64,
    /// Whether there was nothing to look at.
    pub(crate) at_end: bool,
}

/// All logs of the scheduler. Its methods block: call them off the runtime.
#[derive(Debug)]
pub(crate) struct Logs {
    directory: PathBuf,
    metrics: Arc<Metrics>,
    changes: broadcast::Sender<JobId>,
    /// Data before index, seen by readers in one step; short, for nothing is synced under it.
    writing: Mutex<()>,
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> LogError + use<> {
    let path = path.to_owned();
    |cause| LogError::Io { path, cause }
}

impl Logs {
    pub(crate) fn open(data_dir: &Path, metrics: Arc<Metrics>) -> std::io::Result<Self> {
        let directory = data_dir.join("logs");
        std::fs::create_dir_all(&directory)?;
        Ok(Self {
            directory,
            metrics,
            changes: broadcast::Sender::new(CHANGES_MAX),
            writing: Mutex::new(()),
        })
    }

    /// Names each job whose logs grew; who lags has missed some.
    pub(crate) fn changes(&self) -> broadcast::Receiver<JobId> {
        self.changes.subscribe()
    }

    /// Keeps chunks; bytes that are there already are not written again.
    pub(crate) fn append(&self, chunks: &[Chunk]) -> Result<(), LogError> {
        for chunk in chunks {
            if self.append_one(chunk)? {
                // Nobody follows: then nobody needs to know.
                let _ = self.changes.send(chunk.attempt.job.clone());
            }
        }
        Ok(())
    }

    fn append_one(&self, chunk: &Chunk) -> Result<bool, LogError> {
        let path = self.data_path(&chunk.attempt, chunk.stream);
        let _writing = self.lock();
        let file = create(&path)?;
        let length = file.metadata().map_err(io(&path))?.len();
        let known = usize::try_from(length.saturating_sub(chunk.offset)).unwrap_or(usize::MAX);
        let fresh = chunk.data.get(known..).unwrap_or_default();
        if fresh.is_empty() {
            return Ok(false);
        }
        let offset = chunk.offset + known as u64;
        let index_path = self.index_path(&chunk.attempt.job);
        let index = create(&index_path)?;
        let last = index::last(&index).map_err(io(&index_path))?;
        let total = last.map_or(0, |entry| entry.total);
        let room = LOG_STREAM_BYTES_MAX
            .saturating_sub(offset)
            .min(JOB_BYTES_MAX.saturating_sub(total));
        let kept = fresh.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        let dropped = (fresh.len() - kept) as u64;
        self.metrics.log_bytes_dropped.inc_by(dropped);
        if kept == 0 {
            return Ok(false);
        }
        let entry = Entry::of(chunk, offset, kept, total + kept as u64);
        // The index first: a crash between the two leaves an entry without
        // bytes, which readers skip, and the node says the chunk again.
        index::append(&index, &entry).map_err(io(&index_path))?;
        file.write_all_at(&fresh[..kept], offset)
            .map_err(io(&path))?;
        self.metrics.log_bytes.inc_by(kept as u64);
        Ok(true)
    }

    /// Reads chunks of `job` from the position `from` on, a bounded piece of them.
    pub(crate) fn read(&self, job: &JobId, from: u64, choice: Choice) -> Result<Piece, LogError> {
        let path = self.index_path(job);
        let index = match File::open(&path) {
            Ok(index) => index,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Piece::none(from)),
            Err(error) => return Err(io(&path)(error)),
        };
        let end = {
            let _writing = self.lock();
            index.metadata().map_err(io(&path))?.len() / ENTRY_BYTES
        };
        let count = usize::try_from(end.saturating_sub(from)).unwrap_or(usize::MAX);
        let entries = index::read(&index, from, count.min(READ_ENTRIES)).map_err(io(&path))?;
        let mut piece = Piece::none(from);
        let mut bytes = 0;
        for entry in entries {
            if bytes >= READ_BYTES {
                break;
            }
            piece.next += 1;
            piece.at_end = false;
            if entry.is_chosen(choice)
                && let Some(chunk) = self.load(job, &entry)?
            {
                bytes += chunk.data.len();
                piece.chunks.push((piece.next, chunk));
            }
        }
        Ok(piece)
    }

    /// What an entry points to; nothing when the bytes never came.
    fn load(&self, job: &JobId, entry: &Entry) -> Result<Option<Chunk>, LogError> {
        let attempt = entry.attempt(job);
        let path = self.data_path(&attempt, entry.stream);
        let mut data = vec![0; entry.length()];
        let read = File::open(&path).and_then(|file| file.read_exact_at(&mut data, entry.offset));
        match read {
            Ok(()) => Ok(Some(Chunk {
                attempt,
                stream: entry.stream,
                offset: entry.offset,
                data,
            })),
            Err(error)
                if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::NotFound) =>
            {
                Ok(None)
            }
            Err(error) => Err(io(&path)(error)),
        }
    }

    /// Every job that has logs; what cannot be read is left out.
    pub(crate) fn jobs(&self) -> Vec<JobId> {
        let names = |path: &Path| {
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
            let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
            names.collect::<Vec<String>>()
        };
        let mut jobs = Vec::new();
        for namespace in names(&self.directory) {
            for number in names(&self.directory.join(&namespace)) {
                jobs.extend(format!("{namespace}.{number}").parse::<JobId>());
            }
        }
        jobs
    }

    /// Removes the logs of a job that nobody knows any more.
    pub(crate) fn remove(&self, job: &JobId) -> Result<(), LogError> {
        let path = self.job_directory(job);
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(io(&path)(error)),
            _ => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn job_directory(&self, job: &JobId) -> PathBuf {
        self.directory
            .join(job.namespace.as_str())
            .join(job.number.to_string())
    }

    fn index_path(&self, job: &JobId) -> PathBuf {
        self.job_directory(job).join("index")
    }

    fn data_path(&self, attempt: &AttemptId, stream: Stream) -> PathBuf {
        let stream = match stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        let name = format!(
            "t{}.g{}.{}.{stream}",
            attempt.task, attempt.grant.0, attempt.try_number
        );
        self.job_directory(&attempt.job)
            .join((attempt.task / TASKS_PER_DIRECTORY).to_string())
            .join(name)
    }
}

impl Piece {
    fn none(from: u64) -> Self {
        Self {
            chunks: Vec::new(),
            next: from,
            at_end: true,
        }
    }
}

fn create(path: &Path) -> Result<File, LogError> {
    let open = || {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
    };
    let opened = open().or_else(|error| {
        let directory = path
            .parent()
            .filter(|_| error.kind() == ErrorKind::NotFound);
        std::fs::create_dir_all(directory.ok_or(error)?)?;
        open()
    });
    opened.map_err(io(path))
}

#[cfg(test)]
mod tests;
