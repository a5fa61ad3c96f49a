//! Why a call to the scheduler failed, so that a caller can tell "try again"
//! from "change something".

use std::path::PathBuf;

use crate::problem::Problem;

/// A call did not give what was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server's address cannot be used.
    #[error("`{server}` is not the address of a scheduler: {why}")]
    Address {
        /// What was given.
        server: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The token holds bytes that no header may hold.
    #[error("the token holds characters that cannot be sent; it must be one line of plain text")]
    Token,
    /// The engine of the client could not be made.
    #[error("cannot make an HTTP client")]
    Setup(#[source] reqwest::Error),
    /// Nobody answers: no connection, or none in time.
    #[error("no scheduler answers at {server}")]
    Unreachable {
        /// Where it was looked for.
        server: String,
        /// What the connection said.
        #[source]
        source: reqwest::Error,
    },
    /// The connection stood, and broke before the answer was whole.
    #[error("the connection to {server} broke")]
    Broken {
        /// The scheduler.
        server: String,
        /// What the connection said.
        #[source]
        source: reqwest::Error,
    },
    /// The answer did not come in time.
    #[error("{server} did not answer within {seconds} s")]
    TooSlow {
        /// The scheduler.
        server: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The scheduler refused, and says why.
    #[error("{}", .0.detail)]
    Problem(Box<Problem>),
    /// What answers is not a scheduler of this version.
    #[error("{server} answered {what}, which is not what a scheduler says")]
    Protocol {
        /// Who answered.
        server: String,
        /// What came, cut short.
        what: String,
    },
    /// An answer has a field that cannot be read.
    #[error("cannot read the answer of {server}")]
    Decode {
        /// Who answered.
        server: String,
        /// Which field, and why.
        #[source]
        source: serde_json::Error,
    },
    /// A local file cannot be read.
    #[error("cannot read `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// Whether the same call may succeed a moment later, with nothing changed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } | Self::TooSlow { .. } => true,
            Self::Problem(problem) => matches!(problem.status, 429 | 503),
            _ => false,
        }
    }

    /// The problem that the scheduler named, when it did.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            _ => None,
        }
    }

    pub(super) fn transport(server: &str, source: reqwest::Error) -> Self {
        let server = server.to_owned();
        // The address is in our own message already.
        let source = source.without_url();
        if source.is_connect() {
            Self::Unreachable { server, source }
        } else {
            Self::Broken { server, source }
        }
    }
}
