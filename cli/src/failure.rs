//! How a verb fails: one message, its causes once, and what to do next.

use std::error::Error;
use std::fmt;

use serde::Serialize;
use stint_api::client;

/// An error that knows what to do next.
#[derive(Debug)]
pub(crate) struct Hinted {
    message: String,
    hint: String,
    source: Option<anyhow::Error>,
}

impl fmt::Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Hinted {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// An error with its hint.
pub(crate) fn hinted(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Hinted {
        message: message.into(),
        hint: hint.into(),
        source: None,
    }
    .into()
}

/// The same, with its cause.
pub(crate) fn hinted_because(
    message: impl Into<String>,
    hint: impl Into<String>,
    source: impl Into<anyhow::Error>,
) -> anyhow::Error {
    Hinted {
        message: message.into(),
        hint: hint.into(),
        source: Some(source.into()),
    }
    .into()
}

/// An error as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Shown {
    /// What went wrong, with its causes.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: Option<String>,
    /// What the program said last, a traceback for example.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
}

impl Shown {
    pub(crate) fn new(error: &anyhow::Error) -> Self {
        let hint = error.chain().find_map(|cause| {
            if let Some(hinted) = cause.downcast_ref::<Hinted>() {
                return Some(hinted.hint.clone());
            }
            cause.downcast_ref::<client::Error>().and_then(hint_of)
        });
        Self {
            message: message(error),
            hint,
            detail: None,
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

/// The chain as one line, each cause once; what the HTTP engine says about
/// itself is left out, what the system told it is kept.
fn message(error: &anyhow::Error) -> String {
    let mut text = String::new();
    let mut inside_transport = false;
    for (depth, cause) in error.chain().enumerate() {
        let last = cause.source().is_none();
        if inside_transport && !last {
            continue;
        }
        let part = cause.to_string();
        inside_transport |= matches!(
            cause.downcast_ref::<client::Error>(),
            Some(client::Error::Unreachable { .. } | client::Error::Broken { .. })
        );
        if text.contains(&part) {
            continue;
        }
        if depth > 0 {
            text.push_str(": ");
        }
        text.push_str(part.trim());
    }
    text
}

fn hint_of(error: &client::Error) -> Option<String> {
    let hint = match error {
        client::Error::Unreachable { .. } => {
            "is the scheduler running? start one with `stint serve`, or both halves with `stint dev`; \
             the address comes from --server or STINT_SERVER"
        }
        client::Error::Broken { .. } => {
            "the scheduler went away, or what listens there is not one; look at its log"
        }
        client::Error::TooSlow { .. } => "look at the scheduler's log; its disk may be slow",
        client::Error::Protocol { .. } | client::Error::Decode { .. } => {
            "is that a scheduler, and of this version? see --server and `stint --version`"
        }
        client::Error::Address { .. } => "the address comes from --server or STINT_SERVER",
        client::Error::Token => {
            "the token comes from --token-file, STINT_TOKEN_FILE or STINT_TOKEN"
        }
        client::Error::Problem(problem) => {
            return problem.hint.clone().or_else(|| match problem.status {
                401 => Some(
                    "give the scheduler's token with --token-file, STINT_TOKEN_FILE or STINT_TOKEN"
                        .to_owned(),
                ),
                _ => None,
            });
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Whether nobody reads our stdout any more: no error, and nothing to say.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;
    use stint_api::problem::Problem;

    use super::*;

    #[test]
    fn causes_are_named_once_and_the_hint_is_found_below() {
        let error = Err::<(), _>(hinted_because(
            "the bottle is empty",
            "fill it",
            std::io::Error::other("no water"),
        ))
        .context("cannot drink")
        .context("cannot drink")
        .unwrap_err();
        let shown = Shown::new(&error);
        assert_eq!(
            shown.to_string(),
            "error: cannot drink: the bottle is empty: no water\nhint: fill it"
        );
    }

    #[test]
    fn a_problem_brings_its_own_hint() {
        let problem = Problem {
            kind: "urn:stint:never-fits".into(),
            title: "Never fits".into(),
            status: 422,
            detail: "it never fits: the largest node has 2 cores".into(),
            hint: Some("ask for less".into()),
        };
        let shown = Shown::new(&client::Error::Problem(Box::new(problem)).into());
        assert_eq!(shown.message, "it never fits: the largest node has 2 cores");
        assert_eq!(shown.hint.as_deref(), Some("ask for less"));
    }
}
