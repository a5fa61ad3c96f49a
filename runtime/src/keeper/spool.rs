//! The spool: how every attempt ended that the node has not yet let go of. What
//! is told to a node is here first, so that neither side's death loses it.
//!
//! It is one file to which lines are appended, an outcome or that one was let go:
//! a file for each would cost an attempt more than its start. It is not synced to
//! the disk: it has to outlive processes, not the machine. After a power failure
//! the machine's attempts are lost anyway, and a torn line is one more of them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stint_api::id::AttemptId;

use super::protocol::Spooled;
use crate::frame::NODE_FRAME_BYTES_MAX;

/// The file in the spool's directory.
const FILE: &str = "outcomes.jsonl";
/// What is written beside its place, and takes it when it is whole.
const BESIDE: &str = "outcomes.new";
/// Longest line; a longer one is not of ours.
const LINE_BYTES_MAX: u64 = NODE_FRAME_BYTES_MAX as u64;
/// Below this many bytes the file is not made smaller, however little of it counts.
const SMALL_BYTES: u64 = 1 << 20;
/// The file may be so many times as long as what counts in it.
const SLACK: u64 = 4;

/// The spool cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{doing} {}", path.display())]
pub(crate) struct SpoolError {
    doing: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SpoolError {
    let path = path.to_owned();
    move |source| SpoolError {
        doing,
        path,
        source,
    }
}

/// A line, as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    Ended(Box<Spooled>),
    Discarded(AttemptId),
}

/// A line, as it is written.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum LineOf<'a> {
    Ended(&'a Spooled),
    Discarded(&'a AttemptId),
}

impl LineOf<'_> {
    fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        Ok(line)
    }
}

/// An outcome in memory, and how long its line is.
#[derive(Debug)]
struct Entry {
    spooled: Spooled,
    bytes: u64,
}

/// What ended and was not discarded, in memory and in a file.
#[derive(Debug)]
pub(crate) struct Spool {
    path: PathBuf,
    file: File,
    /// How long the file is.
    bytes: u64,
    entries: BTreeMap<AttemptId, Entry>,
    /// How long the lines are that count.
    kept: u64,
}

impl Spool {
    /// Reads what an earlier keeper left in `dir`; what cannot be read is dropped.
    pub(crate) fn open(dir: PathBuf) -> Result<Self, SpoolError> {
        fs::create_dir_all(&dir).map_err(failed("make", &dir))?;
        for entry in fs::read_dir(&dir).map_err(failed("list", &dir))? {
            let path = entry.map_err(failed("list", &dir))?.path();
            if path.file_name() != Some(FILE.as_ref()) {
                tracing::warn!(path = %path.display(), "not of the spool; removed");
                fs::remove_file(&path).map_err(failed("remove", &path))?;
            }
        }
        let path = dir.join(FILE);
        let found = read(&path).map_err(failed("read", &path))?;
        let (file, bytes) = rewrite(&path, found.values()).map_err(failed("write", &path))?;
        let entries = found.into_iter().filter_map(|(attempt, spooled)| {
            let bytes = LineOf::Ended(&spooled).bytes().ok()?.len() as u64;
            Some((attempt, Entry { spooled, bytes }))
        });
        Ok(Self {
            path,
            file,
            bytes,
            entries: entries.collect(),
            kept: bytes,
        })
    }

    /// Everything in it, in order of the attempts.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Spooled> {
        self.entries.values().map(|entry| &entry.spooled)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How this attempt ended, if it did.
    pub(crate) fn get(&self, attempt: &AttemptId) -> Option<&Spooled> {
        self.entries.get(attempt).map(|entry| &entry.spooled)
    }

    /// Puts an outcome in. If the file fails, memory still has it, and the node is
    /// told; only a keeper that dies before the node discards it loses it.
    pub(crate) fn put(&mut self, spooled: Spooled) -> Result<(), SpoolError> {
        let line = LineOf::Ended(&spooled).bytes();
        let bytes = line.as_ref().map_or(0, Vec::len) as u64;
        let attempt = spooled.attempt.clone();
        if let Some(before) = self.entries.insert(attempt, Entry { spooled, bytes }) {
            self.kept -= before.bytes;
        }
        self.kept += bytes;
        line.and_then(|line| self.append(&line))
            .map_err(failed("write", &self.path))
    }

    /// Forgets an attempt; does nothing for one that is not there.
    pub(crate) fn discard(&mut self, attempt: &AttemptId) -> Result<(), SpoolError> {
        let Some(gone) = self.entries.remove(attempt) else {
            return Ok(());
        };
        self.kept -= gone.bytes;
        let line = LineOf::Discarded(attempt).bytes();
        line.and_then(|line| self.append(&line))
            .and_then(|()| self.make_smaller())
            .map_err(failed("write", &self.path))
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(line);
        if written.is_err() {
            // Half a line would hide all that come after it.
            self.file.set_len(self.bytes)?;
        }
        written?;
        self.bytes += line.len() as u64;
        Ok(())
    }

    /// Takes out of the file what does not count, once that is most of it.
    fn make_smaller(&mut self) -> io::Result<()> {
        if self.bytes <= SMALL_BYTES.max(self.kept.saturating_mul(SLACK)) {
            return Ok(());
        }
        let kept = self.entries.values().map(|entry| &entry.spooled);
        (self.file, self.bytes) = rewrite(&self.path, kept)?;
        Ok(())
    }
}

/// Writes the file anew, whole or not at all; open to be appended to, and how long it is.
fn rewrite<'a>(
    path: &Path,
    outcomes: impl Iterator<Item = &'a Spooled>,
) -> io::Result<(File, u64)> {
    let mut text = Vec::new();
    for spooled in outcomes {
        text.extend(LineOf::Ended(spooled).bytes()?);
    }
    let beside = path.with_file_name(BESIDE);
    fs::write(&beside, &text)?;
    fs::rename(&beside, path)?;
    let file = File::options().append(true).open(path)?;
    Ok((file, text.len() as u64))
}

/// What the file says, up to the first line that is none: a keeper died of it, and
/// nothing was written after that.
fn read(path: &Path) -> io::Result<BTreeMap<AttemptId, Spooled>> {
    let mut found = BTreeMap::new();
    let mut file = match File::open(path) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    loop {
        text.clear();
        let count = file
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut text)?;
        if count == 0 {
            return Ok(found);
        }
        match serde_json::from_slice(&text) {
            Ok(Line::Ended(spooled)) => {
                found.insert(spooled.attempt.clone(), *spooled);
            }
            Ok(Line::Discarded(attempt)) => {
                found.remove(&attempt);
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the spool ends in a torn line");
                return Ok(found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use stint_api::outcome::{Outcome, Usage};
    use stint_api::quantity::Bytes;
    use stint_api::time::Time;

    use super::*;

    fn spooled(attempt: &str) -> Spooled {
        let attempt: AttemptId = attempt.parse().unwrap();
        Spooled {
            grant: crate::keeper::slot::tests::grant(&attempt),
            attempt,
            outcome: Outcome::Exited { code: 3 },
            usage: Usage::default(),
            logs_dropped: Bytes(0),
            started_at: None,
            ended_at: Time::from_nanos(5),
            passed: None,
        }
    }

    #[test]
    fn an_outcome_survives_its_keeper_until_it_is_discarded() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("spool");
        let mut spool = Spool::open(dir.clone()).unwrap();
        let (first, second) = (spooled("a.1.t0.g1.1"), spooled("a.1.t1.g1.1"));
        spool.put(first.clone()).unwrap();
        spool.put(second.clone()).unwrap();

        let mut spool = Spool::open(dir.clone()).unwrap();
        assert_eq!(spool.iter().collect::<Vec<_>>(), [&first, &second]);
        spool.discard(&first.attempt).unwrap();
        spool.discard(&first.attempt).unwrap();

        let spool = Spool::open(dir).unwrap();
        assert_eq!(spool.iter().collect::<Vec<_>>(), [&second]);
    }

    #[test]
    fn a_torn_line_and_a_strange_file_are_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path().to_owned()).unwrap();
        spool.put(spooled("a.1.t0.g1.1")).unwrap();
        spool.file.write_all(b"{\"ended\":{\"attem").unwrap();
        fs::write(dir.path().join(BESIDE), "{").unwrap();
        fs::write(dir.path().join("stray"), "").unwrap();
        let mut spool = Spool::open(dir.path().to_owned()).unwrap();
        assert_eq!(spool.len(), 1);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        // What comes after is not lost for it.
        spool.put(spooled("a.1.t1.g1.1")).unwrap();
        assert_eq!(Spool::open(dir.path().to_owned()).unwrap().len(), 2);
    }

    #[test]
    fn the_file_stays_small_however_many_come_and_go() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path().to_owned()).unwrap();
        let stays = spooled("a.1.t0.g1.1");
        spool.put(stays.clone()).unwrap();
        for task in 1..5_000 {
            let other = spooled(&format!("a.1.t{task}.g1.1"));
            spool.put(other.clone()).unwrap();
            spool.discard(&other.attempt).unwrap();
            let bytes = fs::metadata(&spool.path).unwrap().len();
            assert_eq!(bytes, spool.bytes);
            assert!(bytes <= SMALL_BYTES, "{bytes}");
        }
        let spool = Spool::open(dir.path().to_owned()).unwrap();
        assert_eq!(spool.iter().collect::<Vec<_>>(), [&stays]);
    }
}
