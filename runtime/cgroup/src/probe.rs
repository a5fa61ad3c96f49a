//! Can limits be held here? Asked by `doctor`, and before a node chooses to do
//! without cgroups. The answer is tried, not guessed: a group is made and removed.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::Version;
use crate::base::{self, Unavailable};

/// Which version would hold limits here, or why none can. Moves no process and
/// leaves nothing behind.
pub fn probe() -> Result<Version, Unavailable> {
    let place = base::find()?;
    // Threads of one process may ask at the same time.
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("stint-probe-{}-{number}", std::process::id());
    for dir in place.each_dir() {
        let trial = dir.join(&name);
        std::fs::create_dir(&trial)
            .and_then(|()| std::fs::remove_dir(&trial))
            .map_err(|source| Unavailable::NotWritable {
                dir: dir.to_path_buf(),
                source,
            })?;
    }
    Ok(place.version)
}
