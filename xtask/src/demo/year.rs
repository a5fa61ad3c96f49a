//! The year's figures, computed natively from the same file, on another way than
//! the example goes: every delay is kept and sorted. What the job returned must be equal.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Delays of one carrier in one month, or in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Delays {
    /// Flights that never left.
    pub(super) missing: usize,
    /// Departure delay of every other flight, in minutes, ascending once read.
    pub(super) minutes: Vec<i64>,
}

impl Delays {
    pub(super) fn flights(&self) -> usize {
        self.missing + self.minutes.len()
    }

    pub(super) fn mean(&self) -> f64 {
        let total: i64 = self.minutes.iter().sum();
        total as f64 / self.minutes.len() as f64
    }

    /// By nearest rank.
    pub(super) fn p95(&self) -> Option<i64> {
        let rank = (self.minutes.len() * 95).div_ceil(100);
        self.minutes.get(rank.checked_sub(1)?).copied()
    }

    fn absorb(&mut self, other: &Self) {
        self.missing += other.missing;
        self.minutes.extend(&other.minutes);
        self.minutes.sort_unstable();
    }
}

/// By month and carrier.
pub(super) type Months = BTreeMap<u64, BTreeMap<String, Delays>>;

/// Every month, read from the table of flights.
///
/// # Errors
/// The table cannot be read.
pub(super) fn read(table: &Path) -> Result<Months> {
    let text = std::fs::read_to_string(table)
        .with_context(|| format!("cannot read {}", table.display()))?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let column = |name: &str| {
        let at = header.iter().position(|column| *column == name);
        at.with_context(|| format!("no column {name}"))
    };
    let (month, delay, carrier) = (column("month")?, column("dep_delay")?, column("carrier")?);
    let mut months = Months::new();
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        let carriers = months.entry(fields[month].parse()?).or_default();
        let delays = carriers.entry(fields[carrier].to_owned()).or_default();
        match fields[delay] {
            "NA" => delays.missing += 1,
            minutes => delays.minutes.push(minutes.parse()?),
        }
    }
    for delays in months.values_mut().flat_map(BTreeMap::values_mut) {
        delays.minutes.sort_unstable();
    }
    Ok(months)
}

/// Every month, as the tasks returned it: one JSON line a task.
///
/// # Errors
/// A line is not what the example writes, or its own mean or p95 does not follow from its histogram.
pub(super) fn returned(lines: &str) -> Result<Months> {
    let mut months = Months::new();
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line)?;
        let result = &line["result"];
        let month = result["month"].as_u64().context("a month")?;
        let carriers = result["carriers"].as_object().context("carriers")?;
        for (code, carrier) in carriers {
            let delays = delays(carrier).with_context(|| format!("{code} in month {month}"))?;
            months
                .entry(month)
                .or_default()
                .insert(code.clone(), delays);
        }
    }
    Ok(months)
}

fn delays(carrier: &Value) -> Result<Delays> {
    let count = |value: &Value| usize::try_from(value.as_u64().context("a count")?).context("fits");
    let mut delays = Delays {
        missing: count(&carrier["missing"])?,
        minutes: Vec::new(),
    };
    for bar in carrier["delays"].as_array().context("a histogram")? {
        let minute = bar[0].as_i64().context("a minute")?;
        let flights = count(&bar[1])?;
        delays.minutes.extend(std::iter::repeat_n(minute, flights));
    }
    ensure!(
        count(&carrier["flights"])? == delays.flights(),
        "flights differ"
    );
    ensure!(carrier["p95"].as_i64() == delays.p95(), "p95 differs");
    // Text to number and back may cost the last bit.
    let mean = carrier["mean"].as_f64();
    ensure!(
        mean.is_none_or(|mean| (mean - delays.mean()).abs() < 1e-9),
        "mean differs"
    );
    Ok(delays)
}

/// The months of a year together.
pub(super) fn whole(months: &Months) -> BTreeMap<String, Delays> {
    let mut year: BTreeMap<String, Delays> = BTreeMap::new();
    for (code, delays) in months.values().flatten() {
        year.entry(code.clone()).or_default().absorb(delays);
    }
    year
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_add_up_to_the_year() {
        let line = |month: u32, delays: &str| {
            format!(
                r#"{{"task":0,"result":{{"month":{month},"carriers":{{"UA":{{"flights":3,"missing":1,"mean":2.0,"p95":3,"delays":{delays}}}}}}}}}"#
            )
        };
        let text = format!(
            "{}\n{}\n",
            line(1, "[[1,1],[3,1]]"),
            line(2, "[[1,1],[3,1]]")
        );
        let year = whole(&returned(&text).unwrap());
        assert_eq!((year["UA"].flights(), year["UA"].p95()), (6, Some(3)));
        assert!(returned(&line(1, "[[1,1],[4,1]]")).is_err());
    }
}
