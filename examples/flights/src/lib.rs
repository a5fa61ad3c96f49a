//! What a month of flights says about the punctuality of each carrier.

mod summary;
mod table;

pub use summary::{Carrier, Summary};
pub use table::{TableError, month};
