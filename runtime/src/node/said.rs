//! Listens to what a guest says of itself: reads the lines that it appends to its
//! events file, and passes on the latest of everything, ever less often, so that ten
//! thousand guests that talk all the time are not too much for a scheduler.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use stint_api::id::AttemptId;
use stint_api::link::Report;
use stint_api::said::{LINE_BYTES_MAX, Said};

use super::slot::Slot;

/// Most that is read at a time: thousands of lines; a guest that writes more than this in
/// one look is heard a little later.
const READ_BYTES_MAX: u64 = 256 << 10;
/// Wait after the first saying until the next; doubles up to the longest.
const AGAIN: Duration = Duration::from_secs(1);
/// A thousand attempts then say a hundred things a second together.
const AGAIN_MAX: Duration = Duration::from_secs(8);

/// The events file of one attempt, and how far it was read.
#[derive(Debug)]
pub(crate) struct Listener {
    attempt: AttemptId,
    path: PathBuf,
    /// Opened when it is first there.
    file: Option<File>,
    offset: u64,
    /// The beginning of a line whose end is not written yet; cut off where it is too long.
    begun: Vec<u8>,
    said: Said,
    /// Whether there is something that the scheduler was not told.
    is_new: bool,
    /// When it may be told.
    next: Option<Instant>,
    wait: Duration,
}

impl Listener {
    /// Listens to the guest of `slot` from the beginning.
    pub(crate) fn new(attempt: AttemptId, slot: &Slot) -> Self {
        Self {
            attempt,
            path: slot.events(),
            file: None,
            offset: 0,
            begun: Vec::new(),
            said: Said::default(),
            is_new: false,
            next: None,
            wait: AGAIN,
        }
    }

    /// What is said there is of `attempt`, whose slot this is by now.
    pub(crate) fn of(&mut self, attempt: AttemptId, slot: &Slot) {
        self.attempt = attempt;
        self.path = slot.events();
    }

    /// What to pass on now, if anything. Blocks on the disk.
    pub(crate) fn listen(&mut self, now: Instant) -> Option<Report> {
        self.read();
        if !self.is_new || self.next.is_some_and(|next| now < next) {
            return None;
        }
        self.next = Some(now + self.wait);
        self.wait = (self.wait * 2).min(AGAIN_MAX);
        Some(self.report())
    }

    /// What was not passed on yet, when the guest says no more. Blocks on the disk.
    pub(crate) fn finish(&mut self) -> Option<Report> {
        while self.read() {}
        self.is_new.then(|| self.report())
    }

    fn report(&mut self) -> Report {
        self.is_new = false;
        Report::Said {
            attempt: self.attempt.clone(),
            said: self.said.clone(),
        }
    }

    /// Reads what is new; whether there may be more already.
    fn read(&mut self) -> bool {
        match self.take() {
            Ok(bytes) => {
                self.hear(&bytes);
                bytes.len() as u64 == READ_BYTES_MAX
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    let path = self.path.display();
                    tracing::debug!(%path, %error, "what a guest says cannot be read");
                }
                false
            }
        }
    }

    fn take(&mut self) -> io::Result<Vec<u8>> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => open(&self.path)?,
        };
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        let read = (&mut file).take(READ_BYTES_MAX).read_to_end(&mut bytes);
        self.file = Some(file);
        self.offset += read? as u64;
        Ok(bytes)
    }

    fn hear(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.append(&rest[..end]);
            self.is_new |= self.said.hear(&self.begun);
            self.begun.clear();
            rest = &rest[end + 1..];
        }
        self.append(rest);
    }

    /// One byte more than fits is enough to see that it is too much.
    fn append(&mut self, part: &[u8]) {
        let room = (LINE_BYTES_MAX + 1).saturating_sub(self.begun.len());
        self.begun.extend(&part[..part.len().min(room)]);
    }
}

/// The guest made what is there: a link is not followed, and a pipe not waited for.
fn open(path: &PathBuf) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::options()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a file"));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    fn said(report: Option<Report>) -> Option<Said> {
        match report? {
            Report::Said { said, .. } => Some(said),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_latest_is_passed_on_ever_less_often_and_the_last_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let slot = Slot::at(dir.path().to_owned());
        fs::create_dir(slot.scratch()).unwrap();
        let mut listener = Listener::new("a.1.t0.g1.1".parse().unwrap(), &slot);
        let start = Instant::now();
        assert!(listener.listen(start).is_none(), "no file yet");
        let mut file = File::create(slot.events()).unwrap();
        let mut at = start;
        let mut told = Vec::new();
        for percent in 1..=100 {
            let line = format!(
                "{{\"progress\": {}}}\nnot json\n",
                f64::from(percent) / 100.0
            );
            file.write_all(line.as_bytes()).unwrap();
            at += Duration::from_millis(200);
            told.extend(said(listener.listen(at)).and_then(|said| said.progress));
        }
        assert_eq!(told, [0.01, 0.06, 0.16, 0.36, 0.76]);
        let last = said(listener.finish()).unwrap();
        assert_eq!(last.progress, Some(1.0));
        assert!(listener.finish().is_none());
    }

    #[test]
    fn a_line_counts_when_its_end_is_written_and_one_too_long_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let slot = Slot::at(dir.path().to_owned());
        fs::create_dir(slot.scratch()).unwrap();
        let mut listener = Listener::new("a.1.t0.g1.1".parse().unwrap(), &slot);
        let mut file = File::create(slot.events()).unwrap();
        write!(file, "{}\n{{\"metric\": \"a\", ", "x".repeat(1 << 20)).unwrap();
        assert!(listener.finish().is_none());
        writeln!(file, "\"value\": 1}}").unwrap();
        assert_eq!(said(listener.finish()).unwrap().metrics["a"], 1.0);
    }

    #[test]
    fn a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let slot = Slot::at(dir.path().to_owned());
        fs::create_dir(slot.scratch()).unwrap();
        fs::write(dir.path().join("secret"), "{\"message\": \"secret\"}\n").unwrap();
        std::os::unix::fs::symlink("../secret", slot.events()).unwrap();
        let mut listener = Listener::new("a.1.t0.g1.1".parse().unwrap(), &slot);
        assert!(listener.finish().is_none());
    }
}
