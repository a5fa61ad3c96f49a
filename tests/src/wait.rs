//! Waiting for a condition, with a bound and a message.

use std::time::{Duration, Instant};

/// Between two looks at a condition: short against what is waited for, long against its cost.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks at `condition` until it gives a value.
///
/// # Panics
/// After `bound` without one, saying what was waited for.
pub fn wait_for<T>(what: &str, bound: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(
            start.elapsed() < bound,
            "waited {bound:?} in vain until {what}"
        );
        std::thread::sleep(LOOK_EVERY);
    }
}
