//! Modules that no node can run, remembered for a while: the next job with one of
//! them is told so at once, instead of spending a compiler on it again. Not for
//! ever, because a budget may be passed by a hair on a machine that is busy.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use stint_api::id::Digest;
use stint_api::outcome::Outcome;

/// How long a refusal stands: long against what it costs to find out again, short
/// against how long a person waits before trying once more.
const REFUSED_FOR: Duration = Duration::from_secs(10 * 60);
/// Most refusals that are remembered; each may hold a compiler's message of 4,000 characters.
const REFUSED_MAX: usize = 1_024;

/// Why modules were refused, and when.
#[derive(Debug, Default)]
pub(crate) struct Refused(BTreeMap<Digest, (Instant, Outcome)>);

impl Refused {
    /// Remembers a refusal; the oldest goes when there are too many.
    pub(crate) fn remember(&mut self, module: Digest, why: Outcome, now: Instant) {
        self.0.retain(|_, (since, _)| stands(*since, now));
        if self.0.len() >= REFUSED_MAX
            && !self.0.contains_key(&module)
            && let Some(oldest) = self.oldest()
        {
            self.0.remove(&oldest);
        }
        self.0.insert(module, (now, why));
    }

    /// Why `module` was refused, if that still stands.
    pub(crate) fn why(&self, module: &Digest, now: Instant) -> Option<Outcome> {
        let (since, why) = self.0.get(module)?;
        stands(*since, now).then(|| why.clone())
    }

    fn oldest(&self) -> Option<Digest> {
        let oldest = self.0.iter().min_by_key(|(_, (since, _))| *since);
        oldest.map(|(module, _)| *module)
    }
}

fn stands(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) < REFUSED_FOR
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit() -> Outcome {
        Outcome::CompileLimit {
            what: "13 s of CPU time".into(),
        }
    }

    #[test]
    fn a_refusal_stands_for_a_while() {
        let (mut refused, now) = (Refused::default(), Instant::now());
        let module = Digest([1; 32]);
        assert_eq!(refused.why(&module, now), None);
        refused.remember(module, limit(), now);
        let last = now + REFUSED_FOR - Duration::from_secs(1);
        assert_eq!(refused.why(&module, last), Some(limit()));
        assert_eq!(refused.why(&module, now + REFUSED_FOR), None);
    }

    #[test]
    fn the_oldest_refusal_makes_room_for_the_newest() {
        let (mut refused, start) = (Refused::default(), Instant::now());
        let named = |n: usize| {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&n.to_be_bytes());
            Digest(digest)
        };
        for n in 0..=REFUSED_MAX {
            let now = start + Duration::from_millis(n as u64);
            refused.remember(named(n), limit(), now);
        }
        let now = start + Duration::from_secs(5);
        assert_eq!(refused.0.len(), REFUSED_MAX);
        assert_eq!(refused.why(&named(0), now), None);
        assert_eq!(refused.why(&named(1), now), Some(limit()));
        assert_eq!(refused.why(&named(REFUSED_MAX), now), Some(limit()));
    }
}
