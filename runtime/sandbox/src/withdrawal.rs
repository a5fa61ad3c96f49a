//! A guest's memory, taken away while the guest runs: it traps when it touches it.

#![allow(
    unsafe_code,
    reason = "pages lose their access rights between any two instructions; see `withdraw`"
)]

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::engine::MEMORY_RESERVED_BYTES;

/// The memory that may be withdrawn, if there is one now.
#[derive(Debug, Default)]
pub(crate) struct Withdrawal {
    /// Where it begins; null while there is none.
    base: AtomicPtr<u8>,
    /// How many calls of [`Withdrawal::withdraw`] are at work.
    at_work: AtomicUsize,
}

impl Withdrawal {
    /// Lets the linear memory at `base` be withdrawn. The engine has reserved
    /// [`MEMORY_RESERVED_BYTES`] for it there, and keeps them until after [`Withdrawal::end`].
    pub(crate) fn offer(&self, base: *mut u8) {
        self.base.store(base, Ordering::SeqCst);
    }

    /// Lets nothing be withdrawn any more; when it returns nothing is being.
    pub(crate) fn end(&self) {
        self.base.store(ptr::null_mut(), Ordering::SeqCst);
        // Never waits for a handler on this thread: that is over when this goes on.
        while self.at_work.load(Ordering::SeqCst) > 0 {
            std::hint::spin_loop();
        }
    }

    /// Takes the memory's access rights, if there is one now. Async-signal-safe.
    pub(crate) fn withdraw(&self) {
        // Before the look: `end` waits for whoever may have seen the memory.
        self.at_work.fetch_add(1, Ordering::SeqCst);
        let base = self.base.load(Ordering::SeqCst);
        if !base.is_null() {
            // SAFETY: the range is one reservation of the engine's, which holds a linear
            // memory and nothing else, and which `end` keeps mapped until this is done.
            // Rights are only taken: whoever touches the memory from now on, in whatever
            // code, gets a fault instead of a wrong byte. In compiled code the engine
            // makes a trap of it, and elsewhere it ends the process. That it may fail
            // does no harm: who raised the interrupt kills the process then.
            unsafe { libc::mprotect(base.cast(), MEMORY_RESERVED_BYTES, libc::PROT_NONE) };
        }
        self.at_work.fetch_sub(1, Ordering::SeqCst);
    }
}
