//! Closes what a worker was not told of: a descriptor that came along by mistake
//! is a hole in every other layer.

#![allow(
    unsafe_code,
    reason = "closes descriptors by number; see `close_all_but`"
)]

use std::os::fd::{AsRawFd as _, BorrowedFd};

use crate::ledger::{Named as _, Refusal};
use crate::raw;

/// Standard streams: closed, the next file that is opened would take their place.
const STANDARD: [u32; 3] = [0, 1, 2];

/// Closes all descriptors but the standard streams and `keep`. What else the
/// process still holds by number must not be used again: that is a promise of
/// whoever arms the jail.
pub(crate) fn close_all_but(keep: &[BorrowedFd<'_>]) -> Result<(), Refusal> {
    let mut kept: Vec<u32> = keep
        .iter()
        .filter_map(|fd| u32::try_from(fd.as_raw_fd()).ok())
        .chain(STANDARD)
        .collect();
    kept.sort_unstable();
    let mut next = 0;
    for fd in kept {
        if fd > next {
            close(next, fd - 1)?;
        }
        next = fd + 1;
    }
    close(next, u32::MAX)
}

fn close(first: u32, last: u32) -> Result<(), Refusal> {
    // SAFETY: nothing counts on these being open, by the promise above: `Berth`
    // demands that whatever is to be used again is named in `keep`.
    unsafe { raw::close_range(first, last) }.named("close descriptors")
}
