//! `stint results`: what a job's tasks returned.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde_json::value::RawValue;
use stint_api::client::Client;
use stint_api::id::JobId;
use stint_api::view::ResultLine;

use crate::args::Global;
use crate::connect;
use crate::failure::hinted;

/// Most results of a table, which is held in memory until its columns are known: 64 KiB each
/// at most, and usually some hundred bytes.
const TABLE_ROWS_MAX: usize = 100_000;

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
    write(&client, &args.job, args.format, &mut io::stdout().lock()).await
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
    let mut results = client.results(job).await?;
    let mut rows = Vec::new();
    while let Some(line) = results.next().await? {
        if shape == Shape::Json {
            writeln!(to, "{}", serde_json::to_string(&line)?)?;
            continue;
        }
        if rows.len() == TABLE_ROWS_MAX {
            return Err(hinted(
                format!("`{job}` has more than {TABLE_ROWS_MAX} results"),
                "as json they are written as they come: they need no table in memory",
            ));
        }
        rows.push(line);
    }
    if shape == Shape::Csv {
        for line in table(&rows)? {
            writeln!(to, "{line}")?;
        }
    }
    Ok(())
}

/// The head and a row for each result. A result that is no object is in the column `result`.
fn table(rows: &[ResultLine]) -> serde_json::Result<Vec<String>> {
    let mut columns = BTreeSet::new();
    let mut records = Vec::with_capacity(rows.len());
    for row in rows {
        let fields = fields(&row.result)?;
        columns.extend(fields.keys().cloned());
        records.push((row.task, fields));
    }
    let head = columns.iter().map(|name| quoted(name));
    let mut lines = vec![joined("task".to_owned(), head)];
    for (task, fields) in &records {
        let cells = columns.iter().map(|name| fields.get(name));
        let cells = cells
            .map(|value| value.map_or_else(|| Ok(String::new()), |value| cell(value)))
            .collect::<serde_json::Result<Vec<String>>>()?;
        lines.push(joined(task.to_string(), cells.into_iter()));
    }
    Ok(lines)
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
        assert_eq!(table(&rows).unwrap(), expected);
        assert_eq!(table(&[]).unwrap(), ["task"]);
    }
}
