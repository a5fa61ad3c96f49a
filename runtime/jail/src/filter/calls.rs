//! Which system calls are needed, and for what.

use syscalls::Sysno;

/// What a guest needs through the engine and WASI, on every architecture. Opening
/// by path is `openat2`, which the engine asks to stay beneath a directory.
pub(super) const GUEST: [Sysno; 49] = [
    // Files that are open.
    Sysno::read,
    Sysno::write,
    Sysno::readv,
    Sysno::writev,
    Sysno::pread64,
    Sysno::pwrite64,
    Sysno::preadv,
    Sysno::pwritev,
    // With a flag that says so, it is how a guest appends.
    Sysno::pwritev2,
    Sysno::lseek,
    Sysno::close,
    Sysno::fstat,
    Sysno::statx,
    Sysno::ftruncate,
    Sysno::fallocate,
    Sysno::fadvise64,
    Sysno::fsync,
    Sysno::fdatasync,
    Sysno::getdents64,
    // Names in directories.
    Sysno::openat2,
    Sysno::mkdirat,
    Sysno::unlinkat,
    Sysno::renameat2,
    Sysno::linkat,
    Sysno::symlinkat,
    Sysno::readlinkat,
    Sysno::utimensat,
    // Memory.
    Sysno::brk,
    Sysno::munmap,
    Sysno::mremap,
    Sysno::madvise,
    // Time, chance, waiting.
    Sysno::clock_gettime,
    Sysno::clock_getres,
    Sysno::clock_nanosleep,
    Sysno::nanosleep,
    Sysno::getrandom,
    Sysno::sched_yield,
    Sysno::futex,
    Sysno::ppoll,
    Sysno::epoll_pwait,
    Sysno::restart_syscall,
    // Traps of the guest are signals, handled on a stack of their own.
    Sysno::rt_sigprocmask,
    Sysno::rt_sigreturn,
    Sysno::sigaltstack,
    // Itself.
    Sysno::getpid,
    Sysno::gettid,
    Sysno::getcpu,
    Sysno::exit,
    Sysno::exit_group,
];

/// Calls that newer architectures have left out, or call otherwise.
#[cfg(target_arch = "x86_64")]
pub(super) const GUEST_OF_ARCH: [Sysno; 4] = [
    Sysno::newfstatat,
    Sysno::renameat,
    Sysno::poll,
    Sysno::epoll_wait,
];
/// Calls that newer architectures have left out, or call otherwise.
#[cfg(target_arch = "aarch64")]
pub(super) const GUEST_OF_ARCH: [Sysno; 2] = [Sysno::fstatat, Sysno::renameat];

/// What a job's arrival takes on top, in any form.
pub(super) const ARRIVAL: [Sysno; 31] = [
    // Its descriptors come over a socket, and its directories are entered.
    Sysno::recvmsg,
    Sysno::recvfrom,
    Sysno::fchdir,
    Sysno::chdir,
    Sysno::openat,
    Sysno::dup,
    Sysno::dup3,
    Sysno::close_range,
    // Its artifact is machine code.
    Sysno::mmap,
    Sysno::mprotect,
    Sysno::memfd_create,
    // Its engine gets ready: handlers, timers, what the machine has.
    Sysno::rt_sigaction,
    Sysno::eventfd2,
    Sysno::epoll_create1,
    Sysno::epoll_ctl,
    Sysno::pipe2,
    Sysno::sched_getaffinity,
    Sysno::sysinfo,
    Sysno::uname,
    Sysno::getcwd,
    Sysno::membarrier,
    // It may look at itself.
    Sysno::getppid,
    Sysno::getuid,
    Sysno::geteuid,
    Sysno::getgid,
    Sysno::getegid,
    Sysno::getrlimit,
    // Stage two; all of it takes rights away.
    Sysno::setrlimit,
    Sysno::landlock_create_ruleset,
    Sysno::landlock_add_rule,
    Sysno::landlock_restrict_self,
];

/// What it takes to be told of another attempt: of what is sent, and no more. The
/// directories that come are entered to be opened.
pub(super) const MORE: [Sysno; 3] = [Sysno::recvmsg, Sysno::fchdir, Sysno::chdir];

/// What a process may change about itself before the guest runs.
pub(super) const PRCTL: [u64; 5] = [
    libc::PR_SET_NO_NEW_PRIVS.cast_unsigned() as u64,
    libc::PR_GET_NO_NEW_PRIVS.cast_unsigned() as u64,
    libc::PR_SET_MDWE.cast_unsigned() as u64,
    libc::PR_GET_MDWE.cast_unsigned() as u64,
    libc::PR_SET_NAME.cast_unsigned() as u64,
];
