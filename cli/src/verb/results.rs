//! `stint results`: what a job's tasks returned.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde_json::value::RawValue;
use stint_api::client::Client;
use stint_api::id::{JobId, TaskIndex};
use stint_api::view::ResultLine;

use crate::args::Global;
use crate::connect;
use crate::failure::{hinted, hinted_because};

/// Most columns of a table: more are no fields that the tasks have in common.
const COLUMNS_MAX: usize = 1_000;

#[derive(Debug, Args)]
#[command(
    after_help = "As json, each line is {\"task\": I, \"result\": …}, ascending by task; a task that \
returned nothing has none. As csv, there is a column for each field of the results, \
and for each a row."
)]
pub(crate) struct ResultsArgs {
    /// The job, for example default.42
    job: JobId,

    /// How they are written
    #[arg(long, value_enum, default_value_t = Shape::Json)]
    format: Shape,
}

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// A line of JSON each
    Json,
    /// A table
    Csv,
}

pub(crate) async fn perform(global: Global, args: ResultsArgs) -> anyhow::Result<()> {
    let client = connect::required(&global)?;
    let mut stdout = BufWriter::new(io::stdout());
    write(&client, &args.job, args.format, &mut stdout).await?;
    Ok(stdout.flush()?)
}

/// Whether the results of a job can be written there, before it has run for hours; what is
/// there stays until then.
pub(crate) fn writable(path: &Path) -> anyhow::Result<()> {
    let opened = File::options().create(true).append(true).open(path);
    opened.map(drop).map_err(|error| {
        hinted_because(
            format!("cannot write the results to `{}`", path.display()),
            "name a file in a directory that is there, and that you may write to",
            error,
        )
    })
}

/// Writes what the tasks of a job returned to a file, as its name asks for.
pub(crate) async fn write_to(client: &Client, job: &JobId, path: &Path) -> anyhow::Result<()> {
    let is_table = path.extension().is_some_and(|suffix| suffix == "csv");
    let shape = if is_table { Shape::Csv } else { Shape::Json };
    let unwritable = || format!("cannot write the results to `{}`", path.display());
    let mut file = BufWriter::new(File::create(path).with_context(unwritable)?);
    write(client, job, shape, &mut file).await?;
    file.flush().with_context(unwritable)
}

async fn write(
    client: &Client,
    job: &JobId,
    shape: Shape,
    to: &mut impl Write,
) -> anyhow::Result<()> {
    if shape == Shape::Csv {
        return write_table(client, job, to).await;
    }
    let mut results = client.results(job).await?;
    while let Some(line) = results.next().await? {
        writeln!(to, "{}", serde_json::to_string(&line)?)?;
    }
    Ok(())
}

/// Asks twice: which columns there are is known after the last row, and a million rows are
/// nothing to hold in memory. Tasks that end between the two are not in the table.
async fn write_table(client: &Client, job: &JobId, to: &mut impl Write) -> anyhow::Result<()> {
    let mut table = Table::default();
    let mut results = client.results(job).await?;
    while let Some(row) = results.next().await? {
        table.add(&row)?;
        if table.columns.len() > COLUMNS_MAX {
            return Err(hinted(
                format!("the results of `{job}` have more than {COLUMNS_MAX} different fields"),
                "as json they are written as they are",
            ));
        }
    }
    writeln!(to, "{}", table.head())?;
    let mut results = client.results(job).await?;
    while let Some(row) = results.next().await? {
        if let Some(line) = table.line(&row)? {
            writeln!(to, "{line}")?;
        }
    }
    Ok(())
}

/// The columns of all rows, and of which tasks these are. A result that is no object is in the
/// column `result`.
#[derive(Debug, Default)]
struct Table {
    columns: BTreeSet<String>,
    /// One bit each, as they ascend.
    tasks: Vec<u64>,
}

impl Table {
    fn add(&mut self, row: &ResultLine) -> serde_json::Result<()> {
        for name in fields(&row.result)?.into_keys() {
            self.columns.insert(name);
        }
        let (word, bit) = place(row.task);
        if word >= self.tasks.len() {
            self.tasks.resize(word + 1, 0);
        }
        self.tasks[word] |= bit;
        Ok(())
    }

    fn head(&self) -> String {
        let names = self.columns.iter().map(|name| quoted(name));
        joined("task".to_owned(), names)
    }

    /// The row's line; none when it was not there before.
    fn line(&self, row: &ResultLine) -> serde_json::Result<Option<String>> {
        let (word, bit) = place(row.task);
        if self.tasks.get(word).is_none_or(|bits| bits & bit == 0) {
            return Ok(None);
        }
        let fields = fields(&row.result)?;
        let cells = self.columns.iter().map(|name| fields.get(name));
        let cells = cells
            .map(|value| value.map_or_else(|| Ok(String::new()), |value| cell(value)))
            .collect::<serde_json::Result<Vec<String>>>()?;
        Ok(Some(joined(row.task.to_string(), cells.into_iter())))
    }
}

fn place(task: TaskIndex) -> (usize, u64) {
    (task as usize / 64, 1 << (task % 64))
}

/// Values stay as they were written: a large number is no other one.
fn fields(result: &RawValue) -> serde_json::Result<BTreeMap<String, Box<RawValue>>> {
    match result.get().starts_with('{') {
        true => serde_json::from_str(result.get()),
        false => Ok(BTreeMap::from([("result".to_owned(), result.to_owned())])),
    }
}

fn joined(first: String, rest: impl Iterator<Item = String>) -> String {
    rest.fold(first, |line, cell| line + "," + &cell)
}

/// A text as it is, anything else as JSON; nothing for null.
fn cell(value: &RawValue) -> serde_json::Result<String> {
    Ok(match value.get() {
        "null" => String::new(),
        text if text.starts_with('"') => quoted(&serde_json::from_str::<String>(text)?),
        other => quoted(other),
    })
}

/// As RFC 4180 has it.
fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_column_for_each_field_and_a_row_for_each_result() {
        let results = [
            r#"{"b": 1.5, "a": "x, \"y\""}"#,
            r#"{"c": [1, 2], "a": null}"#,
            "18446744073709551616",
        ];
        let rows: Vec<ResultLine> = (0..)
            .zip(results)
            .map(|(task, result)| ResultLine {
                task,
                result: serde_json::from_str(result).unwrap(),
            })
            .collect();
        let expected = [
            "task,a,b,c,result",
            "0,\"x, \"\"y\"\"\",1.5,,",
            "1,,,\"[1, 2]\",",
            "2,,,,18446744073709551616",
        ];
        let mut table = Table::default();
        assert_eq!(table.head(), "task");
        for row in &rows {
            table.add(row).unwrap();
        }
        let lines = rows.iter().map(|row| table.line(row).unwrap().unwrap());
        let written: Vec<String> = std::iter::once(table.head()).chain(lines).collect();
        assert_eq!(written, expected);
        let late = ResultLine {
            task: 64,
            ..rows[0].clone()
        };
        assert_eq!(table.line(&late).unwrap(), None);
    }
}
