//! The jailed process: armed as a worker is, then its own enemy.

use std::os::fd::{AsFd as _, AsRawFd as _, IntoRawFd as _};
use std::process::ExitCode;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::{chdir, fchdir, geteuid, getppid};
use rustix::stdio::stdin;
use stint_jail::{
    Access, Armed, Assignment, Berth, Berthed, Confession, Layer, LayerSet, Source, Tree,
};

use crate::action::{Action, How};
use crate::call;
use crate::site::{SLOT, Told};
use crate::verdict::Said;

/// Arms the layers of `layers` and does what `action` is.
pub(crate) fn act(action: &Action, layers: LayerSet, mut told: Told) -> ExitCode {
    let armed = if layers.is_empty() {
        let open = |name| enter(&Tree::plain(source(&told.dir.join(name))).unwrap());
        (told.inputs, told.scratch) = (open("inputs"), open("scratch"));
        None
    } else {
        let (inputs, scratch, armed) = arm(layers, &told);
        (told.inputs, told.scratch) = (inputs, scratch);
        Some(armed)
    };
    let made = match action.how {
        How::Calls(steps) => call::make(steps, &told),
        #[cfg(target_arch = "x86_64")]
        How::Compat => call::compat(),
    };
    let said = match made {
        Ok(_) => Said::Reached,
        Err(errno) if action.past.contains(&errno) => Said::Reached,
        Err(errno) => Said::Refused(errno.into_raw()),
    };
    let said = said.to_line();
    rustix::io::write(stdin(), said.as_bytes()).unwrap();
    drop(armed);
    ExitCode::SUCCESS
}

/// As a worker is armed; the descriptors of its directories.
fn arm(layers: LayerSet, told: &Told) -> (i32, i32, Armed) {
    let paths = ["inputs", "scratch"].map(|name| told.dir.join(name));
    let berthed = berth(
        layers,
        &[
            Source {
                path: &paths[0],
                access: Access::Read,
            },
            Source {
                path: &paths[1],
                access: Access::Write,
            },
        ],
    );
    let [inputs, scratch] = [0, 1].map(|at: usize| enter(&berthed.trees[at]));
    let assignment = Assignment {
        // What the layer is done without for.
        more: !layers.contains(Layer::LandlockFiles),
        ..Assignment::default()
    };
    let armed = berthed.arm(assignment).unwrap();
    (inputs, scratch, armed)
}

/// Stage one, of which every layer that is asked for must hold; but only root can
/// give a user of its own.
pub(crate) fn berth(layers: LayerSet, sources: &[Source<'_>]) -> Berthed {
    let root = geteuid().is_root();
    let need = if root {
        layers
    } else {
        layers.without(Layer::Identity)
    };
    let confession = Said::Stopped(u32::MAX).to_line();
    let berth = Berth {
        want: layers,
        need,
        inherited: LayerSet::NONE,
        identity: root.then_some(SLOT),
        parent: getppid(),
        sources,
        keep: &[],
        descriptors_max: 64,
        confession: Confession::new(stdin(), confession.into_bytes()),
    };
    berth.enter().unwrap()
}

/// Arms what can be armed, whatever that is, and says what it was.
pub(crate) fn report() -> ExitCode {
    let berth = Berth {
        want: LayerSet::ALL,
        need: LayerSet::NONE,
        inherited: LayerSet::NONE,
        identity: geteuid().is_root().then_some(SLOT),
        parent: None,
        sources: &[],
        keep: &[],
        descriptors_max: 64,
        confession: None,
    };
    let armed = berth.enter().unwrap().arm(Assignment::default()).unwrap();
    println!("{}", armed.layers);
    ExitCode::SUCCESS
}

/// Opens a directory as the engine does, which is given paths: by entering it.
pub(crate) fn enter(tree: &Tree) -> i32 {
    fchdir(tree.dir.as_fd()).unwrap();
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = openat(CWD, ".", flags, Mode::empty()).unwrap();
    chdir("/").unwrap();
    assert_ne!(dir.as_raw_fd(), tree.dir.as_raw_fd());
    dir.into_raw_fd()
}

fn source(path: &std::path::Path) -> Source<'_> {
    Source {
        path,
        access: Access::Write,
    }
}
