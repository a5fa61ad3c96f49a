//! Many worlds, each of them from its seed: whatever fails in them, every promise holds.
//!
//! `STINT_SIM_SEEDS=100000` lives through more of them, `STINT_SIM_SEED=17` through one.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use stint_sim::{Policy, World};

/// Worlds of an ordinary run: some hundred thousand faults.
const SEEDS: u64 = 2_000;

/// Lives through a world; one that fails is lived through again, with its story told.
fn story(seed: u64) -> Option<String> {
    World::run(seed, Policy::Sound).err()?;
    let failure = World::replay(seed, Policy::Sound).expect_err("a seed fails every time");
    Some(format!(
        "{failure}\nagain: STINT_SIM_SEED={seed} cargo test -p stint-sim"
    ))
}

/// A number that somebody set in the environment.
fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

/// Lives through the worlds of these seeds on every core, until one fails.
fn first_failure(seeds: Range<u64>) -> Option<String> {
    let next = AtomicU64::new(seeds.start);
    let found = Mutex::new(None);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let search = || {
        while lock(&found).is_none() {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !seeds.contains(&seed) {
                break;
            }
            if let Some(story) = story(seed) {
                lock(&found).get_or_insert(story);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(search);
        }
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn lock(found: &Mutex<Option<String>>) -> MutexGuard<'_, Option<String>> {
    found.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn every_promise_holds_in_two_thousand_worlds() {
    let seeds = match number("STINT_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("STINT_SIM_SEEDS").unwrap_or(SEEDS),
    };
    if let Some(story) = first_failure(seeds) {
        panic!("{story}");
    }
}
