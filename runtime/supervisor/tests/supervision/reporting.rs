//! Reports wait until they are answered, in order, and gather into runs.

use stint_api::link::{Base64, REPORTS_MAX, Report, Stream};
use stint_api::outcome::Outcome;

use crate::{Node, grant, held, id, publishing, tasks, told};

fn log(tail: &str, offset: u64) -> Report {
    Report::Log {
        attempt: id(tail),
        stream: Stream::Stdout,
        offset,
        data: Base64(vec![b'x'; 10]),
    }
}

#[test]
fn an_unanswered_batch_is_said_again_in_full() {
    let mut node = Node::new();
    node.run(grant(1, &[tasks(0, 2)]));
    node.started("t0.g1.1");
    let first = node.heart.batch();
    node.ended("t0.g1.1", Outcome::Succeeded);
    assert_eq!(node.heart.batch().reports.len(), 2);
    assert_eq!(told(&node.heart.acknowledged(first.upto)), [""; 0]);
    assert_eq!(node.heart.batch().reports.len(), 1);
    assert_eq!(told(&node.heart.acknowledged(first.upto)), [""; 0]);
    let (_, actions) = node.flush();
    assert_eq!(told(&actions), ["discard t0.g1.1"]);
    assert_eq!(held(&node), ["g1: 1"]);
}

#[test]
fn an_empty_batch_acknowledges_nothing_that_comes_later() {
    let mut node = Node::new();
    let empty = node.heart.batch();
    assert!(empty.reports.is_empty());
    node.heart.say(log("t0.g1.1", 0));
    node.heart.acknowledged(empty.upto);
    assert_eq!(node.heart.batch().reports.len(), 1);
}

#[test]
fn successes_of_neighbours_are_one_run_that_stands_after_their_logs() {
    let mut node = Node::new();
    node.run(grant(1, &[tasks(0, 3)]));
    node.ended("t0.g1.1", Outcome::Succeeded);
    node.heart.say(log("t1.g1.1", 0));
    node.ended("t1.g1.1", Outcome::Succeeded);
    node.ended("t2.g1.1", Outcome::Succeeded);
    let (reports, _) = node.flush();
    assert_eq!(reports.len(), 2);
    assert!(matches!(&reports[0], Report::Log { .. }));
    assert!(matches!(&reports[1], Report::Ended(end) if end.tasks == tasks(0, 3)));
}

#[test]
fn a_batch_has_no_more_reports_than_a_message_takes() {
    let mut node = Node::new();
    for offset in 0..2 * REPORTS_MAX as u64 {
        node.heart.say(log("t0.g1.1", offset * 10));
    }
    let waiting = node.heart.unsaid_bytes();
    assert!(waiting > 2 * REPORTS_MAX * 10);
    assert_eq!(node.flush().0.len(), REPORTS_MAX);
    assert_eq!(node.flush().0.len(), REPORTS_MAX);
    assert_eq!(node.flush().0.len(), 0);
    assert_eq!(node.heart.unsaid_bytes(), 0);
}

#[test]
fn the_commit_is_asked_for_again_after_a_reconnect() {
    let mut node = Node::new();
    node.run(publishing(1, &[tasks(0, 1)]));
    node.succeeded_with_files("t0.g1.1");
    assert_eq!(node.flush().0.len(), 1);
    node.welcome(2);
    let (reports, _) = node.flush();
    assert!(matches!(&reports[..], [Report::Finished { .. }]));
}

#[test]
fn an_end_that_nobody_waits_for_is_discarded() {
    let mut node = Node::new();
    let actions = node.ended("t0.g9.1", Outcome::Succeeded);
    assert_eq!(told(&actions), ["discard t0.g9.1"]);
}
