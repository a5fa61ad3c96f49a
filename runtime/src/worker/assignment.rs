//! The second part of a worker's life: it is told of a job, given the files of an
//! attempt, and runs it. What comes after is another attempt of the same job, or nothing.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use stint_api::kit::Entry;
use stint_api::outcome::Outcome;
use stint_api::quantity::Bytes;
use stint_api::time::Span;
use stint_sandbox::{
    Access, Attempt, Berth, Files, Given, Guest, Loaded, Profile, Pulse, Ran, Seen,
};

use super::deadline;
use super::protocol::{Assignment, FromWorker, Module, SPEECH, Said, ToWorker};
use super::run::{self, Turn};
use crate::child::{self, ChildError};
use crate::frame::{Decoder, encode};
use crate::hearing::{Ear, Heard};
use crate::jail::Cell;

/// Runs what the keeper tells of, until it closes its end, or nothing can come in any more.
pub(crate) fn serve(berth: &Berth<'_>, mut cell: Cell, ear: &mut Ear) -> Result<(), ChildError> {
    let (mut loaded, mut is_named) = (None, false);
    while cell.admits()
        && let Some(Heard { message, fds }) = ear.hear::<ToWorker>()?
    {
        let assignment = match message {
            ToWorker::Run(assignment) => assignment,
            ToWorker::Load { profile, entry } => {
                loaded = load(berth, profile, &entry, fds);
                match loaded {
                    Some(_) => continue,
                    // Whoever starts it is told why it cannot be loaded.
                    None => return Ok(()),
                }
            }
        };
        if !std::mem::replace(&mut is_named, true) {
            // Of a process whose jail is closed, the name is what it is.
            child::name(c"stint-worker");
        }
        let before = cpu();
        let said = match start(berth, &mut cell, &mut loaded, assignment, fds) {
            Ok((attempt, turn)) => {
                child::say(SPEECH, &FromWorker::Running)?;
                turn.run(berth, attempt, before)?
            }
            Err(outcome) => FromWorker::Unable { outcome },
        };
        deadline::forget();
        child::say(SPEECH, &said)?;
        if !cell.admits() {
            // All is said. What it holds is the kernel's to take back, which is quicker
            // than to unmap and free one after another what nobody uses any more; and
            // what a zygote had open was closed by the jail behind its owner's back.
            std::process::exit(0);
        }
    }
    Ok(())
}

/// Loads a module at which attempts are to be expected.
fn load(berth: &Berth<'_>, profile: Profile, entry: &Entry, fds: Vec<OwnedFd>) -> Option<Loaded> {
    let artifact = fds.into_iter().next()?;
    let loaded = berth.load_for(File::from(artifact), profile, None, entry);
    loaded
        .inspect_err(|outcome| tracing::debug!(%outcome, "not loaded beforehand"))
        .ok()
}

/// Takes the words in its mouth that it will hear and say, so that they are familiar
/// when somebody waits for them.
pub(super) fn rehearse() -> Result<(), ChildError> {
    let assignment = ToWorker::Run(Assignment {
        module: Module::Given {
            profile: Profile::Plain,
            sha256: Some([0; 32]),
        },
        guest: Guest {
            entry: Entry::default(),
            args: vec!["rehearsal".to_owned()],
            env: vec![("NOTHING".to_owned(), "known".to_owned())],
            memory_limit_bytes: 0,
            dirs: vec![Seen {
                guest: "/in".to_owned(),
                access: Access::Read,
            }],
            log_bytes_max: 0,
        },
        more: false,
        then: 0,
        pulse: None,
    });
    let mut decoder = Decoder::new(SPEECH.channel, SPEECH.out_bytes_max);
    decoder.push(&encode(SPEECH.channel, SPEECH.out_bytes_max, &assignment)?);
    drop(decoder.take::<ToWorker>()?);
    let ended = FromWorker::Ended(Box::new(said(
        Ran::unknown(Outcome::Succeeded),
        cpu(),
        Instant::now().elapsed().into(),
    )));
    drop(encode(SPEECH.channel, SPEECH.in_bytes_max, &ended)?);
    Ok(())
}

/// All that comes before the guest's first instruction.
fn start<'a>(
    berth: &'a Berth<'a>,
    cell: &mut Cell,
    loaded: &'a mut Option<Loaded>,
    assignment: Assignment,
    fds: Vec<OwnedFd>,
) -> Result<(Attempt<'a>, Turn<'a>), Outcome> {
    let mut fds = fds.into_iter();
    if let Module::Given { profile, sha256 } = assignment.module {
        let artifact = fds.next().ok_or_else(missing)?;
        *loaded = Some(berth.load_for(
            File::from(artifact),
            profile,
            sha256.as_ref(),
            &assignment.guest.entry,
        )?);
    }
    let loaded = loaded.as_ref().ok_or_else(missing)?;
    let files = Files::from_fds(fds, assignment.guest.dirs.len()).ok_or_else(missing)?;
    let trees = cell.trees(&assignment.guest, &files).map_err(unarmed)?;
    let Assignment {
        guest,
        more,
        then,
        pulse,
        ..
    } = assignment;
    let speaks: Option<fn()> = (then > 0).then_some(run::speaks);
    let pulse = pulse.map(|every| Pulse::new(every.into(), run::lives));
    let given = Given::new(files, &guest, speaks).with_pulse(pulse);
    let attempt = berth.attempt_with(loaded, &guest, &given)?;
    // All is open and mapped, and no byte of the guest has run.
    cell.close(trees, more).map_err(unarmed)?;
    let turn = Turn {
        loaded,
        guest,
        given,
        then,
    };
    Ok((attempt, turn))
}

fn unarmed(error: impl std::error::Error) -> Outcome {
    Outcome::StartFailed {
        step: format!("jail: {error}"),
    }
}

fn missing() -> Outcome {
    Outcome::EngineFault {
        message: "the keeper gave fewer files than it told of".to_owned(),
    }
}

/// What is said of an attempt: the guest's account, and this process's clocks.
pub(super) fn said(ran: Ran, cpu: Span, wall: Span) -> Said {
    Said {
        outcome: ran.outcome,
        cpu,
        wall,
        peak_memory: ran.peak_guest_memory,
        refused_growth: ran.refused_growth,
        read: ran.read,
        written: ran.written,
        logs_dropped: Bytes(ran.logs_dropped_bytes),
    }
}

/// CPU time of this process since it began.
pub(super) fn cpu() -> Span {
    let clock = clock_gettime(ClockId::ProcessCPUTime);
    let positive = |part: i64| u64::try_from(part).unwrap_or(0);
    Span::from_secs(positive(clock.tv_sec)) + Span::from_nanos(positive(clock.tv_nsec))
}
