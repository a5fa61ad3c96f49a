//! The figures of one month, and how they are written.

use std::collections::BTreeMap;
use std::fmt;

/// What one month says about each carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    month: u32,
    carriers: BTreeMap<String, Carrier>,
}

/// The flights of one carrier. Its delays are kept as a histogram, minute by
/// minute: months then add up to a year exactly, which percentiles alone do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carrier {
    missing: u64,
    minutes: BTreeMap<i32, u64>,
}

impl Summary {
    /// A month without flights.
    pub fn new(month: u32) -> Self {
        Self {
            month,
            carriers: BTreeMap::new(),
        }
    }

    /// Counts one flight; `delay` is in minutes, and absent when the flight never left.
    pub fn add(&mut self, carrier: &str, delay: Option<i32>) {
        let entry = match self.carriers.get_mut(carrier) {
            Some(entry) => entry,
            None => self.carriers.entry(carrier.to_owned()).or_default(),
        };
        match delay {
            Some(minutes) => *entry.minutes.entry(minutes).or_default() += 1,
            None => entry.missing += 1,
        }
    }

    /// Flights of all carriers, those that never left included.
    pub fn flights(&self) -> u64 {
        self.carriers.values().map(Carrier::flights).sum()
    }

    /// The carrier with this code.
    pub fn carrier(&self, code: &str) -> Option<&Carrier> {
        self.carriers.get(code)
    }
}

impl Carrier {
    /// All flights, those that never left included.
    pub fn flights(&self) -> u64 {
        self.missing + self.departed()
    }

    fn departed(&self) -> u64 {
        self.minutes.values().sum()
    }

    /// Mean departure delay in minutes of the flights that left; absent when none did.
    pub fn mean(&self) -> Option<f64> {
        let total: f64 = self
            .minutes
            .iter()
            .map(|(minute, flights)| f64::from(*minute) * *flights as f64)
            .sum();
        let departed = self.departed();
        (departed > 0).then(|| total / departed as f64)
    }

    /// 95th percentile by nearest rank: the smallest delay in minutes that at
    /// least 95 of 100 departed flights do not exceed; absent when none left.
    pub fn p95(&self) -> Option<i32> {
        let rank = (self.departed() * 95).div_ceil(100);
        let mut seen = 0;
        self.minutes.iter().find_map(|(minute, flights)| {
            seen += flights;
            (seen >= rank).then_some(*minute)
        })
    }
}

/// As one JSON value. Codes of carriers are two letters or digits: nothing to escape.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, r#"{{"month":{},"carriers":{{"#, self.month)?;
        for (index, (code, carrier)) in self.carriers.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, r#"{comma}"{code}":{carrier}"#)?;
        }
        f.write_str("}}")
    }
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (flights, missing) = (self.flights(), self.missing);
        write!(f, r#"{{"flights":{flights},"missing":{missing},"#)?;
        match (self.mean(), self.p95()) {
            (Some(mean), Some(p95)) => write!(f, r#""mean":{mean},"p95":{p95},"#)?,
            _ => f.write_str(r#""mean":null,"p95":null,"#)?,
        }
        f.write_str(r#""delays":["#)?;
        for (index, (minute, flights)) in self.minutes.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}[{minute},{flights}]")?;
        }
        f.write_str("]}")
    }
}
