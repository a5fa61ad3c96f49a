//! The jails of a keeper's children: as strong as a trial at its start has shown
//! that they can be, and each with a user of its own where that can be had.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;

use rustix::fs::{AtFlags, Gid, Uid, chownat};
use stint_api::outcome::Sandbox;
use stint_jail::{Identity, Layer, LayerSet, Layers, Missing, Refusal, Source, Tree};
use stint_sandbox::{Access, Dir};

use super::limits::chain;
use crate::jail::{Jail, run_trial};

/// Numbers of slots; the last is the trial's.
const NUMBERS: u16 = u16::MAX;

/// How children are jailed here.
#[derive(Debug)]
pub(crate) struct Jails {
    layers: Layers,
    numbers: Numbers,
}

/// Numbers of slots that are in use.
#[derive(Clone, Debug, Default)]
struct Numbers(Rc<RefCell<BTreeSet<u16>>>);

/// A number that no other child has for as long as this one lives.
#[derive(Debug)]
struct Number {
    number: u16,
    of: Numbers,
}

impl Drop for Number {
    fn drop(&mut self) {
        self.of.0.borrow_mut().remove(&self.number);
    }
}

/// Who a child is, until it is reaped.
#[derive(Debug, Default)]
pub(crate) struct Who(Option<Number>);

impl Jails {
    /// Holds the trial, with the binary `exe`.
    pub(crate) fn open(exe: &Path) -> Self {
        match run_trial(exe) {
            Ok(layers) => Self {
                layers,
                numbers: Numbers::default(),
            },
            Err(error) => {
                let why = chain(&error);
                tracing::error!(why, "no jail");
                Self::none(&why)
            }
        }
    }

    /// Children that are asked for no layer.
    pub(crate) fn none(why: &str) -> Self {
        let missing = |layer| Missing {
            layer,
            why: why.to_owned(),
        };
        Self {
            layers: Layers {
                held: LayerSet::NONE,
                missing: Layer::ALL.map(missing).into(),
            },
            numbers: Numbers::default(),
        }
    }

    /// Which layers a child has.
    pub(crate) fn layers(&self) -> &Layers {
        &self.layers
    }

    /// In a word.
    pub(crate) fn sandbox(&self) -> Sandbox {
        if LayerSet::NEEDED.but_not(self.layers.held).is_empty() {
            Sandbox::Whole
        } else {
            Sandbox::Weaker
        }
    }

    /// Somebody whom nobody else is.
    pub(crate) fn somebody(&self) -> Who {
        if !self.layers.held.contains(Layer::Identity) {
            return Who::default();
        }
        let mut used = self.numbers.0.borrow_mut();
        let free = (0..NUMBERS).find(|number| used.insert(*number));
        Who(free.map(|number| Number {
            number,
            of: self.numbers.clone(),
        }))
    }

    /// The jail of a child that is `who`.
    pub(crate) fn of(&self, who: &Who) -> Jail {
        Jail {
            need: self.layers.held,
            identity: who.identity(),
        }
    }

    /// A directory of a job, for a child that is `who`: as a mount of its own where
    /// that can be had, and belonging to it if it is to write there.
    pub(crate) fn bring(&self, dir: &Dir, who: &Who) -> io::Result<OwnedFd> {
        let source = Source {
            path: &dir.host,
            access: match dir.access {
                Access::Read => stint_jail::Access::Read,
                Access::Write => stint_jail::Access::Write,
            },
        };
        let tree = if self.layers.held.contains(Layer::DetachedTrees) {
            Tree::detached(source).map_err(io_error)?
        } else {
            Tree::plain(source)?
        };
        if let (Access::Write, Some(Identity { uid, gid })) = (dir.access, who.identity()) {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            chownat(&tree.dir, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?;
        }
        Ok(tree.dir)
    }
}

impl Who {
    fn identity(&self) -> Option<Identity> {
        self.0.as_ref().map(|of| Identity::of_slot(of.number))
    }
}

fn io_error(refusal: Refusal) -> io::Error {
    match refusal {
        Refusal::Kernel { errno, .. } => errno.into(),
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jails() -> Jails {
        Jails {
            layers: Layers {
                held: LayerSet::ALL,
                missing: Vec::new(),
            },
            numbers: Numbers::default(),
        }
    }

    #[test]
    fn no_two_children_that_live_are_the_same_user() {
        let jails = jails();
        let (first, second) = (jails.somebody(), jails.somebody());
        let before = jails.of(&first).identity;
        assert!(before.is_some());
        assert_ne!(before, jails.of(&second).identity);
        drop(first);
        assert_eq!(jails.of(&jails.somebody()).identity, before);
    }

    #[test]
    fn without_the_right_to_nobody_is_somebody_else() {
        let mut jails = jails();
        jails.layers.held = LayerSet::ALL.without(Layer::Identity);
        assert_eq!(jails.of(&jails.somebody()).identity, None);
    }
}
