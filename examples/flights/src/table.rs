//! Reads the table of flights: comma-separated, no quotes, a header on top.

use std::error::Error;
use std::fmt;
use std::io::{self, BufRead};

use crate::summary::Summary;

/// How the table writes that a value is missing.
const MISSING: &[u8] = b"NA";

/// Sums up the flights of `month` (1 to 12) in `table`.
///
/// # Errors
/// The table cannot be read, or a line is not what the header promises.
pub fn month(mut table: impl BufRead, month: u32) -> Result<Summary, TableError> {
    let mut line = Vec::new();
    next_line(&mut table, &mut line)?;
    let columns = Columns::of(&line)?;
    let wanted = month.to_string().into_bytes();
    let mut summary = Summary::new(month);
    let mut number: u64 = 1;
    while next_line(&mut table, &mut line)? {
        number += 1;
        let malformed = || TableError::Malformed { line: number };
        let row = columns.row(&line).ok_or_else(malformed)?;
        if row.month != wanted {
            continue;
        }
        let carrier = std::str::from_utf8(row.carrier).map_err(|_| malformed())?;
        summary.add(carrier, minutes(row.delay).ok_or_else(malformed)?);
    }
    Ok(summary)
}

/// Where the three columns are that count here.
struct Columns {
    month: usize,
    delay: usize,
    carrier: usize,
}

/// The three fields of a line that count here.
struct Row<'a> {
    month: &'a [u8],
    delay: &'a [u8],
    carrier: &'a [u8],
}

impl Columns {
    fn of(header: &[u8]) -> Result<Self, TableError> {
        let find = |name: &'static str| {
            header
                .split(|byte| *byte == b',')
                .position(|column| column == name.as_bytes())
                .ok_or(TableError::NoColumn { name })
        };
        Ok(Self {
            month: find("month")?,
            delay: find("dep_delay")?,
            carrier: find("carrier")?,
        })
    }

    fn row<'a>(&self, line: &'a [u8]) -> Option<Row<'a>> {
        let (mut month, mut delay, mut carrier) = (None, None, None);
        for (index, field) in line.split(|byte| *byte == b',').enumerate() {
            if index == self.month {
                month = Some(field);
            } else if index == self.delay {
                delay = Some(field);
            } else if index == self.carrier {
                carrier = Some(field);
            }
        }
        Some(Row {
            month: month?,
            delay: delay?,
            carrier: carrier?,
        })
    }
}

/// The next line, without its end; false when there is none.
fn next_line(table: &mut impl BufRead, line: &mut Vec<u8>) -> Result<bool, TableError> {
    line.clear();
    table.read_until(b'\n', line).map_err(TableError::Read)?;
    let any = !line.is_empty();
    while line.last().is_some_and(|byte| b"\r\n".contains(byte)) {
        line.pop();
    }
    Ok(any)
}

/// `Some(None)` where the table says that it does not know.
fn minutes(field: &[u8]) -> Option<Option<i32>> {
    if field == MISSING {
        return Some(None);
    }
    std::str::from_utf8(field).ok()?.parse().ok().map(Some)
}

/// The table cannot be summed up.
#[derive(Debug)]
pub enum TableError {
    /// Reading failed.
    Read(io::Error),
    /// The header lacks a column.
    NoColumn {
        /// The column.
        name: &'static str,
    },
    /// A line lacks a field, or its delay is not a number of minutes.
    Malformed {
        /// Its number, the header being 1.
        line: u64,
    },
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(_) => f.write_str("cannot read the table of flights"),
            Self::NoColumn { name } => write!(f, "the table of flights has no column `{name}`"),
            Self::Malformed { line } => write!(f, "line {line} of the flights is malformed"),
        }
    }
}

impl Error for TableError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Read(source) => Some(source),
            Self::NoColumn { .. } | Self::Malformed { .. } => None,
        }
    }
}
