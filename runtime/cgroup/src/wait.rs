//! Waiting for the kernel to catch up: short pauses that grow, with an end.

use std::time::{Duration, Instant};

/// A killed process is gone within tens of microseconds when it was idle.
const FIRST_PAUSE: Duration = Duration::from_micros(50);
/// Longer pauses would be felt by the other slots of a single-threaded keeper.
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

/// Asks `done` until it says yes or `limit` has passed; whether it said yes.
pub(crate) fn until<E>(
    limit: Duration,
    mut done: impl FnMut() -> Result<bool, E>,
) -> Result<bool, E> {
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        if done()? {
            return Ok(true);
        }
        if start.elapsed() >= limit {
            return Ok(false);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[test]
    fn what_never_happens_is_waited_for_no_longer_than_the_limit() {
        let never = until::<Infallible>(Duration::from_millis(3), || Ok(false));
        assert_eq!(never, Ok(false));
    }

    #[test]
    fn what_is_so_already_is_not_waited_for() {
        let start = Instant::now();
        assert_eq!(
            until::<Infallible>(Duration::from_secs(60), || Ok(true)),
            Ok(true)
        );
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}
