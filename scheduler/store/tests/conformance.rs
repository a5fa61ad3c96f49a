//! One suite, run on every store: what the scheduler relies on is the same everywhere.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::PathBuf;

use stint_store::{
    Batch, Change, CommitError, MemoryStore, PAGE_RECORDS_MAX, SqliteStore, Store, Term, pack,
};

fn put(key: &str, value: &[u8]) -> Change {
    Change::Put {
        key: key.to_owned(),
        value: value.to_vec(),
    }
}

fn delete(key: &str) -> Change {
    Change::Delete {
        key: key.to_owned(),
    }
}

fn batch(changes: &[Change]) -> Batch {
    Batch::new(changes.to_vec()).unwrap()
}

fn keys(store: &dyn Store, prefix: &str) -> Vec<String> {
    let records = store.load(prefix).unwrap();
    records.into_iter().map(|record| record.key).collect()
}

/// A way to make a store, and to have the same one again after its process died.
trait Place {
    type Store: Store;
    fn open(&self) -> Self::Store;
    fn reopen(&self, store: Self::Store) -> Self::Store;
}

struct Memory;

impl Place for Memory {
    type Store = MemoryStore;
    fn open(&self) -> MemoryStore {
        MemoryStore::new()
    }
    fn reopen(&self, store: MemoryStore) -> MemoryStore {
        store.power_cycle()
    }
}

struct Directory(PathBuf);

impl Place for Directory {
    type Store = SqliteStore;
    fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.0).unwrap()
    }
    fn reopen(&self, store: SqliteStore) -> SqliteStore {
        drop(store);
        self.open()
    }
}

fn conformance<P: Place>(fresh: impl Fn(&dyn Fn(&P))) {
    fresh(&|place| loads_what_was_committed_in_key_order(place));
    fresh(&|place| a_prefix_takes_its_own_keys_only(place));
    fresh(&|place| pages_follow_each_other(place));
    fresh(&|place| a_later_batch_of_one_commit_wins(place));
    fresh(&|place| an_older_term_is_refused_and_writes_nothing(place));
    fresh(&|place| what_was_committed_is_there_again(place));
}

fn loads_what_was_committed_in_key_order<P: Place>(place: &P) {
    let mut store = place.open();
    assert_eq!(keys(&store, ""), [""; 0]);
    let term = store.campaign().unwrap();
    let changes = [put("b/2", b"two"), put("a/1", b""), put("b/10", &[0, 255])];
    store.commit(term, &[batch(&changes)]).unwrap();
    assert_eq!(keys(&store, ""), ["a/1", "b/10", "b/2"]);
    assert_eq!(store.load("b/10").unwrap()[0].value, [0, 255]);
    store
        .commit(term, &[batch(&[delete("b/2"), delete("none")])])
        .unwrap();
    assert_eq!(keys(&store, "b/"), ["b/10"]);
}

fn a_prefix_takes_its_own_keys_only<P: Place>(place: &P) {
    let mut store = place.open();
    let term = store.campaign().unwrap();
    let changes = [
        put("job/a", b""),
        put("job/a~", b""),
        put("job/b", b""),
        put("joc", b""),
    ];
    store.commit(term, &[batch(&changes)]).unwrap();
    assert_eq!(keys(&store, "job/a"), ["job/a", "job/a~"]);
    assert_eq!(keys(&store, "job/"), ["job/a", "job/a~", "job/b"]);
    // A key is bytes, not a pattern.
    assert_eq!(keys(&store, "job%"), [""; 0]);
}

fn pages_follow_each_other<P: Place>(place: &P) {
    let mut store = place.open();
    let term = store.campaign().unwrap();
    let count = PAGE_RECORDS_MAX * 2 + 5;
    let changes = (0..count).map(|n| put(&format!("k/{n:06}"), b"v"));
    store.commit(term, &pack(changes).unwrap()).unwrap();
    assert_eq!(keys(&store, "k/").len(), count);
    let page = store.load_page("k/", Some("k/000009"), 3).unwrap();
    let page: Vec<&str> = page.iter().map(|record| record.key.as_str()).collect();
    assert_eq!(page, ["k/000010", "k/000011", "k/000012"]);
    assert_eq!(
        store.load_page("k/", Some("a"), 1).unwrap()[0].key,
        "k/000000"
    );
    assert_eq!(store.load_page("k/", Some("z"), 1).unwrap(), []);
}

fn a_later_batch_of_one_commit_wins<P: Place>(place: &P) {
    let mut store = place.open();
    let term = store.campaign().unwrap();
    let first = batch(&[put("k", b"first"), put("gone", b"")]);
    let second = batch(&[put("k", b"second"), delete("gone")]);
    store.commit(term, &[first, second]).unwrap();
    let records = store.load("").unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].value, b"second");
    store.commit(term, &[]).unwrap();
}

fn an_older_term_is_refused_and_writes_nothing<P: Place>(place: &P) {
    let mut store = place.open();
    let first = store.campaign().unwrap();
    let second = store.campaign().unwrap();
    assert!(second > first);
    let refused = store.commit(first, &[batch(&[put("k", b"")])]);
    assert!(matches!(
        refused,
        Err(CommitError::Fenced { held, current }) if (Term(held), Term(current)) == (first, second)
    ));
    assert_eq!(keys(&store, ""), [""; 0]);
    store.commit(second, &[batch(&[put("k", b"")])]).unwrap();
}

fn what_was_committed_is_there_again<P: Place>(place: &P) {
    let mut store = place.open();
    let term = store.campaign().unwrap();
    store.commit(term, &[batch(&[put("k", b"v")])]).unwrap();
    let mut store = place.reopen(store);
    assert_eq!(keys(&store, ""), ["k"]);
    assert!(store.campaign().unwrap() > term, "terms only grow");
}

#[test]
fn the_memory_store_conforms() {
    conformance::<Memory>(|check| check(&Memory));
}

#[test]
fn the_sqlite_store_conforms() {
    conformance::<Directory>(|check| {
        let directory = tempfile::tempdir().unwrap();
        check(&Directory(directory.path().to_owned()));
    });
}
