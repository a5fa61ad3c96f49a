//! Follows the two log files of an attempt: what was written since is read and
//! said with its offset, so that saying it twice writes it once. What is said of a
//! log that is too long is its beginning while it is written, and once it is over
//! a line that says how much is missing, and its end.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use stint_api::id::AttemptId;
use stint_api::link::{Base64, LOG_BYTES_MAX, LOG_STREAM_BYTES_MAX, Report, Stream};
use stint_sandbox::{Cut, LogFile};

use super::slot::Slot;

/// Most that is read of one stream at a time: a guest that prints more than this
/// in one look is followed a little later, and loses nothing.
const READ_BYTES_MAX: usize = 4 * LOG_BYTES_MAX;
/// How a log lies in its file, by the plan of every attempt.
const LOG: LogFile = LogFile::new(LOG_STREAM_BYTES_MAX);

/// Both streams of one attempt, and how far they were read.
#[derive(Debug)]
pub(crate) struct Tail {
    attempt: AttemptId,
    streams: [One; 2],
}

#[derive(Debug)]
struct One {
    stream: Stream,
    path: PathBuf,
    /// Opened when it is first there.
    file: Option<File>,
    offset: u64,
}

/// What was written to the logs.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// To be said.
    pub(crate) reports: Vec<Report>,
    /// Whether there may be more already.
    pub(crate) is_unread: bool,
    /// Bytes that nobody will read, known once the logs are over.
    pub(crate) dropped: u64,
}

impl Tail {
    /// Follows the logs of `slot` from their start.
    pub(crate) fn new(attempt: AttemptId, slot: &Slot) -> Self {
        let one = |stream, path| One {
            stream,
            path,
            file: None,
            offset: 0,
        };
        let streams = [
            one(Stream::Stdout, slot.stdout()),
            one(Stream::Stderr, slot.stderr()),
        ];
        Self { attempt, streams }
    }

    /// What is written there is of `attempt`, whose slot this is by now.
    pub(crate) fn of(&mut self, attempt: AttemptId, slot: &Slot) {
        self.attempt = attempt;
        for one in &mut self.streams {
            one.path = match one.stream {
                Stream::Stdout => slot.stdout(),
                Stream::Stderr => slot.stderr(),
            };
        }
    }

    /// Reports of what was written since, at most [`READ_BYTES_MAX`] a stream.
    /// Blocks on the disk.
    pub(crate) fn read(&mut self) -> News {
        self.each(|one, attempt, news| {
            let from = one.offset;
            let bytes = one.read()?;
            news.is_unread |= bytes.len() >= READ_BYTES_MAX;
            news.reports.extend(said(attempt, one.stream, from, &bytes));
            Ok(())
        })
    }

    /// Reports of what is left when the attempt is over and [`Tail::read`] finds no
    /// more: the end of each log. Blocks on the disk.
    pub(crate) fn finish(&mut self) -> News {
        self.each(|one, attempt, news| {
            let (from, rest, dropped) = one.rest()?;
            news.dropped = news.dropped.saturating_add(dropped);
            news.reports.extend(said(attempt, one.stream, from, &rest));
            Ok(())
        })
    }

    fn each(
        &mut self,
        mut look: impl FnMut(&mut One, &AttemptId, &mut News) -> io::Result<()>,
    ) -> News {
        let mut news = News::default();
        for one in &mut self.streams {
            match look(one, &self.attempt, &mut news) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    let path = one.path.display();
                    tracing::warn!(%path, %error, "a log cannot be read");
                }
                _ => {}
            }
        }
        news
    }
}

impl One {
    fn open(&mut self) -> io::Result<&mut File> {
        let file = match self.file.take() {
            Some(file) => file,
            None => File::open(&self.path)?,
        };
        Ok(self.file.insert(file))
    }

    /// What is new of the log's beginning.
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let (offset, room) = (self.offset, LOG.head().saturating_sub(self.offset));
        let bytes = read(self.open()?, offset, room.min(READ_BYTES_MAX as u64))?;
        self.offset += bytes.len() as u64;
        Ok(bytes)
    }

    /// All that comes after the beginning, its offset, and how much is missing of it.
    fn rest(&mut self) -> io::Result<(u64, Vec<u8>, u64)> {
        let from = self.offset;
        let file = self.open()?;
        let (rest, dropped) = match LOG.cut(file)? {
            Some(cut) => bridged(cut, LOG.max().saturating_sub(from)),
            None => (read(file, from, LOG.max().saturating_sub(from))?, 0),
        };
        self.offset += rest.len() as u64;
        Ok((from, rest, dropped))
    }
}

fn read(file: &mut File, from: u64, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The end of a log after a line that says what is missing before it, together at
/// most `room` bytes; and how much that is. It goes on where a line begins.
fn bridged(cut: Cut, room: u64) -> (Vec<u8>, u64) {
    /// As long as the line below with the largest number.
    const LINE_BYTES_MAX: u64 = 64;
    let skip = (cut.last.len() as u64 + LINE_BYTES_MAX).saturating_sub(room);
    let skip = usize::try_from(skip).unwrap_or(cut.last.len());
    let last = cut.last.get(skip..).unwrap_or_default();
    let line = last.iter().position(|byte| *byte == b'\n');
    let last = line.map_or(last, |end| &last[end + 1..]);
    let dropped = (cut.missing).saturating_add((cut.last.len() - last.len()) as u64);
    let mut rest = format!("\n[{dropped} bytes are left out here]\n").into_bytes();
    rest.extend(last);
    (rest, dropped)
}

fn said(attempt: &AttemptId, stream: Stream, from: u64, bytes: &[u8]) -> Vec<Report> {
    let mut offset = from;
    let mut reports = Vec::new();
    for chunk in bytes.chunks(LOG_BYTES_MAX) {
        reports.push(Report::Log {
            attempt: attempt.clone(),
            stream,
            offset,
            data: Base64(chunk.to_vec()),
        });
        offset += chunk.len() as u64;
    }
    reports
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::FileExt as _;

    use super::*;

    /// Puts the said bytes of `stream` together, checking that there is no gap.
    fn gather(text: &mut Vec<u8>, stream: Stream, reports: Vec<Report>) {
        for report in reports {
            let Report::Log {
                stream: said,
                offset,
                data,
                ..
            } = report
            else {
                panic!("not a log");
            };
            assert!(data.0.len() <= LOG_BYTES_MAX);
            if said == stream {
                assert_eq!(offset, text.len() as u64);
                text.extend(data.0);
            }
        }
    }

    #[test]
    fn every_byte_is_said_once_with_its_offset() {
        let dir = tempfile::tempdir().unwrap();
        let slot = Slot::at(dir.path().to_owned());
        let mut tail = Tail::new("a.1.t0.g1.1".parse().unwrap(), &slot);
        assert!(tail.read().reports.is_empty(), "no file yet");
        let mut log = File::create(slot.stdout()).unwrap();
        let mut written = Vec::new();
        let mut said = Vec::new();
        for size in [1, LOG_BYTES_MAX, 2 * READ_BYTES_MAX + 7] {
            let bytes: Vec<u8> = (0..size)
                .map(|n| b'a' + u8::try_from(n % 23).unwrap())
                .collect();
            log.write_all(&bytes).unwrap();
            written.extend(bytes);
            gather(&mut said, Stream::Stdout, tail.read().reports);
        }
        let mut is_unread = true;
        while is_unread {
            let news = tail.read();
            is_unread = news.is_unread;
            gather(&mut said, Stream::Stdout, news.reports);
        }
        assert_eq!(said, written);
    }

    #[test]
    fn of_a_log_that_is_too_long_beginning_and_end_are_said_and_what_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let slot = Slot::at(dir.path().to_owned());
        let mut tail = Tail::new("a.1.t0.g1.1".parse().unwrap(), &slot);
        let log = File::create(slot.stdout()).unwrap();
        // What a worker leaves: a head, a ring whose oldest byte is in its middle, a count.
        let (head, max) = (LOG.head(), LOG.max());
        log.write_all_at(&vec![b'a'; usize::try_from(head).unwrap()], 0)
            .unwrap();
        let ring = (max - head) / 2;
        let half = |byte| vec![byte; usize::try_from(ring).unwrap()];
        log.write_all_at(&half(b'z'), head).unwrap();
        log.write_all_at(&half(b'y'), head + ring).unwrap();
        log.write_all_at(b"\nlast words\n", head + ring - 12)
            .unwrap();
        log.write_all_at(b"a line\n", head + ring + 200).unwrap();
        let total = max + 100 * (max - head) + ring;
        log.write_all_at(&total.to_le_bytes(), max).unwrap();
        let mut said = Vec::new();
        let mut is_unread = true;
        while is_unread {
            let news = tail.read();
            is_unread = news.is_unread;
            gather(&mut said, Stream::Stdout, news.reports);
        }
        assert_eq!(said.len() as u64, head, "only what stands fast is said");
        let news = tail.finish();
        gather(&mut said, Stream::Stdout, news.reports);
        assert!(said.len() as u64 <= max, "the scheduler keeps no more");
        let end = String::from_utf8(said.split_off(usize::try_from(head).unwrap())).unwrap();
        let missing = format!("\n[{} bytes are left out here]\nyyy", news.dropped);
        assert!(end.starts_with(&missing), "{}", &end[..60]);
        assert!(end.ends_with("z\nlast words\n"));
        let shown = end.len() - missing.len() + 3;
        assert_eq!(news.dropped, total - head - shown as u64);
    }

    #[test]
    fn both_streams_are_followed() {
        let dir = tempfile::tempdir().unwrap();
        let slot = Slot::at(dir.path().to_owned());
        fs::write(slot.stdout(), "out").unwrap();
        fs::write(slot.stderr(), "err").unwrap();
        let mut tail = Tail::new("a.1.t0.g1.1".parse().unwrap(), &slot);
        let reports = tail.read().reports;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        gather(&mut out, Stream::Stdout, reports.clone());
        gather(&mut err, Stream::Stderr, reports);
        assert_eq!((out.as_slice(), err.as_slice()), (&b"out"[..], &b"err"[..]));
    }
}
