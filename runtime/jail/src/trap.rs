//! What happens when the filter stops a call: nearly always the process says
//! which one it was and ends.
//!
//! Two calls are answered instead, because honest code makes them. `openat` is
//! how a directory that is open is opened once more to be listed; it is made as
//! `openat2` that stays beneath that directory, so that no way of opening a file
//! exists that does not. `open` finds nothing in an empty root, and is told so.
//!
//! Everything here runs in a signal handler of a process that is perhaps no
//! longer ours. It tells on itself as long as it can; that a stopped call was not
//! run, and that the process ends, does not depend on it.

#![allow(
    unsafe_code,
    reason = "a signal handler that reads and writes the registers of a stopped call"
)]

use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};
use std::sync::OnceLock;

use rustix::io::Errno;
use syscalls::{Sysno, raw_syscall};

use crate::ledger::{Named as _, Refusal};

/// Exit code of a process whose call was stopped: 128 and the signal's number.
pub const EXIT_VIOLATION: u8 = 159;
/// Digits of the largest number of a call.
const DIGITS: usize = 10;
/// Longest confession: it is put together on the stack of a handler.
const CONFESSION_BYTES_MAX: usize = 256;
/// What the kernel writes into a signal that the filter raised.
const SYS_SECCOMP: i32 = 1;

/// What a process writes before it ends for a call that it may not make: bytes of
/// the caller's, with the call's number in their midst.
#[derive(Clone, Debug)]
pub struct Confession {
    to: RawFd,
    bytes: Vec<u8>,
    number_at: usize,
}

impl Confession {
    /// To `to`, `bytes`, in which the number of the call replaces the digits of
    /// `u32::MAX`, after as many spaces as make it as long. Nothing if that
    /// number is not there, or if it is too long.
    pub fn new(to: BorrowedFd<'static>, bytes: Vec<u8>) -> Option<Self> {
        let digits = u32::MAX.to_string();
        let number_at = bytes
            .windows(DIGITS)
            .position(|window| window == digits.as_bytes())?;
        (bytes.len() <= CONFESSION_BYTES_MAX).then_some(Self {
            to: to.as_raw_fd(),
            bytes,
            number_at,
        })
    }

    /// Async-signal-safe.
    fn say(&self, mut number: u32) {
        let mut bytes = [0; CONFESSION_BYTES_MAX];
        let (Some(said), Some(digits)) = (
            bytes.get_mut(..self.bytes.len()),
            self.number_at.checked_add(DIGITS),
        ) else {
            return;
        };
        said.copy_from_slice(&self.bytes);
        let Some(place) = said.get_mut(self.number_at..digits) else {
            return;
        };
        place.fill(b' ');
        for digit in place.iter_mut().rev() {
            *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
            if number == 0 {
                break;
            }
        }
        // SAFETY: the bytes are on this stack. If the descriptor is no longer what
        // it was, the process is not ours any more and ends with the next call.
        unsafe { raw_syscall!(Sysno::write, self.to, said.as_ptr(), said.len()) };
    }
}

/// Where the handler finds what to say. A process is jailed once.
static CONFESSION: OnceLock<Confession> = OnceLock::new();

/// From now on this process ends with `confession` when a filter stops a call.
pub(crate) fn install(confession: Option<Confession>) -> Result<(), Refusal> {
    if let Some(confession) = confession {
        CONFESSION.get_or_init(|| confession);
    }
    let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) = on_stopped;
    // SAFETY: all bytes zero is a valid `sigaction`: no handler, no flags, no mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as libc::sighandler_t;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the action is whole and outlives the call; the handler has the
    // signature that `SA_SIGINFO` asks for and does only what is safe in one:
    // system calls, an atomic load, arithmetic on its own stack.
    let done = unsafe { libc::sigaction(libc::SIGSYS, &raw const action, std::ptr::null_mut()) };
    if done == 0 {
        Ok(())
    } else {
        Err(Errno::INVAL).named("handle stopped calls")
    }
}

/// From now on a file that grows past its limit is an error of the write, and not
/// the end of the process.
pub(crate) fn ignore_file_size_signal() -> Result<(), Refusal> {
    // SAFETY: to ignore a signal runs nothing.
    let before = unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    if before == libc::SIG_ERR {
        Err(Errno::INVAL).named("ignore the file size signal")
    } else {
        Ok(())
    }
}

extern "C" fn on_stopped(_: i32, signal: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel hands a handler with `SA_SIGINFO` the signal and the
    // registers of the thread it interrupted, both writable and on this stack.
    let (signal, context) = unsafe { (&*signal, &mut *context.cast::<libc::ucontext_t>()) };
    if signal.si_code != SYS_SECCOMP {
        // Somebody sent it, who could as well have sent a signal that kills.
        return;
    }
    let mut stopped = Stopped { context };
    match usize::try_from(stopped.number()).ok().and_then(Sysno::new) {
        Some(Sysno::openat) => {
            let [dir, path, flags, mode] = stopped.arguments();
            stopped.answer(open_beneath(dir, path, flags, mode));
        }
        #[cfg(target_arch = "x86_64")]
        Some(Sysno::open) => stopped.answer(DENIED),
        _ => end(stopped.number()),
    }
}

fn end(number: u32) -> ! {
    if let Some(confession) = CONFESSION.get() {
        confession.say(number);
    }
    loop {
        // SAFETY: this ends the process; it cannot fail.
        unsafe { raw_syscall!(Sysno::exit_group, EXIT_VIOLATION) };
    }
}

/// `EACCES`, as the kernel returns an error.
#[cfg(target_arch = "x86_64")]
const DENIED: usize = usize::MAX - libc::EACCES as usize + 1;

/// All that can be asked of a descriptor that is a place and no open file.
const PLACE_FLAGS: i32 = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;

/// `openat` by the other call, which stays beneath the directory. What the kernel returns.
fn open_beneath(dir: usize, path: usize, flags: usize, mode: usize) -> usize {
    let mut flags = flags as u64 & u64::from(u32::MAX);
    if flags & u64::from(libc::O_PATH.cast_unsigned()) != 0 {
        // What means nothing for a mere place is ignored there, and refused here.
        flags &= u64::from(PLACE_FLAGS.cast_unsigned());
    }
    let creates =
        libc::O_CREAT.cast_unsigned() | (libc::O_TMPFILE & !libc::O_DIRECTORY).cast_unsigned();
    // The other call takes no mode where nothing is made.
    let mode = if flags & u64::from(creates) == 0 {
        0
    } else {
        mode as u64 & 0o7777
    };
    let how = OpenHow {
        flags,
        mode,
        resolve: libc::RESOLVE_BENEATH | libc::RESOLVE_NO_MAGICLINKS,
    };
    // SAFETY: `how` is as the kernel lays it out and outlives the call. The path
    // is the address that the stopped call had; the kernel checks it.
    unsafe {
        raw_syscall!(
            Sysno::openat2,
            dir,
            path,
            &raw const how,
            size_of::<OpenHow>()
        )
    }
}

/// As the kernel lays it out for `openat2`.
#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

/// A call that was stopped, and the registers it was made with.
struct Stopped<'a> {
    context: &'a mut libc::ucontext_t,
}

#[cfg(target_arch = "x86_64")]
impl Stopped<'_> {
    fn register(&self, name: libc::c_int) -> usize {
        let index = usize::try_from(name).unwrap_or_default();
        let value = self.context.uc_mcontext.gregs[index].cast_unsigned();
        usize::try_from(value).unwrap_or(usize::MAX)
    }

    fn number(&self) -> u32 {
        u32::try_from(self.register(libc::REG_RAX) & 0xffff_ffff).unwrap_or(u32::MAX)
    }

    fn arguments(&self) -> [usize; 4] {
        [libc::REG_RDI, libc::REG_RSI, libc::REG_RDX, libc::REG_R10].map(|name| self.register(name))
    }

    fn answer(&mut self, value: usize) {
        let index = usize::try_from(libc::REG_RAX).unwrap_or_default();
        self.context.uc_mcontext.gregs[index] = (value as u64).cast_signed();
    }
}

#[cfg(target_arch = "aarch64")]
impl Stopped<'_> {
    /// The register that holds the number of a call.
    const NUMBER: usize = 8;

    fn number(&self) -> u32 {
        u32::try_from(self.context.uc_mcontext.regs[Self::NUMBER]).unwrap_or(u32::MAX)
    }

    fn arguments(&self) -> [usize; 4] {
        [0, 1, 2, 3].map(|index| self.context.uc_mcontext.regs[index] as usize)
    }

    fn answer(&mut self, value: usize) {
        self.context.uc_mcontext.regs[0] = value as u64;
    }
}
