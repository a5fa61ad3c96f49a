//! How a process gets into a leaf by itself. To be moved by another costs the
//! mover milliseconds at worst, in which every process of the machine waits to
//! fork; to be born in it, or to move oneself while one is a single thread, does not.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use crate::Version;
use crate::place::{Controller, Place};

/// Written to each of [`Door::Files`] by the process that enters.
pub const ENTER: &[u8] = b"0";

/// The way into a leaf for a process of one thread.
#[derive(Debug)]
pub enum Door {
    /// v1, one file for each hierarchy: the process writes [`ENTER`] to all of them.
    Files(Vec<OwnedFd>),
    /// v2: the process is cloned into this directory.
    Directory(OwnedFd),
}

pub(crate) fn open(place: &Place) -> io::Result<Door> {
    match place.version {
        Version::V1 => {
            let files = place.each_dir().into_iter().map(|dir| {
                // By thread: for the one that moves itself the kernel takes no lock that forks wait for.
                let file = File::options().write(true).open(dir.join("tasks"))?;
                Ok(OwnedFd::from(file))
            });
            Ok(Door::Files(files.collect::<io::Result<_>>()?))
        }
        Version::V2 => {
            let dir = File::open(place.dir(Controller::Memory))?;
            Ok(Door::Directory(dir.into()))
        }
    }
}

pub(crate) fn holds(place: &Place, pid: u32) -> bool {
    let pid = pid.to_string();
    let lists = |dir: &Path| {
        let listed = fs::read_to_string(dir.join("cgroup.procs"));
        listed.is_ok_and(|listed| listed.lines().any(|line| line == pid))
    };
    place.each_dir().into_iter().all(lists)
}
