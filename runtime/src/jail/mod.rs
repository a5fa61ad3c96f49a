//! How a child of the keeper is jailed: the keeper decides by what a trial at its
//! start has shown of this machine, the child does it to itself in two stages.

mod trial;

use std::ffi::OsString;
use std::io;
use std::os::fd::BorrowedFd;

use rustix::process::Pid;
use rustix::stdio::stdin;
use serde::{Deserialize, Serialize};
use stint_jail::{
    ArmError, Armed, Assignment, Berth, Berthed, Confession, Identity, Layer, LayerSet, Tree,
};
use stint_sandbox::{Access, Files, Guest};

use crate::child::{ChildError, DESCRIPTORS_MAX};
use crate::frame::encode;
use crate::keeper::wire::Speech;

pub(crate) use trial::{main as trial_main, run as run_trial};

/// What a keeper says to a child about its jail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Jail {
    /// The layers that it must not run without: those that the trial had. So a
    /// jail is never weaker than it is said to be, however short the machine is.
    pub(crate) need: LayerSet,
    /// Who it is to be; none where a keeper cannot give anybody away.
    pub(crate) identity: Option<Identity>,
}

impl Jail {
    /// As an argument of a command line.
    pub(crate) fn to_argument(&self) -> String {
        // Two fields of numbers and names always have a form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// From an argument of a command line.
    pub(crate) fn of_argument(argument: Option<OsString>) -> Result<Self, ChildError> {
        let text = argument.ok_or(ChildError::Arguments)?;
        serde_json::from_slice(text.as_encoded_bytes()).map_err(|_| ChildError::Arguments)
    }

    /// Stage one, for a child of `keeper` that was born with the layers `inherited` and
    /// whose other open files are `keep`. When
    /// it makes a call that it may not, it says `violation` of the number
    /// `u32::MAX`, with the number of the call in its place.
    ///
    /// # Errors
    /// The child must end.
    pub(crate) fn enter<T: Serialize>(
        &self,
        keeper: Pid,
        inherited: LayerSet,
        keep: &[BorrowedFd<'_>],
        speech: Speech,
        violation: &T,
    ) -> Result<Cell, ArmError> {
        let frame = encode(speech.channel, speech.in_bytes_max, violation).ok();
        let berth = Berth {
            want: LayerSet::ALL,
            need: self.need,
            inherited,
            identity: self.identity,
            parent: Some(keeper),
            sources: &[],
            keep,
            descriptors_max: DESCRIPTORS_MAX,
            confession: frame.and_then(|frame| Confession::new(stdin(), frame)),
        };
        let detached = self.need.contains(Layer::DetachedTrees);
        let berthed = berth.enter()?;
        Ok(Cell::Open { berthed, detached })
    }
}

/// What a trial comes to, for people.
pub(crate) fn probe() -> String {
    let exe = std::path::Path::new(crate::keeper::OWN_BINARY);
    match run_trial(exe) {
        Ok(layers) => layers.to_string(),
        Err(error) => format!("none: {error}"),
    }
}

/// Where a child is.
#[derive(Debug)]
pub(crate) enum Cell {
    /// Berthed: a job may come in.
    Open {
        berthed: Berthed,
        /// Whether directories come as mounts of their own.
        detached: bool,
    },
    /// With its job, for good.
    Closed {
        /// What it holds is closed when the process ends.
        _armed: Armed,
        /// Whether other attempts of the job come in.
        more: bool,
    },
    /// It could not be closed; the process ends.
    Broken,
}

impl Cell {
    /// Whether anything can come in.
    pub(crate) fn admits(&self) -> bool {
        matches!(self, Self::Open { .. } | Self::Closed { more: true, .. })
    }

    /// The directories of `guest`, which are among `files`, as the jail is to know them.
    pub(crate) fn trees(&self, guest: &Guest, files: &Files) -> io::Result<Vec<Tree>> {
        let detached = matches!(self, Self::Open { detached: true, .. });
        let dirs = guest.dirs.iter().zip(&files.dirs);
        let trees = dirs.map(|(seen, dir)| {
            Ok(Tree {
                dir: dir.try_clone()?,
                access: match seen.access {
                    Access::Read => stint_jail::Access::Read,
                    Access::Write => stint_jail::Access::Write,
                },
                detached,
            })
        });
        trees.collect()
    }

    /// Stage two, unless it is done: whatever is to be opened is open. `trees` alone
    /// can be reached, also by attempts that come later, if there are `more`.
    ///
    /// # Errors
    /// The child must end.
    pub(crate) fn close(&mut self, trees: Vec<Tree>, more: bool) -> Result<(), ArmError> {
        let berthed = match std::mem::replace(self, Self::Broken) {
            Self::Open { berthed, .. } => berthed,
            closed => {
                *self = closed;
                return Ok(());
            }
        };
        let assignment = Assignment {
            trees,
            more,
            ..Assignment::default()
        };
        let armed = berthed.arm(assignment)?;
        *self = Self::Closed {
            _armed: armed,
            more,
        };
        Ok(())
    }
}
