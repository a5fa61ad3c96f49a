//! From what the engine returned to the one true reason.

use std::fmt;

use stint_api::outcome::{DeadlineScope, Outcome};
use stint_api::quantity::Bytes;
use wasmtime::{GcHeapOutOfMemory, ThrownException, Trap, WasmBacktrace};
use wasmtime_wasi::{I32Exit, ResourceTableError};
use wiggle::GuestError;

use crate::limiter::{Limiter, Refusal};
use crate::wasi::Exit;

/// Longest backtrace that is passed on.
const BACKTRACE_BYTES_MAX: usize = 8 << 10;
/// Longest frame in it: enough for the names that templates and generics make, and
/// short enough that one of them does not hide the others.
const FRAME_CHARS_MAX: usize = 400;
/// Longest message of the engine that is passed on.
const MESSAGE_CHARS_MAX: usize = 2_000;

/// The context of an error that came before the entry was called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NotEntered;

impl fmt::Display for NotEntered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the module cannot be instantiated")
    }
}

/// The context of an error that ended a component.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InComponent;

impl fmt::Display for InComponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the component cannot go on")
    }
}

/// The outcome of an attempt whose call ended with `ended`.
pub(crate) fn classify(ended: Result<(), wasmtime::Error>, limiter: &Limiter) -> Outcome {
    let Err(error) = ended else {
        return Outcome::Succeeded;
    };
    if let Some(code) = exit_code(&error) {
        return match code {
            0 => Outcome::Succeeded,
            code => by_memory(limiter, Some(code), None).unwrap_or(Outcome::Exited { code }),
        };
    }
    if let Some(Trap::Interrupt) = error.downcast_ref() {
        return Outcome::Deadline {
            scope: DeadlineScope::Attempt,
        };
    }
    if let Some(kind) = trap_kind(&error) {
        return by_memory(limiter, None, Some(&kind)).unwrap_or_else(|| Outcome::Trapped {
            kind,
            backtrace: backtrace(&error),
        });
    }
    // Neither exit nor trap, but its memory all the same: what it has from the
    // start was refused, or room for the exception that it threw.
    let of_memory = error.is::<NotEntered>() || error.is::<GcHeapOutOfMemory<()>>();
    let refused = of_memory.then(|| by_memory(limiter, None, None)).flatten();
    refused.unwrap_or_else(|| Outcome::EngineFault {
        message: format!("{error:#}")
            .chars()
            .take(MESSAGE_CHARS_MAX)
            .collect(),
    })
}

/// What the guest passed when it called for its own end.
fn exit_code(error: &wasmtime::Error) -> Option<u32> {
    let by_component = || {
        error
            .downcast_ref()
            .map(|I32Exit(code)| code.cast_unsigned())
    };
    let by_module = error.downcast_ref().map(|Exit(code)| *code);
    by_module.or_else(by_component)
}

/// The outcome of a failure after memory was refused and none granted since.
fn by_memory(limiter: &Limiter, code: Option<u32>, trap: Option<&str>) -> Option<Outcome> {
    Some(match limiter.refusal()? {
        Refusal::Limit { asked } => Outcome::GuestMemoryLimit {
            asked: Bytes(asked),
            limit: Bytes(limiter.limit()),
            peak: Bytes(limiter.peak()),
            code,
            trap: trap.map(str::to_owned),
        },
        Refusal::AddressSpace => Outcome::AddressSpace,
    })
}

/// The kind of trap, if the guest is to blame: its code trapped, or it called the host as nobody may.
fn trap_kind(error: &wasmtime::Error) -> Option<String> {
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return Some(match trap {
            Trap::UnreachableCodeReached => "unreachable".to_owned(),
            other => kebab(&format!("{other:?}")),
        });
    }
    if error.is::<ThrownException>() {
        return Some("uncaught-exception".to_owned());
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref() {
        return Some("too-many-host-resources".to_owned());
    }
    let Some(guest_error) = error.downcast_ref() else {
        // What a component hands over wrongly, the engine only has words for. From within
        // a call of the guest's it is always that: what the host fails at it answers with.
        let by_guest = error.is::<InComponent>() && error.is::<WasmBacktrace>();
        return by_guest.then(|| "host-call-malformed".to_owned());
    };
    match innermost(guest_error) {
        GuestError::PtrNotAligned(..) => Some("host-call-misaligned".to_owned()),
        GuestError::PtrOutOfBounds(..) | GuestError::PtrOverflow => {
            Some("host-call-out-of-bounds".to_owned())
        }
        _ => Some("host-call-malformed".to_owned()),
    }
}

fn innermost(mut error: &GuestError) -> &GuestError {
    while let GuestError::InFunc { err, .. } = error {
        error = err;
    }
    error
}

/// `MemoryOutOfBounds` to `memory-out-of-bounds`.
fn kebab(camel: &str) -> String {
    let mut kebab = String::new();
    for c in camel.chars() {
        if c.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(c.to_ascii_lowercase());
    }
    kebab
}

/// The Wasm frames, innermost first, one a line; before them what was wrong, if there is more to say.
fn backtrace(error: &wasmtime::Error) -> String {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else {
        return String::new();
    };
    let mut text = String::new();
    for mut line in words(error).into_iter().chain(frames(backtrace)) {
        if let Some((cut, _)) = line.char_indices().nth(FRAME_CHARS_MAX) {
            line.truncate(cut);
            line.push('…');
        }
        if text.len() + line.len() + 1 > BACKTRACE_BYTES_MAX {
            break;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&line);
    }
    text
}

/// What a component handed over wrongly, where the kind of its trap cannot say it.
fn words(error: &wasmtime::Error) -> Option<String> {
    if !error.is::<InComponent>() || error.is::<Trap>() || error.is::<ThrownException>() {
        return None;
    }
    let words = error.root_cause().to_string();
    Some(words.replace(char::is_control, " "))
}

/// As the engine writes them; but names are the module's own words, and one with
/// a line break in it would make a frame, so then without any names.
fn frames(backtrace: &WasmBacktrace) -> Vec<String> {
    let honest = |name: &str| !name.chars().any(char::is_control);
    let all_honest = backtrace.frames().iter().all(|frame| {
        frame.module().name().is_none_or(honest) && frame.func_name().is_none_or(honest)
    });
    if all_honest {
        let text = backtrace.to_string();
        // The first line only says that frames follow.
        return text
            .lines()
            .skip(1)
            .map(|line| line.trim().to_owned())
            .collect();
    }
    let numbered = backtrace.frames().iter().enumerate();
    numbered
        .map(|(at, frame)| {
            let offset = frame.module_offset().unwrap_or(0);
            format!(
                "{at}: {offset:#8x} - <wasm function {}>",
                frame.func_index()
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_written_as_the_rest_of_the_wire_is() {
        for (trap, kind) in [
            (Trap::UnreachableCodeReached, "unreachable"),
            (Trap::MemoryOutOfBounds, "memory-out-of-bounds"),
            (Trap::StackOverflow, "stack-overflow"),
            (Trap::IntegerDivisionByZero, "integer-division-by-zero"),
            (Trap::IndirectCallToNull, "indirect-call-to-null"),
        ] {
            assert_eq!(trap_kind(&trap.into()).as_deref(), Some(kind));
        }
    }

    #[test]
    fn what_the_host_failed_at_is_not_the_guests_fault() {
        let limiter = Limiter::new(0);
        let error = wasmtime::Error::msg("the clock stood still");
        let outcome = classify(Err(error), &limiter);
        assert_eq!(
            outcome,
            Outcome::EngineFault {
                message: "the clock stood still".to_owned()
            }
        );
    }
}
