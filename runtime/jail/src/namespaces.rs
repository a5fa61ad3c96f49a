//! Namespaces of the process's own: nothing in them but what is put there.
//!
//! Root makes them as it is. Another user needs a user namespace around them, in
//! which it may do so; many machines forbid even that.
//!
//! There is no process namespace, on purpose. A process that is the first of one
//! ignores its own fatal signals, by which compilers tell of their limits, and it
//! would cost as much as the others of which there is need. That other processes
//! cannot be signalled or traced is held by identity, filters and Landlock; and
//! without `/proc` they cannot be seen.

use std::fs;
use std::io;

use rustix::io::Errno;
use rustix::process::{getegid, geteuid};
use rustix::system::sethostname;
use rustix::thread::UnshareFlags;

use crate::layer::{Layer, LayerSet};
use crate::ledger::{ArmError, Ledger, Named as _, Refusal};
use crate::raw;

/// The machine's name inside.
const HOST_NAME: &[u8] = b"stint";

/// Each namespace and its flag.
const KINDS: [(Layer, UnshareFlags); 5] = [
    (Layer::MountNamespace, UnshareFlags::NEWNS),
    (Layer::NetworkNamespace, UnshareFlags::NEWNET),
    (Layer::IpcNamespace, UnshareFlags::NEWIPC),
    (Layer::UtsNamespace, UnshareFlags::NEWUTS),
    (Layer::CgroupNamespace, UnshareFlags::NEWCGROUP),
];

/// Leaves the machine's network for one that holds nothing, and says whether that
/// could be had: for a process that forks those to be berthed, who are born with it
/// then ([`Berth::inherited`](crate::Berth::inherited)). It is the one namespace that
/// takes the kernel long to make, and longer to take down. Nobody in it can put
/// anything there: that takes a right over it that a berthed process has given up.
pub fn leave_network() -> LayerSet {
    match raw::unshare(UnshareFlags::NEWNET) {
        Ok(()) => LayerSet::NONE.with(Layer::NetworkNamespace),
        // Who is not root needs a user namespace for it, in which each is to be on its own.
        Err(_) => LayerSet::NONE,
    }
}

/// Enters those of the namespaces that are wanted. The mount namespace is not in
/// force by that: it holds copies of all mounts until the root is changed.
pub(crate) fn enter(ledger: &mut Ledger) -> Result<Entered, ArmError> {
    let wanted = KINDS
        .into_iter()
        .filter(|(layer, _)| ledger.wants(*layer))
        .fold(UnshareFlags::empty(), |all, (_, flag)| all | flag);
    let mut at_once = raw::unshare(wanted);
    if at_once == Err(Errno::PERM) {
        let oneself = (geteuid().as_raw(), getegid().as_raw());
        at_once = raw::unshare(wanted | UnshareFlags::NEWUSER);
        if at_once.is_ok() {
            stay(oneself).map_err(ArmError::Step)?;
        }
    }
    // All at once is one call; one by one tells which of them is not to be had.
    let enter = |flag| match at_once {
        Ok(()) => Ok(()),
        Err(_) => raw::unshare(flag).named("unshare"),
    };
    let mut entered = Entered { mounts: false };
    for (layer, flag) in KINDS.into_iter().filter(|(_, flag)| wanted.contains(*flag)) {
        match enter(flag) {
            Err(why) => ledger.miss(layer, why)?,
            Ok(()) if layer == Layer::MountNamespace => entered.mounts = true,
            Ok(()) if layer == Layer::UtsNamespace => {
                ledger.hold(layer, || sethostname(HOST_NAME).named("name the machine"))?;
            }
            Ok(()) => ledger.hold(layer, || Ok(()))?,
        }
    }
    Ok(entered)
}

/// What became of the mount namespace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entered {
    /// Whether this process has one of its own, whose mounts it may change.
    pub(crate) mounts: bool,
}

/// In a new user namespace everybody is nobody, until it is said who one was.
fn stay((uid, gid): (u32, u32)) -> Result<(), Refusal> {
    // A group can be mapped only once no other can be given up any more.
    write("/proc/self/setgroups", "deny")?;
    write("/proc/self/uid_map", &format!("{uid} {uid} 1"))?;
    write("/proc/self/gid_map", &format!("{gid} {gid} 1"))
}

fn write(path: &'static str, text: &str) -> Result<(), Refusal> {
    let errno = |error: io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    fs::write(path, text).map_err(errno).named(path)
}
