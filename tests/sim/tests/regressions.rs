//! Worlds that once broke a promise, each for a reason of its own. What they showed is said in the
//! hearts' own tests too: whoever changes what the simulation draws changes these worlds.

use stint_sim::{Policy, World};

fn holds(seed: u64) {
    if World::run(seed, Policy::Sound).is_err() {
        let failure = World::replay(seed, Policy::Sound).expect_err("a seed fails every time");
        panic!("{failure}");
    }
}

#[test]
fn a_cancellation_that_was_committed_by_half_is_whole_or_not_at_all() {
    holds(5_910);
}
