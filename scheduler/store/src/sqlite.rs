//! The default store: one SQLite file in the data directory, which an operator can open.
//!
//! WAL with `synchronous=FULL`: a commit that returned is on the disk. All
//! batches of one call share one transaction, hence one fsync.

mod lock;
mod open;

use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, TransactionBehavior, params};
use sha2::{Digest as _, Sha256};

pub use lock::LockError;
pub use open::OpenError;

use crate::{
    Batch, CampaignError, Change, CommitError, EngineError, LoadError, PAGE_RECORDS_MAX, Record,
    Store, Term,
};

/// Records in a SQLite file, and the lock on the directory around it.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Connection,
    // Held for as long as the store lives; declared last so that it goes last.
    _lock: lock::DirectoryLock,
}

impl SqliteStore {
    /// Opens the store in `directory`, and makes both when they are not there.
    ///
    /// # Errors
    /// When another scheduler holds the directory, another version wrote it, or
    /// the file cannot be used.
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        let (lock, connection) = open::open(directory)?;
        Ok(Self {
            connection,
            _lock: lock,
        })
    }
}

/// Eight bytes of sha-256 over key and value: a record that was copied over
/// another one is as damaged as one with a flipped bit.
fn checksum(key: &str, value: &[u8]) -> [u8; 8] {
    let mut hasher = Sha256::new();
    hasher.update((key.len() as u64).to_le_bytes());
    hasher.update(key);
    hasher.update(value);
    let mut sum = [0; 8];
    sum.copy_from_slice(&hasher.finalize()[..8]);
    sum
}

fn read_record(row: &Row<'_>) -> Result<Record, LoadError> {
    let engine = |error: rusqlite::Error| LoadError::Engine(error.into());
    let key = match row.get_ref(0).map_err(engine)? {
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => format!("({} key)", other.data_type()),
    };
    let value = row.get_ref(1).map_err(engine)?;
    let sum = row.get_ref(2).map_err(engine)?;
    match (value, sum) {
        (ValueRef::Blob(value), ValueRef::Blob(sum)) if sum == checksum(&key, value) => {
            Ok(Record {
                value: value.to_vec(),
                key,
            })
        }
        _ => Err(LoadError::Damaged { key }),
    }
}

fn read_term(row: &Row<'_>) -> Result<Term, rusqlite::Error> {
    let term: i64 = row.get(0)?;
    Ok(Term(term.unsigned_abs()))
}

impl Store for SqliteStore {
    fn load_page(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>, LoadError> {
        let engine = |error: rusqlite::Error| LoadError::Engine(error.into());
        // Keys are ASCII, so DEL ends every key that has the prefix.
        let end = format!("{prefix}\u{7f}");
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT key, value, checksum FROM records
                 WHERE key >= ?1 AND key > ?2 AND key < ?3 ORDER BY key LIMIT ?4",
            )
            .map_err(engine)?;
        let limit = i64::try_from(limit.min(PAGE_RECORDS_MAX)).unwrap_or(0);
        let mut rows = statement
            .query(params![prefix, after.unwrap_or(""), end, limit])
            .map_err(engine)?;
        let mut records = Vec::new();
        while let Some(row) = rows.next().map_err(engine)? {
            records.push(read_record(row)?);
        }
        Ok(records)
    }

    fn campaign(&mut self) -> Result<Term, CampaignError> {
        // The lock on the directory keeps others out; the term still counts up,
        // so that both stores are used in the same way.
        self.connection
            .query_row(
                "UPDATE meta SET value = value + 1 WHERE name = 'term' RETURNING value",
                [],
                read_term,
            )
            .map_err(|error| CampaignError::Engine(error.into()))
    }

    fn commit(&mut self, term: Term, batches: &[Batch]) -> Result<(), CommitError> {
        let current = write(&mut self.connection, term, batches)
            .map_err(|error| CommitError::Engine(EngineError::from(error)))?;
        if current == term {
            Ok(())
        } else {
            Err(CommitError::Fenced {
                held: term.0,
                current: current.0,
            })
        }
    }
}

/// Writes nothing unless `term` is the current one, which it returns.
fn write(
    connection: &mut Connection,
    term: Term,
    batches: &[Batch],
) -> Result<Term, rusqlite::Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let current = transaction
        .prepare_cached("SELECT value FROM meta WHERE name = 'term'")?
        .query_row([], read_term)?;
    if current != term {
        return Ok(current);
    }
    {
        let mut put = transaction.prepare_cached(
            "INSERT INTO records (key, value, checksum) VALUES (?1, ?2, ?3)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value, checksum = excluded.checksum",
        )?;
        let mut delete = transaction.prepare_cached("DELETE FROM records WHERE key = ?1")?;
        for change in batches.iter().flat_map(Batch::changes) {
            match change {
                Change::Put { key, value } => {
                    put.execute(params![key, value, checksum(key, value)])?
                }
                Change::Delete { key } => delete.execute([key])?,
            };
        }
    }
    transaction.commit()?;
    Ok(current)
}
