//! Medians, rates and ratios, and the tables that show them.

use std::time::Duration;

/// How long each of many alike took, and what CPU time all of them used.
#[derive(Debug)]
pub(super) struct Figures {
    what: String,
    took: Vec<Duration>,
    /// None where it cannot be told apart from what it is a part of.
    cpu: Option<Duration>,
}

impl Figures {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            took: Vec::new(),
            cpu: None,
        }
    }

    /// Adds one that took so long.
    pub(super) fn add(&mut self, took: Duration) {
        self.took.push(took);
    }

    /// Adds CPU time that was used for those added since it was called last.
    pub(super) fn add_cpu(&mut self, cpu: Duration) {
        self.cpu = Some(self.cpu.unwrap_or_default() + cpu);
    }

    /// The time that `percent` of a hundred did not pass, by nearest rank.
    fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.took.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100);
        let at = rank.saturating_sub(1);
        sorted.get(at).copied().unwrap_or_default()
    }

    fn cpu_of_each(&self) -> Option<Duration> {
        let count = u32::try_from(self.took.len()).ok().filter(|n| *n > 0)?;
        Some(self.cpu? / count)
    }
}

/// How many there were in how long, in each of a few rounds.
#[derive(Debug)]
pub(super) struct Rate {
    what: &'static str,
    rounds: Vec<Round>,
}

#[derive(Clone, Copy, Debug)]
struct Round {
    count: usize,
    took: Duration,
    cpu: Duration,
}

impl Rate {
    pub(super) fn new(what: &'static str) -> Self {
        Self {
            what,
            rounds: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, count: usize, took: Duration, cpu: Duration) {
        self.rounds.push(Round { count, took, cpu });
    }

    /// Of the round in the middle, by how many there were a second.
    fn median(&self) -> f64 {
        let mut rates: Vec<f64> = self
            .rounds
            .iter()
            .map(|round| round.count as f64 / round.took.as_secs_f64())
            .collect();
        rates.sort_by(f64::total_cmp);
        rates.get(rates.len() / 2).copied().unwrap_or_default()
    }

    fn cpu_of_each(&self) -> Duration {
        let cpu: Duration = self.rounds.iter().map(|round| round.cpu).sum();
        let count: usize = self.rounds.iter().map(|round| round.count).sum();
        u32::try_from(count)
            .ok()
            .and_then(|count| cpu.checked_div(count))
            .unwrap_or_default()
    }
}

/// Prints `all`, each beside `base`.
pub(super) fn print_starts(all: &[&Figures], base: &Figures) {
    print_starts_beside(all, base, "× true");
}

/// The same, where the last column is called `ratio`.
pub(super) fn print_starts_beside(all: &[&Figures], base: &Figures, ratio: &str) {
    println!(
        "{:<60} {:>9} {:>9} {:>9} {:>9}",
        "start to end", "p50", "p95", "CPU", ratio
    );
    let unit = base.percentile(50).as_secs_f64();
    for figures in all {
        println!(
            "{:<60} {:>9} {:>9} {:>9} {:>9.2}",
            figures.what,
            millis(figures.percentile(50)),
            millis(figures.percentile(95)),
            figures.cpu_of_each().map_or_else(|| "-".to_owned(), millis),
            figures.percentile(50).as_secs_f64() / unit,
        );
    }
}

/// Prints `all`, each beside `base`.
pub(super) fn print_rates(all: &[&Rate], base: &Rate) {
    println!(
        "\n{:<60} {:>9} {:>9} {:>9} {:>9}",
        "no-ops a second", "median", "", "CPU", "× true"
    );
    for rate in all {
        println!(
            "{:<60} {:>9.0} {:>9} {:>9} {:>9.2}",
            rate.what,
            rate.median(),
            "",
            millis(rate.cpu_of_each()),
            rate.median() / base.median(),
        );
    }
}

/// What the figures were measured on, and with: our own crates at `opt_level`.
pub(super) fn machine(opt_level: &str) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let name = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = name
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("an unknown processor", |(_, name)| name);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cores} cores of {name}, Linux {}, profile dev (ours at opt-level {opt_level})",
        kernel.trim()
    )
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let mut figures = Figures::new("");
        for millis in (1..=20).rev() {
            figures.add(Duration::from_millis(millis));
        }
        assert_eq!(figures.percentile(50), Duration::from_millis(10));
        assert_eq!(figures.percentile(95), Duration::from_millis(19));
        assert_eq!(Figures::new("").percentile(50), Duration::ZERO);
    }

    #[test]
    fn cpu_time_is_shared_by_all_that_were_added() {
        let mut figures = Figures::new("");
        assert_eq!(figures.cpu_of_each(), None);
        figures.add(Duration::from_millis(5));
        figures.add(Duration::from_millis(5));
        figures.add_cpu(Duration::from_millis(6));
        assert_eq!(figures.cpu_of_each(), Some(Duration::from_millis(3)));
    }

    #[test]
    fn the_rate_is_that_of_the_round_in_the_middle() {
        let mut rate = Rate::new("");
        for millis in [100, 1_000, 10] {
            rate.add(
                100,
                Duration::from_millis(millis),
                Duration::from_millis(200),
            );
        }
        assert!((rate.median() - 1_000.0).abs() < 1e-6);
        assert_eq!(rate.cpu_of_each(), Duration::from_millis(2));
    }
}
