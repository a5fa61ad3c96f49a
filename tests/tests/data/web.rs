//! Inputs from web servers.

use sha2::{Digest as _, Sha256};
use stint_tests::Site;
use stint_tests::web::{Page, Web};

/// A site whose node may read from `web`.
fn site(web: &Web) -> Site {
    let mut site = Site::start();
    site.start_node("node", &["--allow-inputs", &web.url("/")]);
    site
}

fn page(text: &str) -> Page {
    Page {
        body: text.into(),
        tag: Some("\"1\""),
        ..Page::default()
    }
}

/// Runs the guest that shows its input; its stdout.
fn shown(site: &Site, url: &str, flags: &[&str]) -> String {
    let id = site.submit_guest(
        "read-input",
        &[&["--input", &format!("data={url}")], flags].concat(),
    );
    let job = site.wait_until_over(&id);
    assert_eq!(job["state"], "succeeded", "{job:#}");
    site.stint(["logs", &id]).stdout
}

/// Why a job with this input failed, and what the reason says.
fn refused(site: &Site, url: &str) -> String {
    let (_, json) = site.run_guest("read-input", &["--input", &format!("data={url}")]);
    assert_eq!(json["reason"], "input-unavailable", "{json:#}");
    json["error"]["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn an_object_of_a_web_server_is_fetched_once_and_anew_when_it_is_another() {
    let web = Web::start();
    let site = site(&web);
    web.put("/a.csv", page("one"));
    web.put(
        "/short",
        Page {
            moved_to: Some("/a.csv".into()),
            ..Page::default()
        },
    );
    let flags = ["--tasks", "8", "--isolation", "task"];
    let said = shown(&site, &web.url("/a.csv"), &flags);
    // In whatever order they came.
    let ones = said.lines().filter(|line| line.ends_with("] one"));
    assert_eq!(ones.count(), 8, "{said}");
    assert_eq!(web.asked("/a.csv").len(), 1);
    assert_eq!(shown(&site, &web.url("/short"), &[]), "one");
    web.put(
        "/a.csv",
        Page {
            tag: Some("\"2\""),
            ..page("two")
        },
    );
    assert_eq!(shown(&site, &web.url("/a.csv"), &[]), "two");
    // Without a version it is known by its bytes.
    web.put(
        "/b.csv",
        Page {
            tag: None,
            ..page("three")
        },
    );
    assert_eq!(shown(&site, &web.url("/b.csv"), &[]), "three");
    site.stop_and_check();
}

#[test]
fn what_breaks_off_is_taken_up_again_and_a_server_may_be_busy_for_a_while() {
    let web = Web::start();
    let site = site(&web);
    let text: String = (0..40_000).map(|n| format!("{n}\n")).collect();
    web.put(
        "/broken",
        Page {
            breaks: vec![70_000, 100_000],
            refusals: vec![503],
            ..page(&text)
        },
    );
    assert_eq!(shown(&site, &web.url("/broken"), &[]), text);
    let ranges: Vec<_> = web
        .asked("/broken")
        .into_iter()
        .map(|one| one.range)
        .collect();
    assert_eq!(ranges.len(), 4, "{ranges:?}");
    assert_eq!(ranges[2].as_deref(), Some("bytes=100000-"));
    assert_eq!(ranges[3].as_deref(), Some("bytes=170000-"));
    site.stop_and_check();
}

#[test]
fn a_missing_object_and_a_wrong_digest_fail_before_the_start_and_are_named() {
    let web = Web::start();
    let site = site(&web);
    let missing = refused(&site, &web.url("/nothing"));
    assert!(
        missing.contains("`data`") && missing.contains("404"),
        "{missing}"
    );
    web.put("/a", page("one"));
    let job = site.dir().join("job.toml");
    let pinned = |text: &str| {
        let digest: String = Sha256::digest(text)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let wasm = stint_tests::guest::assemble("read-input", site.dir());
        let toml = format!(
            "module = \"{}\"\n[[inputs]]\nname = \"data\"\nurl = \"{}\"\nsha256 = \"{digest}\"\n",
            wasm.display(),
            web.url("/a")
        );
        std::fs::write(&job, toml).unwrap();
        (site.stint(["run".as_ref(), job.as_os_str()]), digest)
    };
    let (good, _) = pinned("one");
    assert_eq!((good.code, good.stdout.as_str()), (0, "one"), "{good:#?}");
    let (bad, digest) = pinned("two");
    assert_eq!(bad.code, 125, "{bad:#?}");
    assert!(
        bad.stderr.contains(&digest) && bad.stderr.contains("`data`"),
        "{bad:#?}"
    );
    site.stop_and_check();
}

#[test]
fn a_job_reaches_only_what_the_operator_of_its_node_allowed() {
    let web = Web::start();
    web.put("/a", page("secret"));
    // Every public host is allowed, and this machine is none.
    let mut site = Site::start();
    let flags = ["--allow-inputs", "http://", "--allow-inputs", "https://"];
    site.start_node("node", &flags);
    let here = web.url("/a");
    let port = here.rsplit(':').next().unwrap_or_default();
    for (url, why) in [
        (here.clone(), "127.0.0.1"),
        (
            format!("http://localhost:{port}"),
            "not an address of the public network",
        ),
        (
            "http://169.254.169.254/latest/meta-data/".into(),
            "169.254.169.254",
        ),
        (
            format!("http://[::ffff:127.0.0.1]:{port}"),
            "not an address",
        ),
        (format!("http://2130706433:{port}"), "127.0.0.1"),
        ("s3://bucket/key".into(), "--allow-inputs s3://bucket/"),
    ] {
        let said = refused(&site, &url);
        assert!(said.contains(why), "{url}: {said}");
        assert!(!said.contains("secret"), "{said}");
    }
    assert_eq!(web.asked("/a"), []);
    site.stop_node("node");
    // A server that is allowed sends on to one that is not.
    let other = Web::start();
    other.put(
        "/a",
        Page {
            moved_to: Some(here),
            ..Page::default()
        },
    );
    other.put(
        "/round",
        Page {
            moved_to: Some("/round".into()),
            ..Page::default()
        },
    );
    site.start_node("careful", &["--allow-inputs", &other.url("/")]);
    let said = refused(&site, &other.url("/a"));
    assert!(
        said.contains("not an address of the public network"),
        "{said}"
    );
    assert_eq!(web.asked("/a"), []);
    let said = refused(&site, &other.url("/round"));
    assert!(said.contains("more than five times"), "{said}");
    site.stop_and_check();
}
