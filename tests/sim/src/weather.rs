//! How bad a world is: drawn once from its seed, so that some are calm and
//! some are storms, and chance that everything in it is drawn from.

use fastrand::Rng;
use stint_api::time::Span;

/// How often things go wrong, in thousandths.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// A message is lost.
    pub(crate) loss: u32,
    /// A request comes twice, the second time possibly much later.
    pub(crate) repeat: u32,
    /// A message is held up for long.
    pub(crate) delay: u32,
    /// An attempt fails by itself.
    pub(crate) failure: u32,
    /// A worker is lost.
    pub(crate) worker_loss: u32,
    /// A preparation fails.
    pub(crate) preparation: u32,
    /// Guests outlive a lease.
    pub(crate) long: u32,
    /// Until when jobs are submitted, in milliseconds: a crowd fills every node.
    pub(crate) submits_millis: u64,
    /// Jobs that are over and kept; the others are forgotten.
    pub(crate) keeps: usize,
    /// Mean time between faults of a whole process or machine.
    pub(crate) between_faults: Span,
}

impl Weather {
    pub(crate) fn draw(chance: &mut Chance) -> Self {
        let storm = chance.below(4);
        let is_crowded = chance.happens(400);
        let mut upto = |most: u32| chance.below(most * storm + 1);
        Self {
            loss: upto(40),
            repeat: upto(40),
            delay: upto(50),
            failure: upto(100),
            worker_loss: upto(40),
            preparation: upto(30),
            long: if is_crowded { 350 } else { 100 },
            submits_millis: if is_crowded { 3_000 } else { 12_000 },
            keeps: if chance.happens(300) { 2 } else { 100 },
            between_faults: Span::from_millis([6_000, 2_500, 1_200, 600][storm as usize]),
        }
    }
}

/// The one source of chance.
#[derive(Debug)]
pub(crate) struct Chance(Rng);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    /// True so often in a thousand.
    pub(crate) fn happens(&mut self, thousandths: u32) -> bool {
        self.0.u32(0..1_000) < thousandths
    }

    /// A number below `end`, which is not zero.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        self.0.u32(0..end)
    }

    /// An index into something of that length.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.0.usize(0..len)
    }

    /// A span of `least` to `most` microseconds.
    pub(crate) fn micros(&mut self, least: u64, most: u64) -> Span {
        Span::from_nanos(self.0.u64(least * 1_000..=most * 1_000))
    }

    /// A span of `least` to `most` milliseconds.
    pub(crate) fn millis(&mut self, least: u64, most: u64) -> Span {
        self.micros(least * 1_000, most * 1_000)
    }

    /// A number for somebody else's chance.
    pub(crate) fn seed(&mut self) -> u64 {
        self.0.u64(..)
    }
}
