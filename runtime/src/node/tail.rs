//! Follows the two log files of an attempt: what was appended since is read and
//! said with its offset, so that saying it twice writes it once.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use stint_api::id::AttemptId;
use stint_api::link::{Base64, LOG_BYTES_MAX, Report, Stream};

use super::slot::Slot;

/// Most that is read of one stream at a time: a guest that prints more than this
/// in one look is followed a little later, and loses nothing.
const READ_BYTES_MAX: usize = 4 * LOG_BYTES_MAX;

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

/// What was appended to the logs.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// To be said.
    pub(crate) reports: Vec<Report>,
    /// Whether there may be more already.
    pub(crate) is_unread: bool,
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

    /// Reports of what was appended since, at most [`READ_BYTES_MAX`] a stream.
    /// Blocks on the disk.
    pub(crate) fn read(&mut self) -> News {
        let mut reports = Vec::new();
        let mut is_unread = false;
        for one in &mut self.streams {
            let from = one.offset;
            match one.read() {
                Ok(bytes) => {
                    is_unread |= bytes.len() >= READ_BYTES_MAX;
                    reports.extend(said(&self.attempt, one.stream, from, &bytes));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let path = one.path.display();
                    tracing::warn!(%path, %error, "a log cannot be read");
                }
            }
        }
        News { reports, is_unread }
    }
}

impl One {
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(File::open(&self.path)?),
        };
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        file.take(READ_BYTES_MAX as u64).read_to_end(&mut bytes)?;
        self.offset += bytes.len() as u64;
        Ok(bytes)
    }
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
