//! The two filters of system calls. Both are lists of what is allowed: a call
//! that a future kernel brings is denied without anybody having heard of it.
//!
//! What is not allowed is never run. The kernel raises `SIGSYS` instead, whose
//! handler ([`trap`](crate::trap)) tells which call it was and ends the process;
//! where the signal is blocked or its handler gone, the kernel ends it. A call by
//! the conventions of another architecture is the end at once.

mod calls;
mod program;

use rustix::process::getpid;
use seccompiler::{
    Error, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule, apply_filter,
};
use syscalls::Sysno;

use crate::ledger::Refusal;
use program::{Rules, compile};

/// From berth until the job is there.
pub(crate) fn install_wide() -> Result<(), Refusal> {
    install(wide()?)
}

/// While the guest runs; if there is `more` to come, what that takes stays.
pub(crate) fn install_small(more: bool) -> Result<(), Refusal> {
    let mut rules = small()?;
    if more {
        rules.extend(calls::MORE.map(|call| (number(call), Vec::new())));
    }
    install(rules)
}

fn install(rules: Rules) -> Result<(), Refusal> {
    Ok(apply_filter(&compile(&rules))?)
}

/// What a guest needs of the kernel through the engine and WASI.
fn small() -> Result<Rules, Error> {
    let mut rules = guest()?;
    let memory = || only(2, SeccompCmpOp::MaskedEq(exec()), 0);
    rules.insert(number(Sysno::mmap), vec![memory()?]);
    rules.insert(number(Sysno::mprotect), vec![memory()?]);
    let other = only(0, SeccompCmpOp::Ne, signed(libc::SIGSYS))?;
    rules.insert(number(Sysno::rt_sigaction), vec![other]);
    Ok(rules)
}

/// What a guest needs, and what its arrival takes: descriptors, the artifact's
/// machine code, the second stage of this jail.
fn wide() -> Result<Rules, Error> {
    let mut rules = guest()?;
    rules.extend(calls::ARRIVAL.map(|call| (number(call), Vec::new())));
    let own = || only(0, SeccompCmpOp::Eq, 0);
    rules.insert(number(Sysno::prlimit64), vec![own()?]);
    let options = calls::PRCTL.map(|option| only(0, SeccompCmpOp::Eq, option));
    rules.insert(
        number(Sysno::prctl),
        options.into_iter().collect::<Result<_, _>>()?,
    );
    // A filter that asks somebody else would hold up this process.
    let listener = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    let install = SeccompRule::new(vec![
        condition(
            0,
            SeccompCmpOp::Eq,
            u64::from(libc::SECCOMP_SET_MODE_FILTER),
        )?,
        condition(1, SeccompCmpOp::MaskedEq(listener), 0)?,
    ]);
    rules.insert(
        number(Sysno::seccomp),
        vec![install.map_err(Error::Backend)?],
    );
    Ok(rules)
}

/// The part of both that is the same.
fn guest() -> Result<Rules, Error> {
    let mut rules: Rules = calls::GUEST
        .into_iter()
        .chain(calls::GUEST_OF_ARCH.iter().copied())
        .map(|call| (number(call), Vec::new()))
        .collect();
    // Copy it, look at and set its flags; not whom it is to signal.
    let flags = only(1, SeccompCmpOp::Le, signed(libc::F_SETFL))?;
    let copy = only(1, SeccompCmpOp::Eq, signed(libc::F_DUPFD_CLOEXEC))?;
    rules.insert(number(Sysno::fcntl), vec![flags, copy]);
    // Whether a stream is a terminal; none is.
    let terminal = only(1, SeccompCmpOp::Eq, libc::TCGETS)?;
    rules.insert(number(Sysno::ioctl), vec![terminal]);
    // A process that aborts signals itself.
    let own = only(0, SeccompCmpOp::Eq, signed(getpid().as_raw_nonzero().get()))?;
    rules.insert(number(Sysno::tgkill), vec![own]);
    Ok(rules)
}

fn number(call: Sysno) -> u32 {
    call.id().cast_unsigned()
}

fn exec() -> u64 {
    signed(libc::PROT_EXEC)
}

/// A number as it stands in a register's lower half.
fn signed(number: i32) -> u64 {
    u64::from(number.cast_unsigned())
}

/// The form in which one argument is so.
fn only(argument: u8, is: SeccompCmpOp, value: u64) -> Result<SeccompRule, Error> {
    SeccompRule::new(vec![condition(argument, is, value)?]).map_err(Error::Backend)
}

fn condition(argument: u8, is: SeccompCmpOp, value: u64) -> Result<SeccompCondition, Error> {
    // The kernel looks at the lower half of all these arguments too.
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, is, value).map_err(Error::Backend)
}

/// The name of the call of this number, in whichever way it was asked for.
pub fn call_name(number: u32) -> String {
    let known = usize::try_from(number).ok().and_then(Sysno::new);
    known.map_or_else(|| format!("number {number}"), |call| call.name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guest_may_do_may_be_done_before() {
        let (mut small, wide) = (small().unwrap(), wide().unwrap());
        small.extend(calls::MORE.map(|call| (number(call), Vec::new())));
        let beyond = [Sysno::mmap, Sysno::mprotect, Sysno::rt_sigaction].map(number);
        for (call, forms) in small {
            let before = wide.get(&call).unwrap();
            // Wider in these three only, where any form is allowed.
            assert!(*before == forms || (beyond.contains(&call) && before.is_empty()));
        }
    }

    #[test]
    fn a_call_has_a_name_or_at_least_a_number() {
        assert_eq!(call_name(Sysno::ptrace.id().cast_unsigned()), "ptrace");
        assert_eq!(call_name(1_000_000), "number 1000000");
    }
}
