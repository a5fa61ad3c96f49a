//! Numbers that look like chance and are the same everywhere.

/// A generator of Marsaglia's xorshift family ("Xorshift RNGs", 2003), with 64 bits.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// One that begins at `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// The next number, below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next_u64() % bound
    }

    /// The next number between 0 and 1, neither of them.
    pub fn unit(&mut self) -> f64 {
        const BITS: u32 = 53;
        let whole = self.next_u64() >> (u64::BITS - BITS);
        (whole as f64 + 0.5) / (1_u64 << BITS) as f64
    }
}
