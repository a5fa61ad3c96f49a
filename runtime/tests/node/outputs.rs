//! What an attempt leaves.

use std::fs;

use stint_api::link::{Order, OutputFile, Report};
use stint_api::outcome::Outcome;

use crate::site::{Site, guest, names};

pub(crate) async fn files_wait_for_their_commit() {
    let site = Site::start().await;
    let place = site.path("data/published");
    let url = format!("file://{}", place.display());
    let attempt = site
        .run(&guest("files"), |grant| grant.plan.output = Some(url))
        .await;
    let finished = |reports: &[Report]| {
        reports.iter().find_map(|report| match report {
            Report::Finished { attempt, manifest } => Some((attempt.clone(), manifest.clone())),
            _ => None,
        })
    };
    let (asked, manifest) = site.scheduler.wait(finished).await;
    assert_eq!(asked, attempt);
    let file = |path: &str| OutputFile {
        path: path.into(),
        bytes: 4,
    };
    assert_eq!(manifest, [file("one.txt"), file("two.txt")]);
    assert!(!place.exists(), "nothing is published before the commit");

    site.scheduler.order(Order::Publish { attempt }).await;
    assert_eq!(site.last().await.outcome, Outcome::Succeeded);
    assert_eq!(names(&place), ["0"]);
    assert_eq!(
        fs::read_to_string(place.join("0/one.txt")).unwrap(),
        "one\n"
    );
    assert_eq!(
        fs::read_to_string(place.join("0/two.txt")).unwrap(),
        "two\n"
    );
    site.let_go().await;
}

pub(crate) async fn a_result_that_is_none_is_refused() {
    let site = Site::start().await;
    site.run(&guest("bad-result"), |_| ()).await;
    let outcome = site.last().await.outcome;
    assert_eq!(outcome.reason(), "output-refused", "{outcome}");
}
