//! The real job: a year of flights, a task for each month.

use std::path::Path;

use anyhow::{Result, ensure};

use super::year::{self, Months};
use super::{Shown, Stage, title};
use crate::layout::Layout;

/// Runs the job, prints the year's table, and checks it against native figures.
///
/// # Errors
/// The job fails, or its figures differ.
pub(super) fn scene(stage: &Stage, layout: &Layout, table: &Path) -> Result<Shown> {
    title("a real job: 336,776 flights, 12 tasks, one a month");
    let guest = stage.shell.path(&layout.guest("flights"));
    let input = format!("flights={}", stage.shell.path(table));
    let (_, job) = stage.shell.run_job(&[
        "--name", "flights", "--tasks", "12", "--cpu", "0.5", "--memory", "64Mi", "--input",
        &input, &guest,
    ])?;
    ensure!(job["state"] == "succeeded", "the flights failed: {job}");
    let id = job["id"].as_str().unwrap_or_default().to_owned();
    let results = stage.shell.keep(&["results", &id])?;
    for line in results.stdout.lines() {
        println!("{}…", line.chars().take(100).collect::<String>());
    }
    let returned = year::returned(&results.stdout)?;
    print_year(&returned);
    let native = year::read(table)?;
    ensure!(
        returned == native,
        "the figures differ from those computed natively from the same file"
    );
    println!(
        "\nchecked: equal to the figures computed natively from the same file, month by month"
    );
    Ok(Shown {
        what: "12 months of flights",
        job: id,
        came: "succeeded, equal to native figures".to_owned(),
    })
}

fn print_year(months: &Months) {
    println!("\n2013     flights  cancelled   mean delay    p95 delay");
    for (code, delays) in year::whole(months) {
        println!(
            "  {code:<5}{:>9}{:>11}{:>9.1} min{:>9} min",
            delays.flights(),
            delays.missing,
            delays.mean(),
            delays.p95().unwrap_or_default(),
        );
    }
}
