//! The price of an Asian call option, from the mean of many random paths. Paths come in
//! chunks, each with random numbers of its own: whoever does a chunk again, alone or
//! after others, gets the same.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// Paths of one chunk: some tens of milliseconds.
pub const PATHS: u32 = 50_000;
/// Days of a path.
const DAYS: u32 = 21;
const PRICE: f64 = 100.0;
const STRIKE: f64 = 100.0;
const RATE: f64 = 0.03;
const VOLATILITY: f64 = 0.2;
const YEAR: f64 = 252.0;

/// What the chunks so far came to; as text, what is saved.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sum {
    /// Chunks that were done.
    pub chunks: u32,
    /// Of the payoffs.
    pub payoffs: f64,
    /// Of their squares.
    pub squares: f64,
}

impl Sum {
    /// Does the next chunk of `task`.
    pub fn add_chunk(&mut self, task: u32) {
        let mut random = Random(u64::from(task) << 32 | u64::from(self.chunks));
        let step = 1.0 / YEAR;
        let (drift, spread) = (
            (RATE - VOLATILITY * VOLATILITY / 2.0) * step,
            VOLATILITY * step.sqrt(),
        );
        for _ in 0..PATHS {
            let (mut price, mut total) = (PRICE, 0.0);
            for _ in 0..DAYS {
                price *= (drift + spread * random.normal()).exp();
                total += price;
            }
            let payoff = (total / f64::from(DAYS) - STRIKE).max(0.0);
            self.payoffs += payoff;
            self.squares += payoff * payoff;
        }
        self.chunks += 1;
    }

    /// The price, and its standard error.
    pub fn price(&self) -> (f64, f64) {
        let paths = f64::from(self.chunks) * f64::from(PATHS);
        let mean = self.payoffs / paths;
        let variance = self.squares / paths - mean * mean;
        let discount = (-RATE * f64::from(DAYS) / YEAR).exp();
        (mean * discount, (variance / paths).sqrt() * discount)
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Numbers are written so that they are read as exactly the same.
        write!(f, "{} {} {}", self.chunks, self.payoffs, self.squares)
    }
}

impl FromStr for Sum {
    type Err = Box<dyn Error>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(' ');
        let mut part = || parts.next().ok_or("a number is missing");
        Ok(Self {
            chunks: part()?.parse()?,
            payoffs: part()?.parse()?,
            squares: part()?.parse()?,
        })
    }
}

/// SplitMix64: small, and good enough for a price.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Above 0, at most 1.
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// By Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}
