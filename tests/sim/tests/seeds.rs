//! Many worlds, each of them from its seed: whatever fails in them, every promise holds.
//!
//! `STINT_SIM_SEEDS=100000` lives through more of them, `STINT_SIM_SEED=17` through one.

use stint_sim::{Policy, World};

/// Worlds of an ordinary run: some ten thousand faults.
const SEEDS: u64 = 200;

/// Lives through a world; one that fails is lived through again, with its story told.
fn check(seed: u64) {
    if World::run(seed, Policy::Sound).is_err() {
        let failure = World::replay(seed, Policy::Sound).expect_err("a seed fails every time");
        panic!("{failure}\nagain: STINT_SIM_SEED={seed} cargo test -p stint-sim");
    }
}

/// A number that somebody set in the environment.
fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

#[test]
fn every_promise_holds_in_two_hundred_worlds() {
    match number("STINT_SIM_SEED") {
        Some(seed) => check(seed),
        None => (0..number("STINT_SIM_SEEDS").unwrap_or(SEEDS)).for_each(check),
    }
}
