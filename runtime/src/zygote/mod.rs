//! A zygote: a process of one thread whose engine is made and has never run
//! anything of a job. Workers are forked from it, so that none has to make its own.
//!
//! ```text
//! keeper ── Birth, socket, way into the leaf ──▶ zygote ── fork ──▶ worker, a child of the keeper
//!   ▲                                                                 │ into its leaf, warm up
//!   └───────────────────────── Berthed ───────────────────────────────┘
//! ```
//!
//! One that is born for an attempt, because nobody waited, does not warm up: its
//! assignment is in its socket before it is there.

pub(crate) mod protocol;

mod fork;

use std::ffi::OsString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::ExitCode;

use rustix::process::Pid;
use rustix::stdio::dup2_stdin;
use stint_cgroup::ENTER;
use stint_jail::leave_network;
use stint_sandbox::Berth;

use crate::child::{self, ChildError};
use crate::hearing::{Ear, Heard};
use crate::worker;
use crate::worker::berth::{Birthright, Origin};
use fork::Side;
use protocol::{Birth, Birthplace, FromZygote, Purpose, SPEECH};

/// Gives birth to workers of the keeper whose process id is the first of `args`,
/// with an engine of the profile that is the second.
pub(crate) fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    child::exit(work(args))
}

fn work(mut args: impl Iterator<Item = OsString>) -> Result<(), ChildError> {
    let keeper = child::keeper(args.next())?;
    child::bind(keeper)?;
    child::confess_panics(SPEECH, |message| FromZygote::Fault { message });
    child::name(c"stint-zygote");
    let made = worker::berth::make(args.next().as_deref())?.and_then(|berth| {
        let warm_up = berth.learn_warm_up().map_err(|error| error.to_string())?;
        Ok((berth, warm_up))
    });
    let (mut berth, warm_up) = match made {
        Ok(made) => made,
        Err(message) => return child::say(SPEECH, &FromZygote::Fault { message }),
    };
    let birthright = Birthright {
        warm_up,
        layers: leave_network(),
    };
    child::say(SPEECH, &FromZygote::Ready)?;
    let mut ear = Ear::new(SPEECH);
    while let Some(Heard { message, fds }) = ear.hear::<Birth>()? {
        if let Some(born) = give_birth(&message, fds)? {
            drop(ear);
            return live(born, &mut berth, &birthright, keeper, &message);
        }
    }
    Ok(())
}

/// A worker that was just forked.
struct Born {
    /// Its end of the socket to the keeper.
    socket: OwnedFd,
    /// The ways into its leaf, where it was not born in it.
    doors: Vec<OwnedFd>,
}

/// Forks; on the child's side there is a worker then. What fails here is seen by
/// the keeper: the worker's end of its socket is closed, and nobody has spoken.
fn give_birth(birth: &Birth, fds: Vec<OwnedFd>) -> Result<Option<Born>, ChildError> {
    let mut fds = fds.into_iter();
    let socket = fds.next().ok_or(ChildError::Arguments)?;
    let mut doors: Vec<OwnedFd> = fds.collect();
    let directory = match birth.place {
        Birthplace::Doors => None,
        Birthplace::Directory => doors.pop(),
    };
    let side = fork::fork(directory.as_ref().map(|directory| directory.as_fd()));
    Ok((side == Ok(Side::Child)).then_some(Born { socket, doors }))
}

/// The life of a worker, in the process that was forked for it.
fn live(
    born: Born,
    berth: &mut Berth<'_>,
    birthright: &Birthright,
    keeper: Pid,
    birth: &Birth,
) -> Result<(), ChildError> {
    // In place of the zygote's own, which is closed by that.
    dup2_stdin(&born.socket)?;
    drop(born.socket);
    for door in born.doors {
        rustix::io::write(&door, ENTER)?;
    }
    let origin = match birth.purpose {
        Purpose::Berth => Origin::Waits(birthright),
        Purpose::Attempt => Origin::IsAwaited(birthright),
    };
    worker::live(berth, origin, keeper, &birth.jail)
}
