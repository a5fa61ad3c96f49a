//! Kernels over numbers.

use crate::{Chance, Run};

/// Numbers that are sorted.
const SORTED: usize = 2_000_000;
/// Rows and columns of each matrix.
const SIDE: usize = 512;
/// Paths that are drawn.
const PATHS: usize = 2_000_000;

/// Whole numbers in order.
pub(crate) fn sort() -> Run {
    let mut chance = Chance::new(4);
    let numbers: Vec<u64> = (0..SORTED).map(|_| chance.next_u64()).collect();
    Box::new(move || {
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        let every = sorted.iter().step_by(1_000);
        every.fold(0, |sum: u64, number| sum.rotate_left(1) ^ number)
    })
}

/// The product of two matrices, row by row so that it is a sum of vectors.
pub(crate) fn matmul() -> Run {
    let mut chance = Chance::new(5);
    let mut matrix = || -> Vec<f64> { (0..SIDE * SIDE).map(|_| chance.unit()).collect() };
    let (left, right) = (matrix(), matrix());
    Box::new(move || {
        let mut product = vec![0.0_f64; SIDE * SIDE];
        for (row, sums) in left.chunks_exact(SIDE).zip(product.chunks_exact_mut(SIDE)) {
            for (factor, other) in row.iter().zip(right.chunks_exact(SIDE)) {
                for (sum, value) in sums.iter_mut().zip(other) {
                    *sum += factor * value;
                }
            }
        }
        product.iter().sum::<f64>().to_bits()
    })
}

/// The price of a European call under Black and Scholes, by drawing where the share
/// ends (Boyle, "Options: A Monte Carlo Approach", 1977).
pub(crate) fn monte_carlo() -> Run {
    const SPOT: f64 = 100.0;
    const STRIKE: f64 = 105.0;
    const RATE: f64 = 0.02;
    const VOLATILITY: f64 = 0.25;
    Box::new(|| {
        let mut chance = Chance::new(6);
        let drift = RATE - VOLATILITY * VOLATILITY / 2.0;
        let mut sum = 0.0;
        for _ in 0..PATHS {
            // Box and Muller, "A Note on the Generation of Random Normal Deviates", 1958.
            let radius = (-2.0 * chance.unit().ln()).sqrt();
            let normal = radius * (std::f64::consts::TAU * chance.unit()).cos();
            let end = SPOT * (drift + VOLATILITY * normal).exp();
            sum += (end - STRIKE).max(0.0);
        }
        let price = (-RATE).exp() * sum / PATHS as f64;
        // Libraries of mathematics differ in the last bits.
        (price * 1e6).round() as u64
    })
}
