//! The real input of the demo, expanded once.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use flate2::read::GzDecoder;

use crate::layout::Layout;

/// Size of the expanded table, from `examples/data/README.md`.
const TABLE_BYTES: u64 = 18_306_963;

/// The table of flights in `target/demo/flights.csv`.
///
/// # Errors
/// It cannot be expanded, or is not the table that was committed.
pub(super) fn flights(layout: &Layout) -> Result<PathBuf> {
    let packed = layout.root.join("examples/data/flights.csv.gz");
    let table = layout.target.join("demo/flights.csv");
    if fs::metadata(&table).is_ok_and(|facts| facts.len() == TABLE_BYTES) {
        return Ok(table);
    }
    fs::create_dir_all(layout.target.join("demo"))?;
    let reader =
        File::open(&packed).with_context(|| format!("cannot open {}", packed.display()))?;
    // Written beside and renamed: a demo that was stopped half-way leaves no half table.
    let half = table.with_extension("half");
    let written = io::copy(&mut GzDecoder::new(reader), &mut File::create(&half)?)
        .with_context(|| format!("cannot expand {}", packed.display()))?;
    ensure!(
        written == TABLE_BYTES,
        "{} expands to {written} bytes, not to {TABLE_BYTES}",
        packed.display()
    );
    fs::rename(&half, &table)?;
    Ok(table)
}
