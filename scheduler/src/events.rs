//! The latest events of all jobs, for whoever follows one: a ring that
//! forgets. A follower that comes too late starts from a snapshot instead.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use stint_api::id::JobId;
use stint_api::view::{Event, EventKind};
use tokio::sync::watch;

use crate::said::Sayings;

/// Events kept: minutes of a busy cluster, a few megabytes. Who lags further starts anew.
const KEPT_MAX: usize = 16_384;
/// Most events that one look at the ring takes: a follower's share of memory.
const LOOK_MAX: usize = 256;

#[derive(Debug)]
pub(crate) struct Events {
    ring: Mutex<Ring>,
    /// What tasks say of themselves, which is asked for by itself.
    pub(crate) sayings: Sayings,
    head: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    kept: VecDeque<Event>,
    /// The newest event that is not kept any more; also that of the last process.
    forgotten: u64,
}

/// What a look at the ring found.
#[derive(Debug)]
pub(crate) enum Look {
    /// Events of the job, and where the next look starts.
    Found { events: Vec<Event>, after: u64 },
    /// Events after that were forgotten: start from a snapshot.
    TooLate,
}

impl Events {
    /// A ring that starts after the event `head`: those before it were told by another process.
    pub(crate) fn new(head: u64) -> Self {
        Self {
            ring: Mutex::new(Ring {
                kept: VecDeque::new(),
                forgotten: head,
            }),
            sayings: Sayings::default(),
            head: watch::Sender::new(head),
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells committed events, in order.
    pub(crate) fn tell(&self, events: Vec<Event>) {
        let Some(last) = events.last().map(|event| event.seq) else {
            return;
        };
        self.sayings.hear(&events);
        let mut ring = self.ring();
        for event in events {
            if ring.kept.len() == KEPT_MAX {
                ring.forgotten = ring.kept.pop_front().map_or(0, |oldest| oldest.seq);
            }
            ring.kept.push_back(event);
        }
        drop(ring);
        self.head.send_replace(last);
    }

    /// A receiver that changes whenever there is something new.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    /// The number before the first event of `job`; none when that one is forgotten.
    pub(crate) fn before_first(&self, job: &JobId) -> Option<u64> {
        let ring = self.ring();
        let mut of_job = ring.kept.iter().filter(|event| event.job == *job);
        let first = of_job.next()?;
        matches!(first.what, EventKind::Submitted).then(|| first.seq - 1)
    }

    /// The events of `job` after the event `after`.
    pub(crate) fn look(&self, job: &JobId, after: u64) -> Look {
        let ring = self.ring();
        let newest = ring.kept.back().map_or(ring.forgotten, |event| event.seq);
        if after < ring.forgotten || after > newest {
            return Look::TooLate;
        }
        let start = ring.kept.partition_point(|event| event.seq <= after);
        let mut events = Vec::new();
        let mut seen = after;
        for event in ring.kept.range(start..) {
            if events.len() == LOOK_MAX {
                break;
            }
            seen = event.seq;
            if event.job == *job {
                events.push(event.clone());
            }
        }
        Look::Found {
            events,
            after: seen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stint_api::time::Time;

    fn event(seq: u64, job: &str) -> Event {
        Event {
            seq,
            at: Time::from_nanos(seq),
            job: job.parse().unwrap(),
            what: EventKind::Submitted,
        }
    }

    fn seqs(look: Look) -> Option<(Vec<u64>, u64)> {
        match look {
            Look::Found { events, after } => {
                Some((events.iter().map(|event| event.seq).collect(), after))
            }
            Look::TooLate => None,
        }
    }

    #[test]
    fn a_follower_hears_of_its_job_only_and_goes_on_where_it_was() {
        let events = Events::new(10);
        let job = "default.1".parse().unwrap();
        events.tell(vec![event(11, "default.1"), event(12, "default.2")]);
        assert_eq!(seqs(events.look(&job, 10)), Some((vec![11], 12)));
        assert_eq!(seqs(events.look(&job, 12)), Some((vec![], 12)));
    }

    #[test]
    fn who_comes_too_late_or_from_another_scheduler_is_told_so() {
        let events = Events::new(10);
        let job = "default.1".parse().unwrap();
        assert_eq!(seqs(events.look(&job, 9)), None);
        assert_eq!(seqs(events.look(&job, 99)), None);
        let many = (11..).take(KEPT_MAX + 1).map(|seq| event(seq, "default.1"));
        events.tell(many.collect());
        assert_eq!(seqs(events.look(&job, 10)), None);
        assert_eq!(
            seqs(events.look(&job, 11)).map(|(found, after)| (found.len(), after)),
            Some((LOOK_MAX, 11 + LOOK_MAX as u64))
        );
    }
}
