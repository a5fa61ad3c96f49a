//! Why an object cannot be read, written or listed; each says what was attempted, and
//! who can do something about it.

use std::io;
use std::path::PathBuf;

use hyper::StatusCode;

use crate::location::LocationError;

/// An object cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// Its URL is none.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// Not beneath anything that the operator allowed.
    #[error("not beneath what this {who} gives to jobs; start the {who} with {flag} {example}")]
    NotAllowed {
        /// `node` or `scheduler`.
        who: &'static str,
        /// The operator's flag.
        flag: &'static str,
        /// What to give to it.
        example: String,
    },
    /// It is at an address that jobs may not reach.
    #[error(
        "{host} is at {address}, which is not an address of the public network; a node reaches it only when its operator names the host: --allow-inputs http://{host}/"
    )]
    Address {
        /// The host, as the URL has it.
        host: String,
        /// Where it is.
        address: String,
    },
    /// A server sent us on too often, or to where a job may not go.
    #[error("the server redirects {0}")]
    Redirect(&'static str),
    /// Nothing is there.
    #[error("there is no such object ({0})")]
    Missing(String),
    /// The credentials of this process do not open it.
    #[error("access is denied ({0}); the node's own credentials must open it, see docs/data.md")]
    Denied(String),
    /// The server answers, but not with the object.
    #[error("the server answers {0}")]
    Status(StatusCode),
    /// The server cannot be reached, or the connection broke.
    #[error("cannot be fetched")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nothing came for too long.
    #[error("the server was silent for {0} seconds")]
    Silent(u64),
    /// The object became another while it was read.
    #[error("it was replaced while it was read")]
    Replaced,
    /// There is more than one may have.
    #[error("more than {0} objects; at most so many can be one input")]
    TooMany(usize),
    /// Nothing matches.
    #[error("no object matches")]
    Empty,
    /// There are more bytes than one may read.
    #[error("more than {0} bytes; at most so many can be cut into lines")]
    TooLong(u64),
    /// A file or directory of this machine cannot be used.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The machine has no trusted certificates, or others of its settings are wrong.
    #[error("the settings of this machine: {0}")]
    Settings(String),
}

impl ObjectError {
    /// Whether the same request may well succeed a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Broken(_) | Self::Silent(_) => true,
            Self::Status(status) => {
                status.is_server_error()
                    || matches!(
                        *status,
                        StatusCode::REQUEST_TIMEOUT
                            | StatusCode::TOO_EARLY
                            | StatusCode::TOO_MANY_REQUESTS
                    )
            }
            _ => false,
        }
    }
}
