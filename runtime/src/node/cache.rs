//! Keeps a directory of things that can be had again below a size: what was
//! used longest ago goes first.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Marks an entry as used now, by its modification time.
pub(crate) fn touch(entry: &Path) -> io::Result<()> {
    fs::File::open(entry)?.set_modified(SystemTime::now())
}

/// Removes entries (files, or directories with all in them) until at most
/// `bytes_max` are left; `keep` stays whatever its age.
pub(crate) fn trim(dir: &Path, bytes_max: u64, keep: &Path) -> io::Result<()> {
    trim_but(dir, bytes_max, |entry| entry == keep)
}

/// The same; what `keeps` says stays whatever its age.
pub(crate) fn trim_but(
    dir: &Path,
    bytes_max: u64,
    keeps: impl Fn(&Path) -> bool,
) -> io::Result<()> {
    let mut entries = Vec::new();
    let mut total = 0;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        // Another process may have trimmed it meanwhile.
        let Ok((used, bytes)) = measure(&path) else {
            continue;
        };
        total += bytes;
        entries.push((used, bytes, path));
    }
    entries.sort();
    for (_, bytes, path) in entries {
        if total <= bytes_max {
            break;
        }
        if !keeps(&path) {
            remove(&path)?;
            total -= bytes;
        }
    }
    Ok(())
}

/// Removes a file, or a directory and all in it, if it is there.
pub(crate) fn remove(path: &PathBuf) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// When an entry was used, and its size: of a directory, with all in it.
fn measure(path: &Path) -> io::Result<(SystemTime, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    let mut bytes = metadata.len();
    let mut rest = Vec::new();
    if metadata.is_dir() {
        rest.push(path.to_owned());
    }
    while let Some(dir) = rest.pop() {
        for inner in fs::read_dir(dir)? {
            let inner = inner?;
            let metadata = inner.metadata()?;
            bytes += metadata.len();
            if metadata.is_dir() {
                rest.push(inner.path());
            }
        }
    }
    Ok((metadata.modified()?, bytes))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        for (name, age) in [("old", 30), ("older", 60), ("kept", 90), ("new", 0)] {
            let path = dir.path().join(name);
            fs::write(&path, [0; 100]).unwrap();
            let file = fs::File::open(&path).unwrap();
            file.set_modified(now - Duration::from_secs(age)).unwrap();
        }
        trim(dir.path(), 250, &dir.path().join("kept")).unwrap();
        let mut left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["kept", "new"]);
    }
}
