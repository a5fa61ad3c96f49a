//! The unit of atomicity: few enough records, and small enough, that etcd takes
//! them in one transaction as well.

/// Most records in one batch: below etcd's default of 128 operations.
pub const BATCH_RECORDS_MAX: usize = 100;
/// Most bytes of keys and values in one batch: below etcd's default of 1.5 MiB a request.
pub const BATCH_BYTES_MAX: usize = 1 << 20;
/// Longest key.
pub const KEY_BYTES_MAX: usize = 512;

/// What happens to one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The record has this value from now on.
    Put {
        /// Its key: printable ASCII, at most [`KEY_BYTES_MAX`].
        key: String,
        /// Its value.
        value: Vec<u8>,
    },
    /// The record is gone; so it was when there was none.
    Delete {
        /// Its key.
        key: String,
    },
}

impl Change {
    /// The record's key.
    pub fn key(&self) -> &str {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Put { key, value } => key.len() + value.len(),
            Self::Delete { key } => key.len(),
        }
    }
}

/// Changes that become durable together or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    changes: Vec<Change>,
    bytes: usize,
}

/// Why changes do not make a batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// More than [`BATCH_RECORDS_MAX`].
    #[error("{0} records in one batch; at most {BATCH_RECORDS_MAX}")]
    Records(usize),
    /// More than [`BATCH_BYTES_MAX`].
    #[error("{bytes} bytes in one batch, the last for `{key}`; at most {BATCH_BYTES_MAX}")]
    Bytes {
        /// How many.
        bytes: usize,
        /// The record that was one too many.
        key: String,
    },
    /// Empty, too long, or not printable ASCII.
    #[error("`{0}` is not a key: 1 to {KEY_BYTES_MAX} printable ASCII characters")]
    Key(String),
}

impl Batch {
    /// A batch of `changes`.
    ///
    /// # Errors
    /// When they are too many or too large, or a key is not a key.
    pub fn new(changes: Vec<Change>) -> Result<Self, BatchError> {
        let mut batch = Self::default();
        for change in changes {
            batch.push(change)?;
        }
        Ok(batch)
    }

    /// The changes, in order.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    fn push(&mut self, change: Change) -> Result<(), BatchError> {
        let key = change.key();
        let plain = key.bytes().all(|byte| byte.is_ascii_graphic());
        if key.is_empty() || key.len() > KEY_BYTES_MAX || !plain {
            return Err(BatchError::Key(key.chars().take(KEY_BYTES_MAX).collect()));
        }
        if self.changes.len() == BATCH_RECORDS_MAX {
            return Err(BatchError::Records(BATCH_RECORDS_MAX + 1));
        }
        let bytes = self.bytes + change.bytes();
        if bytes > BATCH_BYTES_MAX {
            return Err(BatchError::Bytes {
                bytes,
                key: key.to_owned(),
            });
        }
        self.bytes = bytes;
        self.changes.push(change);
        Ok(())
    }

    fn has_room(&self, change: &Change) -> bool {
        self.changes.len() < BATCH_RECORDS_MAX && self.bytes + change.bytes() <= BATCH_BYTES_MAX
    }
}

/// Cuts `changes` into as few batches as hold them, in order. Whoever needs
/// some of them to be atomic puts these into a [`Batch`] of their own instead.
///
/// # Errors
/// When one change alone is too large, or a key is not a key.
pub fn pack(changes: impl IntoIterator<Item = Change>) -> Result<Vec<Batch>, BatchError> {
    let mut batches: Vec<Batch> = Vec::new();
    for change in changes {
        match batches.last_mut() {
            Some(last) if last.has_room(&change) => last.push(change)?,
            _ => batches.push(Batch::new(vec![change])?),
        }
    }
    Ok(batches)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, bytes: usize) -> Change {
        Change::Put {
            key: key.to_owned(),
            value: vec![7; bytes],
        }
    }

    #[test]
    fn a_batch_holds_a_hundred_records_and_a_mebibyte_and_no_more() {
        let many = |count| (0..count).map(|n| put(&format!("k/{n}"), 1)).collect();
        assert!(Batch::new(many(BATCH_RECORDS_MAX)).is_ok());
        assert!(matches!(
            Batch::new(many(BATCH_RECORDS_MAX + 1)),
            Err(BatchError::Records(_))
        ));
        assert!(Batch::new(vec![put("k", BATCH_BYTES_MAX - 1)]).is_ok());
        assert!(matches!(
            Batch::new(vec![put("k", BATCH_BYTES_MAX)]),
            Err(BatchError::Bytes { .. })
        ));
    }

    #[test]
    fn a_key_is_printable_ascii() {
        for key in ["", "a b", "ä", "a\n", &"k".repeat(KEY_BYTES_MAX + 1)] {
            assert!(
                matches!(Batch::new(vec![put(key, 1)]), Err(BatchError::Key(_))),
                "{key}"
            );
        }
    }

    #[test]
    fn packing_keeps_order_and_cuts_only_where_it_must() {
        let changes: Vec<Change> = (0..250).map(|n| put(&format!("k/{n:03}"), 10)).collect();
        let batches = pack(changes.clone()).unwrap();
        assert_eq!(batches.len(), 3);
        let again: Vec<Change> = batches.iter().flat_map(|b| b.changes().to_vec()).collect();
        assert_eq!(again, changes);
        assert_eq!(pack((0..3).map(|_| put("k", 600 << 10))).unwrap().len(), 3);
    }
}
