//! Figures by the name of what they are about, in the order in which they came up.

use std::time::Duration;

/// What was measured.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    what: String,
    took: Vec<Duration>,
    cpu: Option<Duration>,
    values: Vec<(f64, &'static str)>,
}

impl Table {
    /// One more of those that are called `what` took so long.
    pub(crate) fn took(&mut self, what: &str, took: Duration) {
        self.row(what).took.push(took);
    }

    /// CPU time of those that were added since it was called last.
    pub(crate) fn cpu(&mut self, what: &str, cpu: Duration) {
        let row = self.row(what);
        row.cpu = Some(row.cpu.unwrap_or_default() + cpu);
    }

    /// One more value, in a unit.
    pub(crate) fn value(&mut self, what: &str, value: f64, unit: &'static str) {
        self.row(what).values.push((value, unit));
    }

    fn row(&mut self, what: &str) -> &mut Row {
        let at = self.rows.iter().position(|row| row.what == what);
        let at = at.unwrap_or_else(|| {
            self.rows.push(Row {
                what: what.to_owned(),
                took: Vec::new(),
                cpu: None,
                values: Vec::new(),
            });
            self.rows.len() - 1
        });
        &mut self.rows[at]
    }

    /// Prints all, times also as multiples of the row `base`'s median.
    pub(crate) fn print(&mut self, base: &str) {
        let base = percentile(&self.row(base).took, 50).as_secs_f64();
        println!(
            "\n| {:<66} | {:>5} | {:>9} | {:>9} | {:>9} | {:>6} |\n|---|---|---|---|---|---|",
            "what", "n", "p50", "p99", "CPU", "× true"
        );
        for row in self.rows.iter().filter(|row| !row.took.is_empty()) {
            let (p50, p99) = (percentile(&row.took, 50), percentile(&row.took, 99));
            let count = u32::try_from(row.took.len()).unwrap_or(u32::MAX);
            let cpu = row
                .cpu
                .map_or_else(|| "-".to_owned(), |cpu| text(cpu / count));
            println!(
                "| {:<66} | {count:>5} | {:>9} | {:>9} | {cpu:>9} | {:>6.2} |",
                row.what,
                text(p50),
                text(p99),
                p50.as_secs_f64() / base
            );
        }
        println!(
            "\n| {:<66} | {:>5} | {:>16} |\n|---|---|---|",
            "what", "n", "median"
        );
        for row in self.rows.iter_mut().filter(|row| !row.values.is_empty()) {
            row.values.sort_by(|one, other| one.0.total_cmp(&other.0));
            let (value, unit) = row.values[row.values.len() / 2];
            let value = format!("{value:.2} {unit}");
            println!(
                "| {:<66} | {:>5} | {value:>16} |",
                row.what,
                row.values.len()
            );
        }
    }
}

/// By nearest rank.
fn percentile(took: &[Duration], percent: usize) -> Duration {
    let mut sorted = took.to_owned();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100);
    let at = rank.saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}

fn text(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}
