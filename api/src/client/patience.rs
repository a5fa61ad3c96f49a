//! How long a follower waits for a scheduler that went away: it may be
//! restarting, and a job that runs is no reason to give up at once.

use std::time::Duration;

use tokio::time::Instant;

use super::Error;

/// Longest silence before a follower gives up: a scheduler restarts in a second or two.
pub const SILENCE_MAX: Duration = Duration::from_secs(30);
/// The first wait; doubles with each failure.
const WAIT_MIN: Duration = Duration::from_millis(100);
/// The longest wait, so that a restarted scheduler is found soon.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Counts failures since the last success.
#[derive(Debug, Default)]
pub struct Patience {
    since: Option<Instant>,
    waits: u32,
}

impl Patience {
    /// Something came: the count starts anew.
    pub fn refresh(&mut self) {
        *self = Self::default();
    }

    /// Waits before the next try.
    ///
    /// # Errors
    /// `error` itself, when trying again cannot help or [`SILENCE_MAX`] has passed.
    pub async fn after(&mut self, error: Error) -> Result<(), Error> {
        let since = *self.since.get_or_insert_with(Instant::now);
        if !error.is_transient() || since.elapsed() >= SILENCE_MAX {
            return Err(error);
        }
        let wait = WAIT_MIN
            .saturating_mul(1 << self.waits.min(10))
            .min(WAIT_MAX);
        self.waits += 1;
        tokio::time::sleep(wait).await;
        Ok(())
    }
}
