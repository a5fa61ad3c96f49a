//! What a task saves for its next attempt: after a failure it goes on where it was.
//!
//! It is kept in a file of the directory that `STINT_CHECKPOINT` names, which comes back
//! for the next attempt on the same node; on another node a task begins anew. Where the
//! variable is absent, nothing is saved and nothing is found.

use std::env;
use std::fs;
use std::io;
use std::path::PathBuf;

/// In the directory: what was saved last.
const STATE: &str = "state";

/// What an earlier attempt of this task saved last, if any did.
///
/// # Errors
/// It is there and cannot be read.
pub fn load() -> io::Result<Option<Vec<u8>>> {
    let Some(dir) = dir() else {
        return Ok(None);
    };
    match fs::read(dir.join(STATE)) {
        Ok(state) => Ok(Some(state)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Saves `state` in the place of what was saved before: an attempt that is killed
/// meanwhile leaves the one or the other, whole.
///
/// # Errors
/// It cannot be written: the task's `--scratch` may be full.
pub fn save(state: impl AsRef<[u8]>) -> io::Result<()> {
    let Some(dir) = dir() else {
        return Ok(());
    };
    fs::create_dir_all(&dir)?;
    let beside = dir.join("state.new");
    fs::write(&beside, state)?;
    fs::rename(beside, dir.join(STATE))
}

/// The directory itself, for programs that save files of their own; they make it where
/// it is missing.
pub fn dir() -> Option<PathBuf> {
    env::var_os("STINT_CHECKPOINT").map(PathBuf::from)
}
