//! What can be wrong with a data directory, each with an error that says what to do.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::Path;

use stint_store::{Batch, Change, LoadError, LockError, OpenError, SqliteStore, Store};

fn store_with_one_record(directory: &Path) -> SqliteStore {
    let mut store = SqliteStore::open(directory).unwrap();
    let term = store.campaign().unwrap();
    let batch = Batch::new(vec![Change::Put {
        key: "job/default/1".to_owned(),
        value: b"a value".to_vec(),
    }]);
    store.commit(term, &[batch.unwrap()]).unwrap();
    store
}

fn tamper(directory: &Path, sql: &str) {
    let connection = rusqlite::Connection::open(directory.join("records.sqlite")).unwrap();
    assert_eq!(connection.execute(sql, []).unwrap(), 1);
}

#[test]
fn a_directory_is_locked_by_one_scheduler_and_the_other_is_told_which() {
    let directory = tempfile::tempdir().unwrap();
    let first = SqliteStore::open(directory.path()).unwrap();
    let error = SqliteStore::open(directory.path()).unwrap_err();
    assert!(matches!(error, OpenError::Lock(LockError::Held { .. })));
    let pid = format!("(pid {})", std::process::id());
    assert!(error.to_string().contains(&pid), "{error}");
    drop(first);
    SqliteStore::open(directory.path()).unwrap();
}

#[test]
fn a_directory_of_another_version_is_refused_with_both_versions() {
    let directory = tempfile::tempdir().unwrap();
    drop(store_with_one_record(directory.path()));
    std::fs::write(directory.path().join("FORMAT"), "99\n").unwrap();
    let error = SqliteStore::open(directory.path()).unwrap_err();
    assert!(matches!(&error, OpenError::OtherVersion { found, .. } if found == "99"));
    let text = error.to_string();
    assert!(
        text.contains("format 99") && text.contains("format 1"),
        "{text}"
    );
}

#[test]
fn a_file_that_is_not_ours_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("FORMAT"), "1\n").unwrap();
    let file = directory.path().join("records.sqlite");
    std::fs::write(
        &file,
        "not a database at all, but long enough to be read as one",
    )
    .unwrap();
    let error = SqliteStore::open(directory.path()).unwrap_err();
    assert!(matches!(error, OpenError::NotAStore { .. }), "{error:?}");
    assert!(std::fs::read(&file).unwrap().starts_with(b"not a database"));

    std::fs::remove_file(&file).unwrap();
    let foreign = rusqlite::Connection::open(&file).unwrap();
    foreign.execute("CREATE TABLE theirs (a)", []).unwrap();
    drop(foreign);
    let error = SqliteStore::open(directory.path()).unwrap_err();
    assert!(matches!(error, OpenError::NotAStore { .. }), "{error:?}");
}

#[test]
fn a_damaged_record_is_named_and_never_skipped() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_with_one_record(directory.path());
    for change in [
        "UPDATE records SET value = x'00'",
        "UPDATE records SET key = 'job/default/2'",
        "UPDATE records SET checksum = x''",
    ] {
        tamper(directory.path(), change);
        let error = store.load("").unwrap_err();
        assert!(
            matches!(&error, LoadError::Damaged { key } if key.starts_with("job/default/")),
            "{error:?}"
        );
    }
}
