//! Durability of the scheduler's records: bytes in, bytes out, nothing decided.
//!
//! [`Store`] is exactly what an embedded database and an etcd cluster can both
//! do: load records by prefix in key order, commit small atomic batches under a
//! fencing term, and campaign for that term. [`SqliteStore`] is the default;
//! [`MemoryStore`] loses power on demand, for simulation.

mod batch;
mod memory;
mod sqlite;

pub use batch::{
    BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Batch, BatchError, Change, KEY_BYTES_MAX, pack,
};
pub use memory::{MemoryStore, PowerLoss};
pub use sqlite::{LockError, OpenError, SqliteStore};

/// Most records that one page of [`Store::load_page`] may hold: keeps a read
/// from holding up the commits that wait behind it.
pub const PAGE_RECORDS_MAX: usize = 1_000;

/// The right to write. A commit under an older term than the newest campaign's
/// is refused, so a scheduler that was replaced cannot write any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term(pub u64);

/// A stored record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its key.
    pub key: String,
    /// Its value, as it was put.
    pub value: Vec<u8>,
}

/// Why records could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The bytes of a record are not the ones that were written.
    #[error(
        "record `{key}` is damaged: its checksum does not match; stop the scheduler and restore \
         the data directory from a copy, or delete this one record to go on without it"
    )]
    Damaged {
        /// The record.
        key: String,
    },
    /// The store lost power (simulation only).
    #[error("the store lost power")]
    PowerLost,
    /// The engine failed.
    #[error("cannot read the store")]
    Engine(#[source] EngineError),
}

/// Why batches were not committed. After any of them the caller does not know
/// whether they are durable: it must stop and start again from the store.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Somebody else campaigned since.
    #[error("this scheduler writes under term {held}, the store is at term {current}")]
    Fenced {
        /// The caller's term.
        held: u64,
        /// The newest term.
        current: u64,
    },
    /// The store lost power (simulation only).
    #[error("the store lost power")]
    PowerLost,
    /// The engine failed, for example because the disk is full.
    #[error("cannot write to the store")]
    Engine(#[source] EngineError),
}

/// Why a campaign failed.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    /// The store lost power (simulation only).
    #[error("the store lost power")]
    PowerLost,
    /// The engine failed.
    #[error("cannot campaign for the right to write")]
    Engine(#[source] EngineError),
}

/// What the database engine said; which engine is this crate's own affair.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct EngineError(#[from] rusqlite::Error);

/// What durability the scheduler asks for, and no more.
pub trait Store: Send {
    /// Up to `limit` (at most [`PAGE_RECORDS_MAX`]) records whose key starts with
    /// `prefix` and is greater than `after`, in ascending order of keys.
    ///
    /// # Errors
    /// A damaged record is an error, never skipped.
    fn load_page(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>, LoadError>;

    /// Every record whose key starts with `prefix`, in ascending order of keys.
    ///
    /// # Errors
    /// As [`Store::load_page`].
    fn load(&self, prefix: &str) -> Result<Vec<Record>, LoadError> {
        let mut records: Vec<Record> = Vec::new();
        loop {
            let after = records.last().map(|record| record.key.clone());
            let page = self.load_page(prefix, after.as_deref(), PAGE_RECORDS_MAX)?;
            let full = page.len() == PAGE_RECORDS_MAX;
            records.extend(page);
            if !full {
                return Ok(records);
            }
        }
    }

    /// Takes the right to write from whoever had it.
    ///
    /// # Errors
    /// The engine's.
    fn campaign(&mut self) -> Result<Term, CampaignError>;

    /// Makes `batches` durable in order, each of them whole or not at all; when
    /// this returns `Ok`, all of them are.
    ///
    /// # Errors
    /// See [`CommitError`]: a prefix of the batches may have become durable.
    fn commit(&mut self, term: Term, batches: &[Batch]) -> Result<(), CommitError>;
}
