//! How much an attempt has on the disk. It is measured while the attempt runs
//! and once more when it ended: between two measures a guest can pass its limit
//! by what a disk takes in that time.

use std::fs;
use std::io;
use std::path::PathBuf;

use stint_api::outcome::Outcome;
use stint_api::quantity::Bytes;

use super::slot::Slot;

/// Room that comes with each file and directory of an attempt, however small it is: each takes
/// an inode of a disk that all share, and a moment of every measure.
const BYTES_AN_ENTRY: u64 = 4 << 10;
/// Files and directories that an attempt may have however little room it asked for.
const ENTRIES_MIN: u64 = 1_000;
/// And however much: more would take longer to measure than to make.
const ENTRIES_MAX: u64 = 100_000;
/// Bytes of a block as `stat` counts them.
const BLOCK_BYTES: u64 = 512;

/// Where an attempt may write, and how much.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    /// `/out` and `/scratch`.
    pub(crate) dirs: [PathBuf; 2],
    /// The most that may be in them together.
    pub(crate) limit: Bytes,
}

impl Room {
    /// The room of the slot's attempt, by its grant's `limit`.
    pub(crate) fn new(slot: &Slot, limit: Bytes) -> Self {
        let dirs = [slot.out(), slot.scratch()];
        Self { dirs, limit }
    }

    /// Whether what is there stays within the limit. Blocks on the disk.
    ///
    /// # Errors
    /// `scratch-full` when it does not.
    pub(crate) fn check(&self) -> Result<(), Outcome> {
        check(&self.dirs, self.limit)
    }
}

fn check(dirs: &[PathBuf], limit: Bytes) -> Result<(), Outcome> {
    let entries_max = (limit.0 / BYTES_AN_ENTRY).clamp(ENTRIES_MIN, ENTRIES_MAX);
    let (mut bytes, mut entries): (u64, u64) = (0, 0);
    let mut rest: Vec<PathBuf> = dirs.to_vec();
    while let Some(dir) = rest.pop() {
        let list = match fs::read_dir(&dir) {
            Ok(list) => list,
            Err(error) if is_too_deep(&error) => return Err(Outcome::ScratchFull),
            // Removed by the guest meanwhile, or never made.
            Err(_) => continue,
        };
        for entry in list.flatten() {
            entries += 1;
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_dir() {
                rest.push(entry.path());
            } else {
                bytes = bytes.saturating_add(size(&metadata));
            }
            if bytes > limit.0 || entries > entries_max {
                return Err(Outcome::ScratchFull);
            }
        }
    }
    Ok(())
}

/// What a file takes or claims to hold, whichever is more: a copy of a file
/// with holes may take all that it claims.
fn size(metadata: &fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    metadata
        .len()
        .max(metadata.blocks().saturating_mul(BLOCK_BYTES))
}

/// Whether the path is longer than the kernel takes: nothing needs that.
fn is_too_deep(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidFilename
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_passes_and_one_byte_more_does_not() {
        let root = tempfile::tempdir().unwrap();
        let (out, scratch) = (root.path().join("out"), root.path().join("scratch"));
        fs::create_dir_all(scratch.join("a/b")).unwrap();
        let dirs = [out, scratch.clone()];
        check(&dirs, Bytes(0)).unwrap();
        fs::write(scratch.join("a/b/file"), vec![1; 8192]).unwrap();
        check(&dirs, Bytes(8192)).unwrap();
        assert_eq!(check(&dirs, Bytes(8191)), Err(Outcome::ScratchFull));
    }

    #[test]
    fn empty_files_fill_it_too() {
        let root = tempfile::tempdir().unwrap();
        let dirs = [root.path().to_owned()];
        for number in 0..ENTRIES_MIN {
            fs::write(root.path().join(number.to_string()), "").unwrap();
        }
        check(&dirs, Bytes(1 << 20)).unwrap();
        fs::write(root.path().join("one more"), "").unwrap();
        assert_eq!(check(&dirs, Bytes(1 << 20)), Err(Outcome::ScratchFull));
        check(&dirs, Bytes(8 << 20)).unwrap();
    }

    #[test]
    fn a_file_with_holes_counts_as_large_as_it_claims_to_be() {
        let root = tempfile::tempdir().unwrap();
        let file = fs::File::create(root.path().join("sparse")).unwrap();
        file.set_len(1 << 40).unwrap();
        let dirs = [root.path().to_owned()];
        assert_eq!(check(&dirs, Bytes(1 << 30)), Err(Outcome::ScratchFull));
    }
}
