//! What workers and compilers have in common as children of a keeper: they die
//! when it dies, read one frame from it, and say little back.

use std::ffi::{CStr, OsString};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{
    Pid, Resource, Rlimit, Signal, getpid, getppid, set_parent_process_death_signal, setrlimit,
};
use rustix::stdio::stdin;
use serde::Serialize;

use crate::frame::{FrameError, encode};
use crate::keeper::wire::Speech;

/// Files a child may have open: what a program can count on anywhere. A keeper has
/// many more, and a guest is not to fill the host's memory with theirs.
pub(crate) const DESCRIPTORS_MAX: u64 = 1_024;
/// Longest text a child says about itself.
pub(crate) const MESSAGE_BYTES_MAX: usize = 4 << 10;

/// A child cannot do its work. Nobody reads it but the exit code: its keeper is
/// gone, or will see it go.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChildError {
    /// Its keeper is gone, or it was started by hand.
    #[error("the keeper is gone")]
    Orphan,
    /// Its command line is not one that a keeper of this version writes.
    #[error("an argument is missing or of another version")]
    Arguments,
    /// The kernel refused.
    #[error("the kernel refused")]
    Kernel(#[from] rustix::io::Errno),
    /// The keeper's frame cannot be read.
    #[error("the keeper's frame")]
    Frame(#[from] FrameError),
}

/// The keeper, whose process id is `argument`.
pub(crate) fn keeper(argument: Option<OsString>) -> Result<Pid, ChildError> {
    argument
        .and_then(|pid| pid.to_str()?.parse().ok())
        .and_then(Pid::from_raw)
        .ok_or(ChildError::Orphan)
}

/// Binds this process to its keeper, leaves no core file behind, and opens no more
/// files than a program should. First thing in `main` and after a fork, while
/// there is one thread.
pub(crate) fn bind(keeper: Pid) -> Result<(), ChildError> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // Asked after it is set: a keeper that died before is no longer the parent.
    if getppid() != Some(keeper) {
        return Err(ChildError::Orphan);
    }
    limit(Resource::Core, 0)?;
    limit(Resource::Nofile, DESCRIPTORS_MAX)
}

/// What `ps` shows of this process; it is for people and for tests.
pub(crate) fn name(name: &CStr) {
    if let Err(error) = rustix::thread::set_name(name) {
        tracing::debug!(%error, "a process without a name");
    }
}

/// The number of this process, asked anew: it may have been forked.
pub(crate) fn pid() -> u32 {
    getpid().as_raw_pid().unsigned_abs()
}

/// Lowers a limit of this process, soft and hard alike.
pub(crate) fn limit(resource: Resource, value: u64) -> Result<(), ChildError> {
    limit_between(resource, value, value)
}

/// Lowers a limit of this process: what happens first at `soft`, and for good at `hard`.
pub(crate) fn limit_between(resource: Resource, soft: u64, hard: u64) -> Result<(), ChildError> {
    let limit = Rlimit {
        current: Some(soft),
        maximum: Some(hard),
    };
    Ok(setrlimit(resource, limit)?)
}

/// Says `message` to the keeper, whole; or nothing, after a panic was confessed.
pub(crate) fn say<T: Serialize>(speech: Speech, message: &T) -> Result<(), ChildError> {
    if CONFESSED.load(Ordering::Relaxed) {
        return Ok(());
    }
    let frame = encode(speech.channel, speech.in_bytes_max, message)?;
    let mut rest = frame.as_slice();
    while !rest.is_empty() {
        match rustix::io::write(stdin(), rest) {
            Ok(count) => rest = &rest[count..],
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// A confession is a last word: whoever catches the panic further up, and goes on
/// to say how its work ended, must not be heard after it.
static CONFESSED: AtomicBool = AtomicBool::new(false);

/// Lets a panic be heard: `wrap` makes the message that says so.
pub(crate) fn confess_panics<T: Serialize + 'static>(speech: Speech, wrap: fn(String) -> T) {
    std::panic::set_hook(Box::new(move |panic| {
        let message = shorten(panic.to_string(), MESSAGE_BYTES_MAX);
        // When it cannot be said the keeper still sees the exit code.
        drop(say(speech, &wrap(message)));
        CONFESSED.store(true, Ordering::Relaxed);
    }));
}

/// `text`, cut at a character if it is longer than `bytes_max`.
pub(crate) fn shorten(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        let cut = (0..=bytes_max).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(cut.unwrap_or(0));
        text.push('…');
    }
    text
}

/// The exit code of a child whose work ended so; its keeper has no other sign of what could not be said.
pub(crate) fn exit(ended: Result<(), ChildError>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_a_character() {
        assert_eq!(shorten("short".to_owned(), 5), "short");
        assert_eq!(shorten("longer".to_owned(), 5), "longe…");
        assert_eq!(shorten("ééé".to_owned(), 3), "é…");
    }
}
