//! The index of a job's logs: entries of one size, appended.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use stint_api::id::{AttemptId, GrantNumber, JobId, TaskIndex};
use stint_api::link::{LOG_BYTES_MAX, Stream};

use super::{Choice, Chunk};

const SIZE: usize = 40;
/// Bytes of one entry.
pub(super) const ENTRY_BYTES: u64 = SIZE as u64;

/// One chunk of one stream of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    task: TaskIndex,
    grant: u32,
    try_number: u32,
    pub(super) stream: Stream,
    pub(super) offset: u64,
    length: u32,
    /// Bytes of all logs of the job, this chunk included.
    pub(super) total: u64,
}

impl Entry {
    pub(super) fn of(chunk: &Chunk, offset: u64, length: usize, total: u64) -> Self {
        Self {
            task: chunk.attempt.task,
            grant: chunk.attempt.grant.0,
            try_number: chunk.attempt.try_number,
            stream: chunk.stream,
            offset,
            length: u32::try_from(length).unwrap_or(u32::MAX),
            total,
        }
    }

    pub(super) fn attempt(&self, job: &JobId) -> AttemptId {
        AttemptId {
            job: job.clone(),
            task: self.task,
            grant: GrantNumber(self.grant),
            try_number: self.try_number,
        }
    }

    /// Bytes of the chunk; never more than a report may carry, whatever the file says.
    pub(super) fn length(&self) -> usize {
        usize::try_from(self.length).map_or(LOG_BYTES_MAX, |length| length.min(LOG_BYTES_MAX))
    }

    pub(super) fn is_chosen(&self, choice: Choice) -> bool {
        choice.task.is_none_or(|task| task == self.task)
            && choice.stream.is_none_or(|stream| stream == self.stream)
    }

    fn to_bytes(self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        let words = [
            self.task,
            self.grant,
            self.try_number,
            u32::from(self.stream == Stream::Stderr),
            self.length,
            0,
        ];
        for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes[24..32].copy_from_slice(&self.offset.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.total.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        let word = |at: usize| {
            let mut word = [0; 4];
            word.copy_from_slice(&bytes[at..at + 4]);
            u32::from_le_bytes(word)
        };
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        Self {
            task: word(0),
            grant: word(4),
            try_number: word(8),
            stream: if word(12) == 0 {
                Stream::Stdout
            } else {
                Stream::Stderr
            },
            length: word(16),
            offset: long(24),
            total: long(32),
        }
    }
}

/// The last whole entry.
pub(super) fn last(index: &File) -> io::Result<Option<Entry>> {
    let count = index.metadata()?.len() / ENTRY_BYTES;
    match count.checked_sub(1) {
        Some(position) => Ok(read(index, position, 1)?.pop()),
        None => Ok(None),
    }
}

/// Writes behind the last whole entry: half an entry is what a crash left.
pub(super) fn append(index: &File, entry: &Entry) -> io::Result<()> {
    let end = index.metadata()?.len() / ENTRY_BYTES * ENTRY_BYTES;
    index.write_all_at(&entry.to_bytes(), end)
}

/// `count` entries from the position `from` on; they must be there.
pub(super) fn read(index: &File, from: u64, count: usize) -> io::Result<Vec<Entry>> {
    let mut bytes = vec![0; count * SIZE];
    index.read_exact_at(&mut bytes, from.saturating_mul(ENTRY_BYTES))?;
    Ok(bytes.chunks_exact(SIZE).map(Entry::from_bytes).collect())
}
