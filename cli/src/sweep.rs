//! Removes what `run` left behind where it was killed before it could: the
//! directories of embedded schedulers that live no more.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

/// Younger directories may belong to a run that is about to take its lock.
const AGE_MIN: Duration = Duration::from_secs(60);
/// Most that one run cleans up after others: the next goes on.
const SWEPT_MAX: usize = 16;

/// Removes directories in `within` that begin with `prefix`, are this user's, and
/// whose `lock` nobody holds. What cannot be removed is left.
pub(crate) fn sweep(within: &Path, prefix: &str, lock: &str) -> io::Result<()> {
    let own = fs::metadata("/proc/self")?.uid();
    let left = fs::read_dir(within)?.flatten().filter(|entry| {
        let named = entry.file_name().to_string_lossy().starts_with(prefix);
        let aged = |metadata: fs::Metadata| {
            let age = metadata.modified().ok()?.elapsed().ok()?;
            Some(metadata.is_dir() && metadata.uid() == own && age > AGE_MIN)
        };
        named && entry.metadata().ok().and_then(aged).unwrap_or(false)
    });
    for entry in left.take(SWEPT_MAX) {
        if is_abandoned(&entry.path().join(lock)) {
            // Another run may be removing it too.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

/// The kernel drops a lock with its process, however that ended.
fn is_abandoned(lock: &Path) -> bool {
    match File::open(lock) {
        Ok(file) => file.try_lock().is_ok(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn only_what_is_old_and_locked_by_nobody_goes() {
        let within = tempfile::tempdir().unwrap();
        let old = SystemTime::now() - 2 * AGE_MIN;
        let mut locks = Vec::new();
        for name in ["run-dead", "run-alive", "run-young", "other"] {
            let dir = within.path().join(name);
            fs::create_dir(&dir).unwrap();
            let lock = File::create(dir.join("lock")).unwrap();
            if name == "run-alive" {
                lock.try_lock().unwrap();
                locks.push(lock);
            }
            if name != "run-young" {
                File::open(&dir).unwrap().set_modified(old).unwrap();
            }
        }
        sweep(within.path(), "run-", "lock").unwrap();
        let mut left: Vec<_> = fs::read_dir(within.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["other", "run-alive", "run-young"]);
    }
}
