//! What an attempt wrote last to its standard error: where most programs say why
//! they fail, a traceback or a panic's message among them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use stint_api::link::{LOG_STREAM_BYTES_MAX, STDERR_TAIL_BYTES_MAX};
use stint_api::outcome::Outcome;
use stint_sandbox::LogFile;

use super::slot::Slot;

/// Most lines: a traceback of a few calls. All of it is in the log.
const LINES_MAX: usize = 20;
/// How a log lies in its file, by the plan of every attempt.
const LOG: LogFile = LogFile::new(LOG_STREAM_BYTES_MAX);

/// The last lines of an attempt that ended so, if it failed by itself and said something.
pub(crate) fn last_lines(slot: &Slot, outcome: &Outcome) -> Option<String> {
    let by_itself = matches!(
        outcome,
        Outcome::Exited { .. } | Outcome::Trapped { .. } | Outcome::GuestMemoryLimit { .. }
    );
    let bytes = by_itself.then(|| read_end(&slot.stderr()))?;
    match bytes {
        Ok(bytes) => lines(&bytes),
        Err(error) => {
            tracing::debug!(%error, "the end of standard error cannot be read");
            None
        }
    }
}

/// More bytes than are told, at most.
fn read_end(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if let Some(cut) = LOG.cut(&file)? {
        return Ok(cut.last);
    }
    let end = file.metadata()?.len();
    let from = end.saturating_sub(STDERR_TAIL_BYTES_MAX as u64);
    let mut bytes = vec![0; usize::try_from(end - from).unwrap_or(0)];
    file.read_exact_at(&mut bytes, from)?;
    Ok(bytes)
}

fn lines(bytes: &[u8]) -> Option<String> {
    let from = bytes.len().saturating_sub(STDERR_TAIL_BYTES_MAX);
    let text = String::from_utf8_lossy(&bytes[from..]);
    let text = text.trim_end();
    let start = text.rmatch_indices('\n').nth(LINES_MAX - 1);
    let start = start.map_or(0, |(at, _)| at + 1);
    // Bytes that are not text grow when they are replaced.
    let mut start = start.max(text.len().saturating_sub(STDERR_TAIL_BYTES_MAX));
    while !text.is_char_boundary(start) {
        start += 1;
    }
    (!text.is_empty()).then(|| text[start..].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_told_and_not_more_than_fits() {
        assert_eq!(lines(b""), None);
        assert_eq!(lines(b"\n \n"), None);
        assert_eq!(lines(b"one\ntwo\n").as_deref(), Some("one\ntwo"));
        let many: String = (0..100).map(|number| format!("{number}\n")).collect();
        let told = lines(many.as_bytes()).unwrap();
        assert_eq!(told.lines().count(), LINES_MAX);
        assert!(told.starts_with("80\n") && told.ends_with("\n99"));
        assert!(lines(&[0xff; 5_000]).unwrap().len() <= STDERR_TAIL_BYTES_MAX);
    }
}
