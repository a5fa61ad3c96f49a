//! An error and its causes on one line: an outcome carries text, not errors.

use std::error::Error;

/// `read /a: permission denied`.
pub(crate) fn explain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
