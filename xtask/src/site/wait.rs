//! Waits for a condition, never for a time.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often a condition is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Looks until `condition` gives a value.
///
/// # Errors
/// It gives none within `bound`, or fails.
pub(crate) fn wait_for<T>(
    what: &str,
    bound: Duration,
    mut condition: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = condition()? {
            return Ok(value);
        }
        if start.elapsed() > bound {
            bail!("waited {bound:?} in vain until {what}");
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}
