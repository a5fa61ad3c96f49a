//! Who the process is: a user that nothing else on the machine is, without
//! capabilities and without a way to get any.

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Gid, Uid, set_dumpable_behavior};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_capabilities_secure_bits,
    set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};
use serde::{Deserialize, Serialize};

use crate::layer::Layer;
use crate::ledger::{ArmError, Ledger, Named as _, Refusal};

/// First of the numbers that slots have as users and groups. Between what
/// distributions, systemd and container tools give out and what the kernel keeps
/// for itself nobody has numbers.
const SLOTS_FROM: u32 = 1_900_000_000;
/// More capabilities than any kernel has: they are bits of 64.
const CAPABILITIES_MAX: u32 = 64;

/// A user and group of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The user.
    pub uid: u32,
    /// The only group.
    pub gid: u32,
}

impl Identity {
    /// That of a slot, of which no two that live may have the same number.
    pub const fn of_slot(number: u16) -> Self {
        let id = SLOTS_FROM + number as u32;
        Self { uid: id, gid: id }
    }
}

/// Becomes `identity` for good, and gives up every right that root had.
pub(crate) fn change(ledger: &mut Ledger, identity: Option<Identity>) -> Result<(), ArmError> {
    let capabilities = ledger.wants(Layer::Capabilities);
    // While there is still the right to give up rights.
    let locked = if capabilities { lock() } else { Ok(()) };
    ledger.hold(Layer::Identity, || become_user(identity))?;
    ledger.hold(Layer::Capabilities, || {
        drop_all()?;
        // Without any capability left, and no new ones to be had, what could not
        // be locked cannot be used either.
        locked.or_else(|why| match why {
            Refusal::Kernel {
                errno: Errno::PERM, ..
            } => Ok(()),
            other => Err(other),
        })
    })
}

fn become_user(identity: Option<Identity>) -> Result<(), Refusal> {
    let Some(Identity { uid, gid }) = identity else {
        return Err(Refusal::Without("only root can give a user of its own"));
    };
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_thread_groups(&[]).named("leave all groups")?;
    set_thread_res_gid(gid, gid, gid).named("change the group")?;
    set_thread_res_uid(uid, uid, uid).named("change the user")
}

/// Closes the ways by which a process gets capabilities.
fn lock() -> Result<(), Refusal> {
    for capability in (0..CAPABILITIES_MAX).map(|bit| CapabilitySet::from_bits_retain(1 << bit)) {
        match remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            // Past the last one that this kernel knows.
            Err(Errno::INVAL) => break,
            Err(errno) => return Err(errno).named("bound the capabilities"),
        }
    }
    let bits = CapabilitiesSecureBits::NO_ROOT
        | CapabilitiesSecureBits::NO_ROOT_LOCKED
        | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
        | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
    set_capabilities_secure_bits(bits).named("lock the capabilities")
}

fn drop_all() -> Result<(), Refusal> {
    clear_ambient_capability_set().named("drop ambient capabilities")?;
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, none).named("drop all capabilities")
}

/// What is left to take from a process that is nobody.
pub(crate) fn seal(ledger: &mut Ledger) -> Result<(), ArmError> {
    ledger.hold(Layer::Undumpable, || {
        set_dumpable_behavior(DumpableBehavior::NotDumpable).named("be undumpable")
    })?;
    ledger.hold(Layer::NoNewPrivileges, || {
        set_no_new_privs(true).named("gain no privileges")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_have_numbers_of_their_own() {
        let last = Identity::of_slot(u16::MAX);
        assert_ne!(Identity::of_slot(0), Identity::of_slot(1));
        assert_eq!(last.uid, last.gid);
        // The kernel means "unchanged" by the last one.
        assert!(last.uid < i32::MAX.unsigned_abs());
    }
}
