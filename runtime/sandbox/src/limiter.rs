//! How the guest is held to its memory: every growth of every memory and table
//! is asked for here, and what was refused is remembered until one succeeds.

use wasmtime::ResourceLimiter;

/// What one element of a table takes: a pointer.
const TABLE_ELEMENT_BYTES: u64 = 8;
/// As far as 32-bit addresses reach.
const ADDRESS_SPACE_BYTES: u64 = 4 << 30;

/// The guest's memory account; bytes everywhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limiter {
    limit: u64,
    now: Account,
    /// What `now` was before the growth that was let through last: it may yet fail.
    before: Account,
    /// The largest size that a refused growth would have made.
    refused_max: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Account {
    used: u64,
    peak: u64,
    refusal: Option<Refusal>,
}

/// Why a growth failed, after which none has succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The limit; had it been granted, the guest would have this many bytes.
    Limit { asked: u64 },
    /// Addresses end before it does.
    AddressSpace,
}

impl Limiter {
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            limit,
            now: Account::default(),
            before: Account::default(),
            refused_max: 0,
        }
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// The most that the guest ever had.
    pub(crate) fn peak(&self) -> u64 {
        self.now.peak
    }

    /// The largest size that a refused growth would have made; 0 when none was refused.
    pub(crate) fn refused_max(&self) -> u64 {
        self.refused_max
    }

    /// The last refusal, if no growth has succeeded since.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.now.refusal
    }

    fn growing(&mut self, current: u64, desired: u64, maximum: Option<u64>) -> bool {
        self.before = self.now;
        let own_maximum = maximum.filter(|max| *max < ADDRESS_SPACE_BYTES);
        if own_maximum.is_some_and(|max| desired > max) {
            // The module's own ceiling: no limit of ours would change that. Let through, the engine refuses it.
            return true;
        }
        let asked = (self.now.used)
            .saturating_sub(current)
            .saturating_add(desired);
        if asked > self.limit {
            self.refused_max = self.refused_max.max(asked);
            self.now.refusal = Some(Refusal::Limit { asked });
            return false;
        }
        if desired > ADDRESS_SPACE_BYTES {
            self.now.refusal = Some(Refusal::AddressSpace);
            return false;
        }
        self.now = Account {
            used: asked,
            peak: self.now.peak.max(asked),
            refusal: None,
        };
        true
    }

    fn failed(&mut self) {
        self.now = self.before;
    }
}

fn bytes(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

fn table_bytes(elements: usize) -> u64 {
    bytes(elements).saturating_mul(TABLE_ELEMENT_BYTES)
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.growing(bytes(current), bytes(desired), maximum.map(bytes)))
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.failed();
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.growing(
            table_bytes(current),
            table_bytes(desired),
            maximum.map(table_bytes),
        ))
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.failed();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = 64 << 10;

    #[test]
    fn memories_and_tables_are_summed_against_one_limit() {
        let mut limiter = Limiter::new(10 * PAGE);
        assert!(limiter.growing(0, 6 * PAGE, None));
        assert!(limiter.growing(0, 4 * PAGE, None));
        assert!(!limiter.growing(0, 8, None));
        assert_eq!(limiter.peak(), 10 * PAGE);
        assert_eq!(limiter.refused_max(), 10 * PAGE + 8);
    }

    #[test]
    fn a_growth_that_succeeds_forgets_the_refusal_before() {
        let mut limiter = Limiter::new(10 * PAGE);
        assert!(!limiter.growing(0, 11 * PAGE, None));
        let asked = 11 * PAGE;
        assert_eq!(limiter.refusal(), Some(Refusal::Limit { asked }));
        assert!(limiter.growing(0, PAGE, None));
        assert_eq!(limiter.refusal(), None);
        assert_eq!(limiter.refused_max(), asked);
    }

    #[test]
    fn a_growth_that_was_let_through_and_failed_counts_for_nothing() {
        let mut limiter = Limiter::new(10 * PAGE);
        assert!(!limiter.growing(0, 11 * PAGE, None));
        assert!(limiter.growing(0, 5 * PAGE, None));
        limiter.failed();
        assert_eq!(limiter.peak(), 0);
        assert!(limiter.refusal().is_some());
    }

    #[test]
    fn the_modules_own_maximum_is_no_limit_of_ours() {
        let mut limiter = Limiter::new(10 * PAGE);
        assert!(limiter.growing(0, 20 * PAGE, Some(15 * PAGE)));
        limiter.failed();
        assert_eq!(limiter.refusal(), None);
        assert_eq!(limiter.refused_max(), 0);
    }

    #[test]
    fn beyond_32_bit_addresses_the_reason_is_address_space() {
        let mut limiter = Limiter::new(6 << 30);
        assert!(limiter.growing(0, 4 << 30, Some(4 << 30)));
        assert!(!limiter.growing(4 << 30, (4 << 30) + PAGE, Some(4 << 30)));
        assert_eq!(limiter.refusal(), Some(Refusal::AddressSpace));
    }
}
