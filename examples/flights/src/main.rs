//! A month of flights: task 0 reads January, task 11 December, each from the same `/in/flights`.
//!
//! `stint run flights.wasm --tasks 12 --input flights=…/flights.csv.gz`

use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use flate2::bufread::GzDecoder;

/// Fewer, larger reads of a file of 18 MB.
const BUFFER_BYTES: usize = 1 << 20;
/// How a file begins that gzip made.
const GZIP: [u8; 2] = [0x1f, 0x8b];

fn main() -> Result<(), Box<dyn Error>> {
    let month = stint_sdk::task_index() + 1;
    let table = open(&stint_sdk::input("flights")?)?;
    let summary = flights::month(table, month)?;
    println!("month {month}: {} flights", summary.flights());
    stint_sdk::result(summary)?;
    Ok(())
}

/// The table as text, whether it is compressed or not.
fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(path)?);
    Ok(if file.fill_buf()?.starts_with(&GZIP) {
        let text = GzDecoder::new(file);
        Box::new(BufReader::with_capacity(BUFFER_BYTES, text))
    } else {
        Box::new(file)
    })
}
