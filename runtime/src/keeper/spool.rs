//! The spool: how every attempt ended that the node has not yet let go of. What
//! is told to a node is here first, so that neither side's death loses it.
//!
//! A file is written beside its place and renamed to it, and not synced to the
//! disk: it has to outlive processes, not the machine. After a power failure the
//! machine's attempts are lost anyway, and a torn file is one more of them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use stint_api::id::AttemptId;

use super::protocol::Spooled;
use crate::frame::NODE_FRAME_BYTES_MAX;

/// Suffix of an outcome's file; anything else was never finished.
const SUFFIX: &str = ".json";

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

/// What ended and was not discarded, in memory and in a directory.
#[derive(Debug)]
pub(crate) struct Spool {
    dir: PathBuf,
    entries: BTreeMap<AttemptId, Spooled>,
}

impl Spool {
    /// Reads what an earlier keeper left in `dir`; what cannot be read is removed.
    pub(crate) fn open(dir: PathBuf) -> Result<Self, SpoolError> {
        fs::create_dir_all(&dir).map_err(failed("make", &dir))?;
        let mut entries = BTreeMap::new();
        for entry in fs::read_dir(&dir).map_err(failed("list", &dir))? {
            let path = entry.map_err(failed("list", &dir))?.path();
            match read(&path) {
                Ok(spooled) => {
                    entries.insert(spooled.attempt.clone(), spooled);
                }
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "not an outcome; removed");
                    fs::remove_file(&path).map_err(failed("remove", &path))?;
                }
            }
        }
        Ok(Self { dir, entries })
    }

    /// Everything in it, in order of the attempts.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Spooled> {
        self.entries.values()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How this attempt ended, if it did.
    pub(crate) fn get(&self, attempt: &AttemptId) -> Option<&Spooled> {
        self.entries.get(attempt)
    }

    /// Puts an outcome in. If the directory fails, memory still has it, and the
    /// node is told; only a keeper that dies before the node discards it loses it.
    pub(crate) fn put(&mut self, spooled: Spooled) -> Result<(), SpoolError> {
        let path = self.path(&spooled.attempt);
        let written = write(&path, &spooled).map_err(failed("write", &path));
        self.entries.insert(spooled.attempt.clone(), spooled);
        written
    }

    /// Forgets an attempt; does nothing for one that is not there.
    pub(crate) fn discard(&mut self, attempt: &AttemptId) -> Result<(), SpoolError> {
        if self.entries.remove(attempt).is_none() {
            return Ok(());
        }
        let path = self.path(attempt);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove", &path)(error))
            }
            _ => Ok(()),
        }
    }

    /// An attempt's text form has letters, digits, hyphens and dots only.
    fn path(&self, attempt: &AttemptId) -> PathBuf {
        self.dir.join(format!("{attempt}{SUFFIX}"))
    }
}

fn write(path: &Path, spooled: &Spooled) -> io::Result<()> {
    let beside = path.with_extension("tmp");
    fs::write(&beside, serde_json::to_vec(spooled)?)?;
    fs::rename(&beside, path)
}

fn read(path: &Path) -> io::Result<Spooled> {
    let invalid = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let name = path.file_name().and_then(|name| name.to_str());
    if fs::metadata(path)?.len() > NODE_FRAME_BYTES_MAX as u64 {
        return Err(invalid("it is too long"));
    }
    let spooled: Spooled = serde_json::from_slice(&fs::read(path)?)?;
    if name != Some(&format!("{}{SUFFIX}", spooled.attempt)) {
        return Err(invalid("it is of another attempt, or unfinished"));
    }
    Ok(spooled)
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
    fn a_torn_or_strange_file_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path().to_owned()).unwrap();
        spool.put(spooled("a.1.t0.g1.1")).unwrap();
        fs::write(dir.path().join("a.1.t1.g1.1.json"), "{\"attem").unwrap();
        fs::write(dir.path().join("a.1.t2.g1.1.tmp"), "").unwrap();
        fs::copy(
            dir.path().join("a.1.t0.g1.1.json"),
            dir.path().join("a.1.t9.g1.1.json"),
        )
        .unwrap();
        assert_eq!(Spool::open(dir.path().to_owned()).unwrap().len(), 1);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
