//! The hidden verbs: this binary again, as a keeper, a worker or a compiler.
//! They are entered before the command line is parsed and before any thread exists.

use std::process::ExitCode;

/// Does what a hidden verb asks for; nothing when the command line names none.
pub(crate) fn enter() -> Option<ExitCode> {
    stint_runtime::enter()
}
