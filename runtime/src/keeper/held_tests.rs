//! What can be said of a keeper's holdings without a child process.

use stint_api::quantity::{Bytes, Millicores, Resources};
use stint_sandbox::Plan;

use super::*;
use crate::keeper::jails::Jails;
use crate::keeper::limits::By;
use crate::keeper::options::BERTHS;

const SECOND: Span = Span::from_secs(1);

fn held(dir: &tempfile::TempDir) -> Held {
    let holding = Holding {
        by: By::EngineOnly {
            why: "a test".to_owned(),
        },
        jails: Jails::none("a test"),
    };
    Held::new(holding, Spool::open(dir.path().to_owned()).unwrap(), BERTHS)
}

fn order(attempt: &str) -> StartOrder {
    let attempt: AttemptId = attempt.parse().unwrap();
    StartOrder {
        grant: crate::keeper::slot::tests::grant(&attempt),
        attempt,
        plan: Plan {
            artifact: "/nothing".into(),
            artifact_sha256: [0; 32],
            profile: stint_scan::Profile::Plain,
            entry: stint_api::kit::Entry::default(),
            args: Vec::new(),
            env: Vec::new(),
            memory_limit_bytes: 0,
            dirs: Vec::new(),
            stdout: "/nothing".into(),
            stderr: "/nothing".into(),
            log_bytes_max: 0,
        },
        limits: Resources {
            cpu: Millicores(1_000),
            memory: Bytes::mebi(1),
            scratch: Bytes(0),
        },
        timeout: SECOND,
    }
}

fn refused(held: &mut Held, attempt: &str, now: BootTime) -> Outcome {
    held.start(order(attempt), &mut Watch::new().unwrap(), now);
    match held.take_words().as_slice() {
        [FromKeeper::Ended(spooled)] => spooled.outcome.clone(),
        words => panic!("{words:?}"),
    }
}

#[test]
fn a_lease_is_never_shortened_and_never_endless() {
    let dir = tempfile::tempdir().unwrap();
    let mut held = held(&dir);
    let now = BootTime::now();
    assert!(!held.has_lease(now));
    held.lease(now, now);
    assert!(!held.has_lease(now), "it is over as it comes");
    held.lease(now.after(SECOND), now);
    held.lease(now.after(Span::from_millis(1)), now);
    assert!(held.has_lease(now.after(Span::from_millis(999))));
    assert!(!held.has_lease(now.after(SECOND)));
    held.lease(BootTime::from_nanos(u64::MAX), now);
    let almost = LEASE_MAX - Span::from_nanos(1);
    assert!(held.has_lease(now.after(almost)));
    assert!(!held.has_lease(now.after(LEASE_MAX)));
}

#[test]
fn what_must_not_start_is_refused_and_not_spooled() {
    let dir = tempfile::tempdir().unwrap();
    let mut held = held(&dir);
    let now = BootTime::now();
    assert_eq!(refused(&mut held, "a.1.t0.g1.1", now), Outcome::NodeLost);
    held.lease(now.after(SECOND), now);
    let late = now.after(SECOND);
    assert_eq!(refused(&mut held, "a.1.t0.g1.1", late), Outcome::NodeLost);
    held.stop(&Outcome::Drained, &Watch::new().unwrap(), now);
    assert_eq!(refused(&mut held, "a.1.t0.g1.1", now), Outcome::Drained);
    assert_eq!(held.spool.len(), 0);
    assert!(held.is_empty());
}

#[test]
fn a_node_is_told_of_what_is_still_in_the_spool_and_then_that_this_was_all() {
    let dir = tempfile::tempdir().unwrap();
    let mut held = held(&dir);
    for attempt in ["a.1.t0.g1.1", "a.1.t1.g1.1"] {
        held.end(Spooled {
            attempt: attempt.parse().unwrap(),
            grant: order(attempt).grant,
            outcome: Outcome::Succeeded,
            usage: Usage::default(),
            logs_dropped: Bytes(0),
            started_at: None,
            ended_at: held.clock.time_at(BootTime::now()),
            passed: None,
        });
    }
    assert_eq!(held.take_words().len(), 2);
    let items: Vec<_> = held.items().collect();
    assert_eq!(items.len(), 3);
    held.discard(&"a.1.t0.g1.1".parse().unwrap());
    assert!(held.tell(&items[0]).is_none(), "it was discarded meanwhile");
    match held.tell(&items[1]) {
        Some(FromKeeper::Ended(spooled)) => assert_eq!(spooled.attempt.task, 1),
        word => panic!("{word:?}"),
    }
    assert_eq!(items[2], Item::All);
    assert!(matches!(
        held.tell(&items[2]),
        Some(FromKeeper::Kept { .. })
    ));
    // Asked to start again, it ended already.
    held.start(
        order("a.1.t1.g1.1"),
        &mut Watch::new().unwrap(),
        BootTime::now(),
    );
    match held.take_words().as_slice() {
        [FromKeeper::Ended(spooled)] => assert_eq!(spooled.outcome, Outcome::Succeeded),
        words => panic!("{words:?}"),
    }
}
