//! The stacks that guests run on. The engine maps one for each attempt, and its pages are
//! touched for the first time each time; here the one that an attempt has left is kept
//! for the next. No guest can read a stack, and a worker runs one job's attempts only.

#![allow(
    unsafe_code,
    reason = "memory that the engine runs on is mapped and unmapped; see `Mapping`"
)]

use std::io;
use std::ops::Range;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::{StackCreator, StackMemory};

/// What of a stack that was left stays in memory: more than a small program touches. The
/// pages below it go back to the kernel, so that a deep recursion costs no attempt but its own.
const KEPT_BYTES: usize = 64 << 10;

/// The stack that nobody uses, if there is one: a worker runs one attempt at a time.
type Shelf = Arc<Mutex<Option<Mapping>>>;

/// Makes stacks, and makes do with the one that is there.
#[derive(Debug, Default)]
pub(crate) struct Stacks {
    shelf: Shelf,
}

/// A stack in use.
#[derive(Debug)]
struct Stack {
    /// Gone only while it is dropped.
    mapping: Option<Mapping>,
    shelf: Shelf,
}

/// A mapping of this process: a page that nothing may touch, and a stack above it.
#[derive(Debug)]
struct Mapping {
    /// Where the guard page begins.
    base: usize,
    guard: usize,
    /// Bytes of the stack.
    size: usize,
}

impl Mapping {
    fn new(size: usize) -> io::Result<Self> {
        let guard = rustix::param::page_size();
        let size = size.next_multiple_of(guard);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping wherever the kernel has room replaces nothing.
        let base =
            unsafe { libc::mmap(ptr::null_mut(), guard + size, libc::PROT_NONE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let mapping = Self {
            base: base.expose_provenance(),
            guard,
            size,
        };
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the range is this mapping's, which nobody else knows of.
        let done = unsafe { libc::mprotect(mapping.stack().cast(), size, rights) };
        if done == 0 {
            Ok(mapping)
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Where the stack ends that grows down from its top.
    fn stack(&self) -> *mut u8 {
        ptr::with_exposed_provenance_mut(self.base + self.guard)
    }

    /// Gives all but the topmost `kept` bytes back to the kernel; whether it took them.
    fn forget(&self, kept: usize) -> bool {
        let below = self.size.saturating_sub(kept);
        // SAFETY: the range is this mapping's, and nothing runs on it: who calls owns it
        // and gives it to nobody meanwhile. What is read there next is zero.
        unsafe { libc::madvise(self.stack().cast(), below, libc::MADV_DONTNEED) == 0 }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let base = ptr::with_exposed_provenance_mut(self.base);
        // SAFETY: the range was mapped by `new`, is unmapped only here, and nothing
        // refers to it: a stack in use owns its mapping.
        unsafe { libc::munmap(base, self.guard + self.size) };
    }
}

// SAFETY: each stack is a mapping of its own, page aligned, writable, with a guard page
// below, and belongs to one `Stack` until that is dropped; nothing here reads or writes it.
unsafe impl StackCreator for Stacks {
    fn new_stack(&self, size: usize, zeroed: bool) -> wasmtime::Result<Box<dyn StackMemory>> {
        let left = (self.shelf.lock())
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .filter(|left| left.size >= size && (!zeroed || left.forget(0)));
        let mapping = match left {
            Some(left) => left,
            None => Mapping::new(size)?,
        };
        Ok(Box::new(Stack {
            mapping: Some(mapping),
            shelf: Arc::clone(&self.shelf),
        }))
    }
}

impl Stack {
    fn bounds(&self) -> Range<usize> {
        let bounds = |it: &Mapping| it.base + it.guard..it.base + it.guard + it.size;
        self.mapping.as_ref().map_or(0..0, bounds)
    }
}

// SAFETY: top, range and guard are those of the mapping that it owns.
unsafe impl StackMemory for Stack {
    fn top(&self) -> *mut u8 {
        ptr::with_exposed_provenance_mut(self.bounds().end)
    }

    fn range(&self) -> Range<usize> {
        self.bounds()
    }

    fn guard_range(&self) -> Range<*mut u8> {
        let base = self.mapping.as_ref().map_or(0, |it| it.base);
        let [from, to] = [base, self.bounds().start].map(ptr::with_exposed_provenance_mut);
        from..to
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let kept = self.mapping.take().filter(|it| it.forget(KEPT_BYTES));
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        if shelf.is_none() {
            *shelf = kept;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 1 << 20;

    #[test]
    fn the_stack_that_was_left_is_the_next_ones_and_two_at_once_are_two() {
        let stacks = Stacks::default();
        let first = stacks.new_stack(SIZE, false).unwrap();
        let second = stacks.new_stack(SIZE, false).unwrap();
        let tops = [first.top(), second.top()];
        assert_ne!(tops[0], tops[1]);
        drop(first);
        drop(second);
        assert_eq!(stacks.new_stack(SIZE, false).unwrap().top(), tops[0]);
        let larger = stacks.new_stack(2 * SIZE, false).unwrap();
        assert_eq!(larger.range().len(), 2 * SIZE);
        assert_eq!(larger.guard_range().end.addr(), larger.range().start);
    }

    #[test]
    fn what_lay_deep_is_gone_and_where_it_is_asked_for_all_of_it() {
        let stacks = Stacks::default();
        let stack = stacks.new_stack(SIZE, false).unwrap();
        let (deep, high) = (stack.range().start, stack.range().end - 1);
        let byte = |at| ptr::with_exposed_provenance_mut::<u8>(at);
        // SAFETY: both bytes are in the stack's range, which is mapped and used by nobody.
        unsafe {
            byte(deep).write(7);
            byte(high).write(7);
        }
        drop(stack);
        let again = stacks.new_stack(SIZE, false).unwrap();
        // SAFETY: as above.
        assert_eq!(unsafe { (byte(deep).read(), byte(high).read()) }, (0, 7));
        drop(again);
        let _zeroed = stacks.new_stack(SIZE, true).unwrap();
        // SAFETY: as above.
        assert_eq!(unsafe { byte(high).read() }, 0);
    }
}
