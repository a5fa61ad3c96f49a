//! How a log lies in its file, so that its beginning and its end are kept, whatever
//! its length and however its writer ends; what is left out is the middle.
//!
//! ```text
//! 0               head              max   max + 8
//! ├── the first ───┼── the last, ───┼──────┤
//! │   bytes, once  │   in a ring    │ how many there were: once more than `max` came
//! ```
//!
//! A file that is not longer than `max` is the log itself. Whoever reads while it
//! is written reads no further than the head, for nothing in there changes again.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

/// The part of a log that is kept of its end: one in so many.
const RING_PART: u64 = 16;
/// Most that is kept of a log's end: enough for what a program says when it fails.
const RING_BYTES_MAX: u64 = 1 << 20;
/// Bytes of the count behind the ring.
const COUNT_BYTES: usize = 8;

/// Where the bytes of a log of at most `max` kept bytes are in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogFile {
    max: u64,
    ring: u64,
}

/// A log of which the middle is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Bytes between its head and its last bytes.
    pub missing: u64,
    /// Its last bytes.
    pub last: Vec<u8>,
}

impl LogFile {
    /// Of a log of which `max` bytes are kept.
    pub const fn new(max: u64) -> Self {
        let part = max / RING_PART;
        let ring = if part < RING_BYTES_MAX {
            part
        } else {
            RING_BYTES_MAX
        };
        Self { max, ring }
    }

    /// Bytes at its beginning, which stand where they were written.
    pub const fn head(self) -> u64 {
        self.max - self.ring
    }

    /// Bytes that are kept of its end.
    pub(crate) const fn ring(self) -> u64 {
        self.ring
    }

    /// Bytes that are kept.
    pub const fn max(self) -> u64 {
        self.max
    }

    /// The place of the byte at `position` of the log and of those that follow it
    /// there; nothing when none of them is kept.
    fn place(self, position: u64) -> Option<Range<u64>> {
        let head = self.head();
        if position < head {
            return Some(position..head);
        }
        let at = head + (position - head).checked_rem(self.ring)?;
        Some(at..self.max)
    }

    /// Writes `bytes`, which are the log's from `position` on.
    pub(crate) fn write(self, file: &File, position: u64, bytes: &[u8]) -> io::Result<()> {
        let end = position.saturating_add(bytes.len() as u64);
        let (mut at, mut rest) = (position, bytes);
        while let Some(place) = self.place(at).filter(|_| !rest.is_empty()) {
            let room = usize::try_from(place.end - place.start).unwrap_or(usize::MAX);
            let (now, later) = rest.split_at(rest.len().min(room));
            file.write_all_at(now, place.start)?;
            at += now.len() as u64;
            rest = later;
        }
        if end > self.max {
            // Last: a writer that is killed before it shows new bytes as old ones, and loses none.
            file.write_all_at(&end.to_le_bytes(), self.max)?;
        }
        Ok(())
    }

    /// What is missing of the log in `file` and what comes after it; nothing when all
    /// is there. Whoever wrote it is not trusted: whatever is there, no more is read
    /// than the ring and the count. To be called when it is written no more.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn cut(self, file: &File) -> io::Result<Option<Cut>> {
        if file.metadata()?.len() <= self.max {
            return Ok(None);
        }
        let mut count = [0; COUNT_BYTES];
        match file.read_exact_at(&mut count, self.max) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        let Some(missing) = u64::from_le_bytes(count).checked_sub(self.max) else {
            return Ok(None);
        };
        let mut last = vec![0; usize::try_from(self.ring).unwrap_or(0)];
        file.read_exact_at(&mut last, self.head())?;
        // The byte after the newest one is the oldest.
        if let Some(oldest) = missing.checked_rem(self.ring) {
            last.rotate_left(usize::try_from(oldest).unwrap_or(0));
        }
        Ok(Some(Cut { missing, last }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Head 150, ring 10.
    const LOG: LogFile = LogFile::new(160);

    /// A file with `bytes` written in pieces of `size`.
    fn written(bytes: &[u8], size: usize) -> File {
        let file = tempfile::tempfile().unwrap();
        let mut position = 0;
        for piece in bytes.chunks(size) {
            LOG.write(&file, position, piece).unwrap();
            position += piece.len() as u64;
        }
        file
    }

    fn text(length: usize) -> Vec<u8> {
        (b'a'..=b'w').cycle().take(length).collect()
    }

    #[test]
    fn a_log_that_fits_is_its_file() {
        assert_eq!((LOG.head(), LOG.max()), (150, 160));
        for length in [0, 1, 149, 150, 160] {
            let file = written(&text(length), 7);
            assert_eq!(LOG.cut(&file).unwrap(), None);
            let mut found = vec![0; length];
            file.read_exact_at(&mut found, 0).unwrap();
            assert_eq!(found, text(length));
        }
    }

    #[test]
    fn of_a_log_that_does_not_fit_the_beginning_and_the_end_are_there() {
        for length in [161, 165, 170, 171, 1_000, 12_345] {
            for size in [1, 3, 10, 11, 149, 400] {
                let file = written(&text(length), size);
                let cut = LOG.cut(&file).unwrap().unwrap();
                assert_eq!(cut.missing, length as u64 - 160, "{length} by {size}");
                assert_eq!(cut.last, text(length)[length - 10..], "{length} by {size}");
                let mut head = vec![0; 150];
                file.read_exact_at(&mut head, 0).unwrap();
                assert_eq!(head, text(150));
            }
        }
    }

    #[test]
    fn a_count_that_lies_is_read_as_far_as_the_ring_goes() {
        let file = written(&text(200), 50);
        file.write_all_at(&u64::MAX.to_le_bytes(), 160).unwrap();
        assert_eq!(LOG.cut(&file).unwrap().unwrap().last.len(), 10);
        file.write_all_at(&[0; 8], 160).unwrap();
        assert_eq!(LOG.cut(&file).unwrap(), None);
        file.set_len(164).unwrap();
        assert_eq!(LOG.cut(&file).unwrap(), None);
    }

    #[test]
    fn a_log_too_small_for_an_end_keeps_its_beginning() {
        let (log, file) = (LogFile::new(5), tempfile::tempfile().unwrap());
        log.write(&file, 0, b"abcdefgh").unwrap();
        let cut = log.cut(&file).unwrap().unwrap();
        assert_eq!((cut.missing, cut.last), (3, Vec::new()));
    }
}
