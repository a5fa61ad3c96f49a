//! Whatever comes through the socket is read as hostile.

use std::os::unix::net::UnixStream;
use std::{io::Read as _, io::Write as _, time::Duration};

use stint_api::outcome::Outcome;
use stint_api::time::Span;
use stint_runtime::frame::{Channel, Decoder, NODE_FRAME_BYTES_MAX, VERSION, encode};
use stint_runtime::keeper::client::Lifetime;
use stint_runtime::keeper::protocol::{FromKeeper, PROTOCOL, ToKeeper};

use crate::site::Site;

const LONG: Span = Span::from_secs(60);
/// Longest until a keeper has cut somebody off.
const CUT_BOUND: Duration = Duration::from_secs(20);

fn frame<T: serde::Serialize>(message: &T) -> Vec<u8> {
    encode(Channel::Node, NODE_FRAME_BYTES_MAX, message).unwrap()
}

/// Says `bytes` to the keeper of `site` and hears it out until it closes.
async fn say(site: &Site, bytes: Vec<u8>) -> Vec<u8> {
    let path = site.dir().join("keeper.sock");
    let said = tokio::task::spawn_blocking(move || {
        let mut stranger = UnixStream::connect(path).unwrap();
        stranger.set_read_timeout(Some(CUT_BOUND)).unwrap();
        // It may be cut off before it has said all.
        let _ = stranger.write_all(&bytes);
        let mut answer = Vec::new();
        match stranger.read_to_end(&mut answer) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("it was not cut off");
            }
            _ => answer,
        }
    });
    said.await.unwrap()
}

pub(crate) async fn garbage_is_cut_off_and_disturbs_nobody() {
    let site = Site::new(Lifetime::WithNode);
    let mut node = site.connect_leased().await;
    let mut random = fastrand::Rng::with_seed(5);
    let long = [&[VERSION, b'N'][..], &u32::MAX.to_le_bytes()].concat();
    let mut strange = vec![
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        long,
        frame(&serde_json::json!({ "hello": { "protocol": "one" } })),
        frame(&serde_json::json!("exit")),
        encode(Channel::Worker, 100, &"running").unwrap(),
    ];
    strange.extend((0..20).map(|_| {
        let bytes = random.usize(HEADER..70_000);
        let mut noise: Vec<u8> = (0..bytes).map(|_| random.u8(..)).collect();
        noise[0] = random.u8(2..);
        noise
    }));
    for bytes in strange {
        assert_eq!(say(&site, bytes).await, b"");
    }
    let order = site.order("a.1.t0.g1.1", "noop", LONG);
    assert_eq!(node.run(&order).await.outcome, Outcome::Succeeded);
}

/// Fewer bytes are waited for.
const HEADER: usize = stint_runtime::frame::HEADER_BYTES;

pub(crate) async fn a_plan_that_is_garbage_starts_nothing() {
    let site = Site::new(Lifetime::Outlives);
    drop(site.connect_leased().await);
    let hello = frame(&ToKeeper::Hello { protocol: PROTOCOL });
    let order = site.order("a.1.t0.g1.1", "noop", LONG);
    let good = serde_json::to_value(&order).unwrap();
    for (pointer, garbage) in [
        ("/attempt", serde_json::json!("../../x.1.t0.g1.1")),
        ("/plan", serde_json::json!({ "artifact": "/bin/sh" })),
        ("/plan/artifact_sha256", serde_json::json!([1, 2, 3])),
        ("/limits/memory", serde_json::json!(-1)),
    ] {
        let mut start = good.clone();
        *start.pointer_mut(pointer).unwrap() = garbage;
        let start = frame(&serde_json::json!({ "start": start }));
        let answer = say(&site, [hello.clone(), start].concat()).await;
        assert!(!String::from_utf8_lossy(&answer).contains("started"));
    }
    let mut node = site.connect().await;
    assert_eq!(node.kept.running, []);
    assert_eq!(node.kept.spooled, []);
    assert_eq!(node.run(&order).await.outcome, Outcome::Succeeded);
}

pub(crate) async fn a_node_of_another_version_is_told_which_this_is() {
    let site = Site::new(Lifetime::WithNode);
    let mut node = site.connect_leased().await;
    let hello = frame(&ToKeeper::Hello {
        protocol: PROTOCOL + 1,
    });
    let mut decoder = Decoder::new(Channel::Node, NODE_FRAME_BYTES_MAX);
    decoder.push(&say(&site, hello).await);
    let answer = decoder.take::<FromKeeper>().unwrap();
    assert!(
        matches!(
            answer,
            Some(FromKeeper::Kept {
                protocol: PROTOCOL,
                ..
            })
        ),
        "{answer:?}"
    );
    decoder.finish().unwrap();
    let order = site.order("a.1.t0.g1.1", "noop", LONG);
    assert_eq!(node.run(&order).await.outcome, Outcome::Succeeded);
}

pub(crate) async fn orders_before_hello_are_not_obeyed() {
    let site = Site::new(Lifetime::Outlives);
    let mut node = site.connect_leased().await;
    assert_eq!(say(&site, frame(&ToKeeper::Exit)).await, b"");
    let order = site.order("a.1.t0.g1.1", "noop", LONG);
    assert_eq!(node.run(&order).await.outcome, Outcome::Succeeded);
}
