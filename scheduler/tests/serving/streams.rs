//! Followed streams: resumed where they were cut, and told from the records
//! when what was missed is forgotten.

use std::collections::VecDeque;

use stint_api::id::JobId;
use stint_api::view::{Event, EventKind, JobState};

use super::{FakeNode, Site, hello, log, started, succeeded, within};

/// One server-sent event: id, name, data.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    id: Option<String>,
    event: Option<String>,
    data: String,
}

/// A stream as a browser would read it.
struct Reader {
    response: reqwest::Response,
    text: String,
    messages: VecDeque<Message>,
}

impl Reader {
    async fn open(site: &Site, path: &str, last: Option<&str>) -> Self {
        let mut request = reqwest::Client::new().get(format!("{}{path}", site.url));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = within(request.send()).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            response,
            text: String::new(),
            messages: VecDeque::new(),
        }
    }

    /// The next message; none when the stream ends.
    async fn next(&mut self) -> Option<Message> {
        loop {
            while let Some((message, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let line = message.lines().find_map(|line| line.strip_prefix(name));
                    line.map(|value| value.trim_start_matches([':', ' ']).to_owned())
                };
                if let Some(data) = field("data") {
                    let (id, event) = (field("id"), field("event"));
                    self.messages.push_back(Message { id, event, data });
                }
                self.text = rest.to_owned();
            }
            if let Some(message) = self.messages.pop_front() {
                return Some(message);
            }
            let piece = within(self.response.chunk()).await.unwrap()?;
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    async fn all(mut self) -> Vec<Message> {
        let mut all = Vec::new();
        while let Some(message) = self.next().await {
            all.push(message);
        }
        all
    }
}

async fn run_one(site: &Site) -> JobId {
    let (mut node, _) = FakeNode::join(site, &hello("node-a")).await;
    let id = site.submit(1).await;
    let grant = node.grant().await;
    let reports = vec![
        started(&grant),
        log(&grant, 0, "one "),
        log(&grant, 4, "two "),
        log(&grant, 8, "three"),
        succeeded(&grant, "1"),
    ];
    node.report(reports).await.unwrap();
    id
}

fn is_end(message: &Message) -> bool {
    message.event.as_deref() == Some("end")
}

fn kinds(messages: &[Message]) -> Vec<String> {
    let events = messages.iter().filter(|message| !is_end(message));
    let events = events.map(|message| serde_json::from_str::<Event>(&message.data).unwrap());
    let kind = |event: Event| {
        serde_json::to_value(event.what).unwrap()["kind"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    events.map(kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_go_on_after_the_last_one_that_was_heard() {
    let site = Site::start().await;
    let path = format!("/v1/jobs/{}/events", run_one(&site).await);
    let all = Reader::open(&site, &path, None).await.all().await;
    assert_eq!(
        kinds(&all),
        ["submitted", "granted", "started", "ended", "done"]
    );
    assert!(is_end(all.last().unwrap()));
    for (heard, message) in all.iter().enumerate().take(5) {
        let rest = Reader::open(&site, &path, message.id.as_deref())
            .await
            .all()
            .await;
        assert_eq!(rest, all[heard + 1..], "after {message:?}");
    }
    let (status, problem) = site
        .ask_with("GET", &path, &[("last-event-id", "x")], "")
        .await;
    assert_eq!(status, 400, "{problem:#}");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_go_on_after_the_last_chunk_that_was_read() {
    let site = Site::start().await;
    let path = format!("/v1/jobs/{}/logs", run_one(&site).await);
    let all = Reader::open(&site, &path, None).await.all().await;
    assert_eq!(all.len(), 4, "{all:#?}");
    assert!(is_end(all.last().unwrap()));
    for (read, message) in all.iter().enumerate().take(3) {
        let rest = Reader::open(&site, &path, message.id.as_deref())
            .await
            .all()
            .await;
        assert_eq!(rest, all[read + 1..]);
    }
    let followed = format!("{path}?follow=true&task=0&stream=stdout");
    assert_eq!(Reader::open(&site, &followed, None).await.all().await, all);
    let other = Reader::open(&site, &format!("{path}?task=1"), None).await;
    assert!(matches!(other.all().await.as_slice(), [end] if is_end(end)));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_story_that_was_forgotten_is_told_from_the_records() {
    let site = Site::start().await;
    let id = run_one(&site).await;
    let path = format!("/v1/jobs/{id}/events");
    let heard = Reader::open(&site, &path, None)
        .await
        .next()
        .await
        .unwrap()
        .id;
    // The next process has forgotten what the last one told.
    let site = Site::start_in(site.stop().await, None).await;
    for last in [None, heard.as_deref(), Some("9007199254740991")] {
        let all = Reader::open(&site, &path, last).await.all().await;
        assert_eq!(kinds(&all), ["submitted", "ended", "done"]);
        assert!(is_end(all.last().unwrap()));
        // Only after the last of them may one go on.
        let ids: Vec<bool> = all.iter().map(|message| message.id.is_some()).collect();
        assert_eq!(ids, [false, false, true, false]);
        let after = all[2].id.as_deref();
        let rest = Reader::open(&site, &path, after).await.all().await;
        assert!(matches!(rest.as_slice(), [end] if is_end(end)), "{rest:?}");
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_hears_the_end_of_a_scheduler_and_of_the_job_behind_it() {
    let mut site = Site::start().await;
    let id = site.submit(1).await;
    let path = format!("/v1/jobs/{id}/events");
    let mut events = Reader::open(&site, &path, None).await;
    let mut logs = Reader::open(&site, &format!("/v1/jobs/{id}/logs?follow=true"), None).await;
    let first = events.next().await.unwrap();
    site.ask_to_stop();
    // Cut in good order, and without the last event: there is more.
    assert_eq!(events.next().await, None);
    assert_eq!(logs.next().await, None);
    let site = Site::start_in(site.stop().await, None).await;
    site.client().cancel(&id).await.unwrap();
    let rest = Reader::open(&site, &path, first.id.as_deref())
        .await
        .all()
        .await;
    let last: Event = serde_json::from_str(&rest[rest.len() - 2].data).unwrap();
    let state = JobState::Cancelled;
    assert_eq!(last.what, EventKind::Done { state });
    site.stop().await;
}
