//! Durability of the scheduler's records.
