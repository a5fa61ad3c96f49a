//! What is accepted, what is refused, and what is the same job.

use stint_api::id::{Digest, JobId};
use stint_api::quantity::{Bytes, Millicores};
use stint_api::view::JobState;
use stint_cluster::{IdempotencyKey, Submission, SubmitError};

use crate::{MODULE, Site, spec};

fn key(body: u8) -> Option<IdempotencyKey> {
    Some(IdempotencyKey {
        key: "key-1".into(),
        body: Digest([body; 32]),
    })
}

#[test]
fn jobs_are_numbered_within_their_namespace() {
    let mut site = Site::new();
    assert_eq!(site.submit(1, |_| {}).to_string(), "default.1");
    assert_eq!(site.submit(1, |_| {}).to_string(), "default.2");
    let id: JobId = "default.2".parse().unwrap();
    assert_eq!(site.state(&id), JobState::Queued);
    assert_eq!(site.story(&id), ["submitted"]);
}

#[test]
fn the_same_key_and_body_are_the_same_job() {
    let mut site = Site::new();
    let (first, effects) = site.heart.submit(site.now, spec(1), key(1)).unwrap();
    assert!(matches!(first, Submission::New(_)) && !effects.changes.is_empty());
    let (second, effects) = site.heart.submit(site.now, spec(1), key(1)).unwrap();
    assert!(effects.is_empty());
    assert_eq!(second, Submission::Known(first.id().clone()));
}

#[test]
fn the_same_job_is_known_even_when_it_would_not_be_accepted_any_more() {
    let mut site = Site::new();
    let (first, _) = site.heart.submit(site.now, spec(1), key(1)).unwrap();
    let mut small = crate::hello("node-a", 1);
    small.capacity.cpu = Millicores(10);
    site.hello(small);
    let (second, _) = site.heart.submit(site.now, spec(1), key(1)).unwrap();
    assert_eq!(second.id(), first.id());
}

#[test]
fn the_same_key_with_another_body_is_refused() {
    let mut site = Site::new();
    let (_, effects) = site.heart.submit(site.now, spec(1), key(1)).unwrap();
    site.follow(effects);
    let error = site.heart.submit(site.now, spec(2), key(2)).unwrap_err();
    let job = "default.1".parse().unwrap();
    let reused = SubmitError::KeyReused {
        key: "key-1".into(),
        job,
    };
    assert_eq!(error, reused);
}

#[test]
fn another_namespace_may_use_the_same_key() {
    let mut site = Site::new();
    let (_, effects) = site.heart.submit(site.now, spec(1), key(1)).unwrap();
    site.follow(effects);
    let mut other = spec(1);
    other.namespace = "team-a".parse().unwrap();
    // Its module was pushed to the default namespace only.
    let error = site.heart.submit(site.now, other, key(1)).unwrap_err();
    assert!(matches!(error, SubmitError::UnknownModule { .. }));
}

#[test]
fn a_key_is_printable_and_short() {
    let mut site = Site::new();
    for text in ["", "a\nb", "ä", &"k".repeat(256)] {
        let key = IdempotencyKey {
            key: text.to_owned(),
            body: MODULE,
        };
        let error = site.heart.submit(site.now, spec(1), Some(key)).unwrap_err();
        assert_eq!(error, SubmitError::BadKey, "{text}");
    }
}

#[test]
fn a_module_that_was_not_pushed_is_named_with_what_to_do() {
    let mut site = Site::new();
    let error = site.try_submit(1, |spec| spec.module = Digest([9; 32]));
    let text = error.unwrap_err().to_string();
    assert!(
        text.contains("sha256:0909") && text.contains("module push"),
        "{text}"
    );
}

#[test]
fn a_module_pushed_again_stays_what_it_was() {
    let mut site = Site::new();
    let namespace = "default".parse().unwrap();
    let known = site.heart.module(&namespace, &MODULE).unwrap().clone();
    let later = site.now + stint_api::time::Span::from_secs(9);
    let (answer, effects) = site.heart.module_pushed(later, known.clone()).unwrap();
    assert_eq!(answer, known);
    assert!(effects.is_empty());
}

#[test]
fn what_fits_on_no_node_is_refused_with_the_largest_named() {
    let mut site = Site::with_nodes(&[("node-a", 2), ("node-b", 4)]);
    let error = site.try_submit(1, |spec| spec.memory = Bytes::mebi(1024));
    let text = error.unwrap_err().to_string();
    assert_eq!(
        text,
        "never fits: the largest node has cpu 4, memory 256Mi, scratch 256Mi, a slot of this job \
         takes cpu 1, memory 1Gi, scratch 64Mi (`node-b` is the largest)"
    );
    assert!(site.heart.job(&"default.1".parse().unwrap()).is_none());
}

#[test]
fn while_no_node_is_known_anything_is_accepted_and_waits() {
    let mut site = Site::new();
    let id = site.submit(1, |spec| spec.memory = Bytes::mebi(1024));
    assert_eq!(site.state(&id), JobState::Queued);
}

#[test]
fn memory_below_what_the_module_starts_with_is_refused() {
    let mut site = Site::new();
    let large = Digest([8; 32]);
    site.push(large, Bytes::mebi(1024));
    let error = site.try_submit(1, |spec| spec.module = large).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("`memory`: 64Mi is less than the 1Gi"),
        "{text}"
    );
}

#[test]
fn a_field_that_no_cluster_could_accept_is_named() {
    let mut site = Site::new();
    let error = site.try_submit(0, |_| {}).unwrap_err();
    assert!(error.to_string().starts_with("`tasks`"), "{error}");
}

#[test]
fn a_job_that_makes_too_large_a_record_is_refused() {
    let mut site = Site::new();
    // Each of these takes six bytes in the record.
    let error = site.try_submit(1, |spec| {
        spec.args = vec!["\u{1}".repeat(128 << 10)];
        spec.env.insert("A".into(), "\u{1}".repeat(64 << 10));
    });
    assert!(
        matches!(error, Err(SubmitError::TooLarge { .. })),
        "{error:?}"
    );
}
