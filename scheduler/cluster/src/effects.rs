//! What a verb asks of the driver: the only way out of the heart.

use stint_api::id::NodeId;
use stint_api::link::Orders;
use stint_api::view::Event;

use crate::key::RecordKey;

/// What follows from a verb. Commit `changes`, in their order, before anything else is told.
#[derive(Clone, Debug, Default)]
#[must_use = "what is not committed and told did not happen"]
pub struct Effects {
    /// Records to write. Any prefix of them is a consistent state to restore
    /// from, so a group commit may cut the list where it likes.
    pub changes: Vec<Change>,
    /// Lines for orders streams. Send each on the stream that the node opened
    /// with the same generation; drop it when there is none: the full orders
    /// that open the next stream cover it.
    pub orders: Vec<(NodeId, Orders)>,
    /// What to tell whoever follows a job; in order.
    pub events: Vec<Event>,
}

impl Effects {
    /// Whether nothing follows.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.orders.is_empty() && self.events.is_empty()
    }

    /// Appends what follows from the verb after this one.
    pub fn extend(&mut self, later: Self) {
        self.changes.extend(later.changes);
        self.orders.extend(later.orders);
        self.events.extend(later.events);
    }
}

/// One record to write or delete; bytes, so that the driver only moves them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Write the record, whether or not it exists.
    Put {
        /// Its key.
        key: RecordKey,
        /// Its new content; at most [`crate::Config::RECORD_BYTES_MAX`].
        bytes: Vec<u8>,
    },
    /// Delete the record, whether or not it exists.
    Delete {
        /// Its key.
        key: RecordKey,
    },
}

impl Change {
    /// The record that changes.
    pub fn key(&self) -> &RecordKey {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }
}
