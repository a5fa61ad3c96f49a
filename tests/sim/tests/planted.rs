//! A simulation that finds nothing wrong must be shown to find something: each
//! of these worlds breaks one rule of the shells, and is caught at it.

use stint_sim::{Policy, World};

/// How many worlds may go by before a planted fault is found.
const SEEDS: u64 = 1_000;

/// What the first world says that is caught.
#[allow(
    clippy::print_stdout,
    reason = "docs/bugs-found.md says which world it is"
)]
fn caught(policy: Policy) -> String {
    let mut failures = (0..SEEDS).filter_map(|seed| World::run(seed, policy).err());
    let failure = failures.next();
    let failure = failure.unwrap_or_else(|| panic!("{policy:?} is not found in {SEEDS} worlds"));
    println!("{policy:?}: seed {}, {}", failure.seed, failure.violation);
    failure.violation.to_string()
}

#[test]
fn a_keeper_that_ignores_the_lease_is_caught() {
    let what = caught(Policy::KeeperIgnoresLease);
    assert!(
        what.contains("starts on node") && what.contains("runs on node"),
        "{what}"
    );
}

#[test]
fn hellos_that_do_not_say_when_they_were_sent_are_caught() {
    let what = caught(Policy::HellosUnstamped);
    assert!(what.contains("starts on node"), "{what}");
}

#[test]
fn a_scheduler_that_answers_before_it_has_committed_is_caught() {
    let what = caught(Policy::AnswersBeforeCommit);
    assert!(
        what.contains("than was committed") || what.contains("is lost"),
        "{what}"
    );
}

#[test]
fn a_node_that_publishes_unasked_is_caught() {
    let what = caught(Policy::PublishesUnasked);
    assert!(what.contains("nobody granted it commit"), "{what}");
}

#[test]
fn a_node_that_publishes_across_its_leases_is_caught() {
    let what = caught(Policy::PublishesAcrossLeases);
    assert!(what.contains("is published by node"), "{what}");
}

#[test]
fn a_node_that_takes_an_unanswered_report_for_heard_is_caught() {
    let what = caught(Policy::ForgetsUnanswered);
    let hangs = what.contains("not over long after the faults");
    assert!(hangs || what.contains("for a second time"), "{what}");
}

#[test]
fn a_node_process_that_forgets_what_its_keeper_runs_is_caught() {
    let what = caught(Policy::ForgetsWhatRuns);
    assert!(!what.is_empty(), "{what}");
}

#[test]
fn a_scheduler_that_gives_orders_before_it_has_committed_is_caught() {
    let what = caught(Policy::OrdersBeforeCommit);
    assert!(!what.is_empty(), "{what}");
}

#[test]
fn a_store_that_commits_by_half_is_caught() {
    let what = caught(Policy::CommitsByHalf);
    assert!(!what.is_empty(), "{what}");
}

#[test]
fn a_node_that_adds_one_lease_to_another_is_caught() {
    let what = caught(Policy::LeasesAddUp);
    assert!(
        what.contains("starts on node") || what.contains("is published by node"),
        "{what}"
    );
}

#[test]
fn a_node_that_obeys_old_orders_is_caught() {
    let what = caught(Policy::ObeysOldOrders);
    assert!(!what.is_empty(), "{what}");
}

#[test]
fn a_scheduler_that_takes_what_was_not_borrowed_is_caught() {
    let what = caught(Policy::TakesFromLenders);
    assert!(
        what.contains("borrowed") || what.contains("borrows nothing") || what.contains("quota"),
        "{what}"
    );
}

#[test]
fn a_world_is_the_same_each_time() {
    let policy = Policy::KeeperIgnoresLease;
    let seed = (0..SEEDS).find(|seed| World::run(*seed, policy).is_err());
    let replay = || {
        World::replay(seed.unwrap(), policy)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(replay(), replay());
}
