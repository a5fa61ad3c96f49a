//! Files on disk that no module and no job needs any more go, once nothing has touched them
//! for long enough.
//!
//! What is needed is asked of the heart first, and looked at on disk after that; whoever is about to
//! name a file in between has touched it. So the time of a file is read and the file
//! removed under the lock under which it is touched, or put into its place.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use stint_api::id::Digest;

/// Files that are used often are not touched each time.
const TOUCH_AFTER: Duration = Duration::from_secs(60);

/// Keeps a file where it is while somebody makes sure of it.
#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<()>);

impl Gate {
    /// While this is held nothing is removed.
    pub(crate) fn hold(&self) -> MutexGuard<'_, ()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the file is about to be named, if it is there.
    pub(crate) fn touch(&self, path: &Path) -> io::Result<()> {
        let _held = self.hold();
        let now = SystemTime::now();
        match fs::metadata(path).and_then(|metadata| metadata.modified()) {
            Ok(at) if at + TOUCH_AFTER < now => fs::File::open(path)?.set_modified(now),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes the files of `directory` called by a digest, and `suffix`, that is not among
    /// `needed`, unless they were touched after `before`; how many. Blocks.
    pub(crate) fn sweep(
        &self,
        (directory, suffix): (&Path, &str),
        needed: &BTreeSet<Digest>,
        before: SystemTime,
    ) -> io::Result<usize> {
        let mut removed = 0;
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_str().and_then(|name| name.strip_suffix(suffix));
            let digest = name.and_then(|hex| format!("sha256:{hex}").parse::<Digest>().ok());
            if digest.is_none_or(|digest| needed.contains(&digest)) {
                continue;
            }
            let _held = self.hold();
            let path = entry.path();
            // A link into a library has a time of its own.
            match fs::symlink_metadata(&path).and_then(|metadata| metadata.modified()) {
                Ok(at) if at < before => fs::remove_file(&path)?,
                Ok(_) => continue,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            }
            removed += 1;
        }
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_or_was_touched_or_is_no_file_of_ours_stays() {
        let dir = tempfile::tempdir().unwrap();
        let gate = Gate::default();
        let now = SystemTime::now();
        let hour = Duration::from_secs(3_600);
        let path = |digest: &Digest| dir.path().join(format!("{}.wasm", digest.hex()));
        let [needed, touched, new, old] = [1, 2, 3, 4].map(|byte| Digest([byte; 32]));
        for digest in [&needed, &touched, &new, &old] {
            let file = fs::File::create(path(digest)).unwrap();
            file.set_modified(now - 2 * hour).unwrap();
        }
        let other = fs::File::create(dir.path().join("other.wasm")).unwrap();
        other.set_modified(now - 2 * hour).unwrap();
        fs::File::create(path(&new))
            .unwrap()
            .set_modified(now)
            .unwrap();
        gate.touch(&path(&touched)).unwrap();
        gate.touch(&dir.path().join("none")).unwrap();
        let roots = BTreeSet::from([needed]);
        let swept = gate.sweep((dir.path(), ".wasm"), &roots, now - hour);
        assert_eq!(swept.unwrap(), 1);
        assert!(!path(&old).exists());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
    }
}
