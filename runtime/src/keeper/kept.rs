//! Workers that have run an attempt and are kept a moment for the next of the same
//! grant: the same job's module, mapped and linked, in a process that nobody else's
//! attempts have seen or ever will.

use std::collections::BTreeMap;

use stint_api::id::GrantId;
use stint_api::job::Isolation;
use stint_api::kit::Entry;
use stint_api::quantity::Resources;
use stint_api::time::Span;
use stint_sandbox::Profile;

use super::clock::BootTime;
use super::process::Process;
use super::protocol::StartOrder;
use super::watch::Serial;

/// How long one is kept. The node starts the next attempt as soon as it has looked
/// after what the last one left.
const FOR: Span = Span::from_secs(2);
/// Most that are kept: more grants than this on one node do not wait for their next
/// attempt at the same moment.
const KEPT_MAX: usize = 64;

/// What an attempt must have in common with the one before to be given its worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sharing {
    grant: GrantId,
    limits: Resources,
    artifact: [u8; 32],
    profile: Profile,
    entry: Entry,
}

impl Sharing {
    /// With whom the attempt of `order` may share a worker; none if with nobody.
    pub(crate) fn of(order: &StartOrder) -> Option<Self> {
        match order.grant.plan.isolation {
            Isolation::Task => None,
            Isolation::Job => Some(Self {
                grant: order.grant.id.clone(),
                limits: order.limits,
                artifact: order.plan.artifact_sha256,
                profile: order.plan.profile,
                entry: order.plan.entry.clone(),
            }),
        }
    }
}

/// A worker that is kept.
#[derive(Debug)]
struct Held {
    process: Process,
    sharing: Sharing,
    until: BootTime,
}

/// Workers that are kept.
#[derive(Debug, Default)]
pub(crate) struct Kept(BTreeMap<Serial, Held>);

impl Kept {
    /// Keeps one; whoever has to go for it.
    pub(crate) fn keep(
        &mut self,
        process: Process,
        sharing: Sharing,
        now: BootTime,
    ) -> Option<Process> {
        let held = Held {
            process,
            sharing,
            until: now.after(FOR),
        };
        self.0.insert(held.process.watched.serial, held);
        if self.0.len() <= KEPT_MAX {
            return None;
        }
        self.0.pop_first().map(|(_, held)| held.process)
    }

    /// The worker that an attempt may share.
    pub(crate) fn take(&mut self, sharing: &Sharing) -> Option<Process> {
        let same = self.0.iter().find(|(_, held)| held.sharing == *sharing);
        let serial = *same?.0;
        self.remove(serial)
    }

    /// The one with that serial, which has nothing to say and is of no more use.
    pub(crate) fn remove(&mut self, serial: Serial) -> Option<Process> {
        self.0.remove(&serial).map(|held| held.process)
    }

    /// Whether one has that serial.
    pub(crate) fn has(&self, serial: Serial) -> bool {
        self.0.contains_key(&serial)
    }

    /// When the first is to go.
    pub(crate) fn wake(&self) -> Option<BootTime> {
        self.0.values().map(|held| held.until).min()
    }

    /// Those that were kept long enough.
    pub(crate) fn expired(&mut self, now: BootTime) -> Vec<Process> {
        let expired = self.0.extract_if(.., |_, held| now >= held.until);
        expired.map(|(_, held)| held.process).collect()
    }

    /// All of them.
    pub(crate) fn drain(&mut self) -> Vec<Process> {
        let all = std::mem::take(&mut self.0);
        all.into_values().map(|held| held.process).collect()
    }

    /// Everybody who is kept.
    pub(crate) fn processes(&self) -> impl Iterator<Item = &Process> {
        self.0.values().map(|held| &held.process)
    }
}
