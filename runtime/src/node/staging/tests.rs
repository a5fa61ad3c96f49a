//! Tests of staging what is on this machine; what is elsewhere is tested from end to end.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use rustix::process::geteuid;
use stint_objects::Allowed;

use super::*;

struct Site {
    root: tempfile::TempDir,
    data: PathBuf,
    staging: Staging,
}

fn site() -> Site {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    fs::create_dir(&data).unwrap();
    let staging = staging(&root, &data);
    Site {
        root,
        data,
        staging,
    }
}

fn staging(root: &tempfile::TempDir, allowed: &Path) -> Staging {
    let reach = Reach::new("node", "--allow-inputs", vec![Allowed::Dir(allowed.into())]);
    let dir = Dir::open(&root.path().join("node")).unwrap();
    let nobody = Client::new("http://127.0.0.1:1", None).unwrap();
    Staging::new(&dir, nobody, reach)
}

fn input(url: String) -> Input {
    Input {
        name: "flights".into(),
        url,
        ..Input::default()
    }
}

impl Site {
    /// Stages for a job of its own.
    async fn stage(&self, path: &Path) -> Result<Staged, Outcome> {
        self.stage_for(1, input(format!("file://{}", path.display())))
            .await
    }

    async fn stage_for(&self, job: u64, input: Input) -> Result<Staged, Outcome> {
        let job = format!("default.{job}").parse().unwrap();
        let staged = self.staging.stage_all(&job, 0, &[input]).await;
        staged.map(|mut all| all.remove(0))
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.data.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}

fn path_of(staged: &Staged) -> &Path {
    match staged {
        Staged::File { path, .. } | Staged::Directory { path, .. } => path,
    }
}

fn read(staged: &Staged) -> String {
    fs::read_to_string(path_of(staged)).unwrap()
}

#[tokio::test]
async fn a_file_is_staged_once_and_anew_when_it_was_replaced() {
    let site = site();
    let path = site.write("a b.csv", "one");
    let url = Location::File(path.clone()).to_string();
    let stage = async || site.stage_for(1, input(url.clone())).await.unwrap();
    let first = stage().await;
    assert_eq!(stage().await, first);
    let new = site.write("new", "two");
    fs::rename(new, &path).unwrap();
    assert_eq!(read(&stage().await), "two");
    assert_eq!(read(&first), "one");
}

#[tokio::test]
async fn a_file_that_is_kept_from_others_is_copied_for_its_job() {
    let site = site();
    let path = site.write("private", "one");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let staged = site.stage(&path).await.unwrap();
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    assert_eq!(
        inode(path_of(&staged)) == inode(&path),
        !geteuid().is_root()
    );
    assert_eq!(read(&staged), "one");
    fs::set_permissions(&site.data, fs::Permissions::from_mode(0o700)).unwrap();
    let dir = site.stage(&site.data).await;
    assert_eq!(dir.is_err(), geteuid().is_root(), "{dir:?}");
}

#[tokio::test]
async fn a_directory_is_shown_as_it_is() {
    let site = site();
    let staged = site.stage(&site.data).await.unwrap();
    let path = site.data.canonicalize().unwrap();
    let expected = Staged::Directory {
        name: "flights".into(),
        path,
        is_cached: false,
    };
    assert_eq!(staged, expected);
}

#[tokio::test]
async fn what_is_not_beneath_an_allowed_directory_is_refused_and_the_flag_named() {
    let site = site();
    std::os::unix::fs::symlink("/etc/passwd", site.data.join("link")).unwrap();
    for path in ["/etc/passwd".into(), site.data.join("link")] {
        let refused = site.stage(&path).await.unwrap_err().to_string();
        assert!(refused.contains("--allow-inputs"), "{refused}");
    }
}

#[tokio::test]
async fn an_input_that_is_not_there_or_not_a_file_is_named() {
    let mut site = site();
    let missing = site
        .stage(&site.data.join("x"))
        .await
        .unwrap_err()
        .to_string();
    assert!(missing.contains("`flights`") && missing.contains("No such file"));
    site.staging = staging(&site.root, Path::new("/dev"));
    let refused = site
        .stage(Path::new("/dev/null"))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("neither a file nor a directory"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_pinned_file_has_its_digest_or_none_is_staged() {
    let site = site();
    let path = site.write("a", "one");
    let of = |text: &str| Some(Digest(Sha256::digest(text).into()));
    let pinned = |text: &str| Input {
        sha256: of(text),
        ..input(format!("file://{}", path.display()))
    };
    let staged = site.stage_for(1, pinned("one")).await.unwrap();
    fs::write(&path, "two").unwrap();
    assert_eq!(read(&staged), "one");
    assert_eq!(site.stage_for(2, pinned("one")).await.unwrap(), staged);
    let refused = site.stage_for(3, pinned("three")).await.unwrap_err();
    assert_eq!(refused.reason(), "input-unavailable");
    let text = refused.to_string();
    for digest in [of("two"), of("three")] {
        assert!(text.contains(&digest.unwrap().to_string()), "{text}");
    }
}

#[tokio::test]
async fn all_that_match_are_one_directory_as_long_as_a_slot_holds_it() {
    let site = site();
    for name in ["x/1.csv", "x/2.csv", "x/.3.csv", "x/deep/4.csv", "x/5.txt"] {
        site.write(name, name);
    }
    let url = format!("file://{}/x/**.csv", site.data.display());
    let staged = site.stage_for(1, input(url.clone())).await.unwrap();
    let path = path_of(&staged);
    assert_eq!(
        fs::read_to_string(path.join("deep/4.csv")).unwrap(),
        "x/deep/4.csv"
    );
    assert_eq!(fs::read_dir(path).unwrap().count(), 3);
    assert_eq!(site.stage_for(2, input(url.clone())).await.unwrap(), staged);
    // A job reads one version; the next job another.
    site.write("x/6.csv", "six");
    assert_eq!(site.stage_for(1, input(url.clone())).await.unwrap(), staged);
    assert_ne!(site.stage_for(3, input(url)).await.unwrap(), staged);
    let slot = site.root.path().join("node/slots/a.1.t0.g1.1");
    fs::create_dir(&slot).unwrap();
    hold(&slot, std::slice::from_ref(&staged)).unwrap();
    let (cache, slots) = (
        site.root.path().join("node/inputs"),
        site.root.path().join("node/slots"),
    );
    let held = held(&cache, &slots).unwrap();
    cache::trim_but(&cache, 0, |entry| held.iter().any(|held| held == entry)).unwrap();
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 1);
    assert!(path.join("1.csv").exists());
}
