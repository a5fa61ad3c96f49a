//! Everything that can be wrong with a request, and the one place where it
//! becomes an answer: what is wrong, and what to do next. Causes of a failure
//! of our own are logged here and never sent.

use std::error::Error;
use std::fmt::Write as _;

use axum::http::HeaderValue;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use stint_api::id::{Digest, JobId, Namespace, NodeId, ParseIdError};
use stint_api::job::InvalidSpec;
use stint_api::kit::BESIDE_BYTES_MAX;
use stint_api::problem::{PROBLEM_JSON, Problem};
use stint_cluster::{
    BatchError, HelloError, JobsError, KitError, NamespaceError, RerunError, StaleGeneration,
    SubmitError, SuspendError, TooManyModules, UnknownNode,
};

use super::json::JsonError;
use super::kinds::{self, Kind};
use crate::blobs::BlobError;
use crate::driver::CallError;
use crate::files::KeepError;

/// Seconds after which a busy scheduler may be asked again.
const RETRY_SECONDS: u64 = 1;

/// Why a request is not answered with what it asked for, in the words of the answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("{0}")]
    Query(String),
    #[error("{0}")]
    Id(ParseIdError),
    #[error("`{name}`: {why}")]
    Header { name: &'static str, why: String },
    #[error("{0}")]
    Json(#[from] JsonError),
    #[error("the body is not said to be JSON{}", found.as_ref().map_or(String::new(), |found| format!(" but `{found}`")))]
    MediaType { found: Option<String> },
    #[error("the connection ended before the body did; nothing of it was kept")]
    BodyCut,
    #[error("the body did not come in time; nothing of it was kept")]
    BodySlow,
    #[error("the body is larger than {max} bytes, the most that is taken here")]
    BodyTooLarge { max: u64 },
    #[error("the files beside the script have {bytes} bytes together; at most {BESIDE_BYTES_MAX}")]
    BesideTooLarge { bytes: u64 },
    #[error("the token is missing or wrong")]
    Unauthorized,
    #[error("a web page asks for it, and pages may not change what is here")]
    ForeignPage,
    #[error("this is asked of `{host}`, which is not a name of this machine for itself")]
    ForeignHost { host: String },
    #[error("there is nothing at `{path}`")]
    NoRoute {
        path: String,
        near: Option<&'static str>,
    },
    #[error("`{verb}` is nothing that can be done to a {of}")]
    NoVerb { verb: String, of: &'static str },
    #[error("there is no job `{0}`")]
    NoJob(JobId),
    #[error("{0}")]
    Over(SuspendError),
    #[error("no task of job `{0}` has failed")]
    NothingFailed(JobId),
    #[error("{0}")]
    NoNode(UnknownNode),
    #[error("there is no module {digest}{}", namespace.as_ref().map_or(String::new(), |namespace| format!(" in namespace `{namespace}`")))]
    NoModule {
        digest: Digest,
        namespace: Option<Namespace>,
    },
    #[error("there is no kit `{name}` in namespace `{namespace}`")]
    NoKit { name: String, namespace: Namespace },
    #[error("`{name}` is not the name of a kit; it has at most 63 of a-z, 0-9 and inner hyphens")]
    KitName { name: String },
    #[error("there is no file {digest}")]
    NoFile { digest: Digest },
    #[error("{what}, {digest}, was not put")]
    FileUnknown { what: &'static str, digest: Digest },
    #[error("{0}")]
    Kit(InvalidSpec),
    #[error("{0}")]
    AddKit(KitError),
    #[error("{0}")]
    TooManyFiles(KeepError),
    #[error("`{path}` has no method {method}")]
    Method { method: String, path: String },
    #[error("{0}")]
    Jobs(JobsError),
    #[error("another submit with the key `{key}` is not answered yet")]
    KeyInFlight { key: String },
    #[error("{0}")]
    Submit(SubmitError),
    #[error("{0}")]
    Namespace(NamespaceError),
    #[error("{}", of_batch(.0))]
    Batch(BatchError),
    #[error("{0}")]
    TooManyModules(TooManyModules),
    #[error("{0}")]
    Hello(HelloError),
    #[error("{0}")]
    Stale(StaleGeneration),
    #[error("that is not the newest generation of node `{node}`, or the node is lost")]
    StaleOrders { node: NodeId },
    #[error("`{field}`: {why}")]
    Reports { field: &'static str, why: String },
    /// A rejection says what is wrong, and after its last semicolon what to do.
    #[error("{}", rejection.rsplit_once("; ").map_or(rejection.as_str(), |(what, _)| what))]
    Rejected { rejection: String },
    #[error("{0}")]
    Digest(BlobError),
    #[error("{0}")]
    Call(#[from] CallError),
    /// Something of our own failed; why is for the log alone.
    #[error("the scheduler failed; its log says why")]
    Internal(#[source] Box<dyn Error + Send + Sync>),
}

impl From<BlobError> for ApiError {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::TooLarge { max } => Self::BodyTooLarge { max },
            BlobError::Digest { .. } => Self::Digest(error),
            BlobError::Rejected(rejection) => Self::Rejected {
                rejection: rejection.to_string(),
            },
            BlobError::Keep(error @ KeepError::TooMany) => Self::TooManyFiles(error),
            BlobError::Io { .. } | BlobError::ScanBroke | BlobError::Keep(_) => {
                Self::internal(error)
            }
        }
    }
}

impl From<SuspendError> for ApiError {
    fn from(error: SuspendError) -> Self {
        match error {
            SuspendError::Unknown(job) => Self::NoJob(job),
            SuspendError::Over { .. } => Self::Over(error),
        }
    }
}

impl From<RerunError> for ApiError {
    fn from(error: RerunError) -> Self {
        match error {
            RerunError::Unknown(job) => Self::NoJob(job),
            RerunError::NothingFailed(job) => Self::NothingFailed(job),
            RerunError::Submit(error) => Self::Submit(error),
        }
    }
}

impl ApiError {
    /// Something of our own failed.
    pub(crate) fn internal(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Internal(error.into())
    }

    fn kind(&self) -> &'static Kind {
        match self {
            Self::Query(_) | Self::Jobs(JobsError::Limit(_)) => &kinds::BAD_QUERY,
            Self::Jobs(JobsError::Cursor(_)) => &kinds::BAD_CURSOR,
            Self::Id(_) => &kinds::BAD_ID,
            Self::Header { .. } | Self::Submit(SubmitError::BadKey) => &kinds::BAD_HEADER,
            Self::Json(error) => of_json(error),
            Self::MediaType { .. } => &kinds::MEDIA_TYPE,
            Self::BodyCut => &kinds::BODY_CUT,
            Self::BodySlow => &kinds::BODY_SLOW,
            Self::BodyTooLarge { .. } | Self::BesideTooLarge { .. } => &kinds::BODY_TOO_LARGE,
            Self::Unauthorized => &kinds::UNAUTHORIZED,
            Self::ForeignPage | Self::ForeignHost { .. } => &kinds::FOREIGN_PAGE,
            Self::NoRoute { .. } => &kinds::NO_ROUTE,
            Self::NoVerb { .. } => &kinds::NO_VERB,
            Self::NoJob(_) => &kinds::NO_JOB,
            Self::Over(_) => &kinds::JOB_OVER,
            Self::NothingFailed(_) => &kinds::NOTHING_FAILED,
            Self::NoNode(_) => &kinds::NO_NODE,
            Self::NoModule { .. } => &kinds::NO_MODULE,
            Self::NoKit { .. } => &kinds::NO_KIT,
            Self::KitName { .. } => &kinds::BAD_ID,
            Self::NoFile { .. } => &kinds::NO_FILE,
            Self::FileUnknown { .. } => &kinds::FILE_UNKNOWN,
            Self::Namespace(NamespaceError::Invalid(_))
            | Self::Kit(_)
            | Self::AddKit(KitError::Invalid(_) | KitError::Taken { .. }) => &kinds::INVALID_FIELD,
            Self::AddKit(KitError::TooMany | KitError::TooManyModules(_))
            | Self::Namespace(NamespaceError::TooMany)
            | Self::TooManyFiles(_) => &kinds::TOO_MANY,
            Self::Method { .. } => &kinds::METHOD,
            Self::KeyInFlight { .. } => &kinds::KEY_IN_FLIGHT,
            Self::Submit(error) | Self::Batch(BatchError::Job { source: error, .. }) => {
                of_submit(error)
            }
            Self::Batch(BatchError::Count(_)) => &kinds::INVALID_FIELD,
            Self::TooManyModules(_) | Self::Hello(HelloError::TooMany { .. }) => &kinds::TOO_MANY,
            Self::Hello(HelloError::Protocol { .. }) => &kinds::OTHER_PROTOCOL,
            Self::Hello(HelloError::HeldUp { .. }) => &kinds::HELLO_HELD_UP,
            Self::Stale(_) | Self::StaleOrders { .. } => &kinds::STALE_GENERATION,
            Self::Reports { .. } => &kinds::INVALID_FIELD,
            Self::Rejected { .. } => &kinds::MODULE_REJECTED,
            Self::Digest(_) => &kinds::DIGEST_MISMATCH,
            Self::Call(CallError::Busy) => &kinds::BUSY,
            Self::Call(CallError::Stopped) => &kinds::STOPPING,
            Self::Internal(_) => &kinds::INTERNAL,
        }
    }

    /// What to do next, where this case knows better than its kind.
    fn hint(&self) -> Option<String> {
        match self {
            Self::Json(JsonError::UnknownField {
                near: Some(near), ..
            }) => Some(format!("write `{near}`, or leave it out")),
            Self::Json(JsonError::UnknownField { known, .. }) => {
                Some(format!("the fields are {}", known.join(", ")))
            }
            Self::Json(JsonError::TooDeep) => {
                Some("nothing that is asked for is nested that deep".to_owned())
            }
            Self::Json(JsonError::NotAnObject) => Some("send an object: `{…}`".to_owned()),
            Self::NoVerb { of: "node", .. } => Some(
                "POST /v1/nodes/{id}:cordon, :uncordon and :drain decide about a node".to_owned(),
            ),
            Self::NoRoute {
                near: Some(near), ..
            } => Some(format!(
                "did you mean `{near}`? GET /openapi.json lists all paths"
            )),
            Self::Jobs(JobsError::Limit(_)) => {
                Some("give another `limit`, or leave it out".to_owned())
            }
            Self::Submit(SubmitError::TooLarge { .. }) => {
                Some("put large data into an input, and its path into the arguments".to_owned())
            }
            Self::Reports { .. } => Some("send less in one batch".to_owned()),
            Self::Rejected { rejection } => {
                let (_, next) = rejection.rsplit_once("; ")?;
                Some(next.to_owned())
            }
            _ => None,
        }
    }
}

fn of_json(error: &JsonError) -> &'static Kind {
    match error {
        JsonError::TooDeep | JsonError::Syntax(_) => &kinds::MALFORMED_JSON,
        JsonError::UnknownField { .. } => &kinds::UNKNOWN_FIELD,
        JsonError::DuplicateField(_) => &kinds::DUPLICATE_FIELD,
        JsonError::MissingField(_) => &kinds::MISSING_FIELD,
        JsonError::NotAnObject | JsonError::WrongType { .. } => &kinds::WRONG_TYPE,
    }
}

/// What is wrong with a batch, in the words of what is wrong with the job.
fn of_batch(error: &BatchError) -> String {
    match error {
        BatchError::Count(_) => format!("`jobs`: {error}"),
        BatchError::Job { index, source } => format!("`jobs[{index}]`: {source}"),
    }
}

fn of_submit(error: &SubmitError) -> &'static Kind {
    match error {
        SubmitError::BadKey => &kinds::BAD_HEADER,
        SubmitError::KeyReused { .. } => &kinds::KEY_REUSED,
        SubmitError::Invalid(_) | SubmitError::UnknownParent(_) | SubmitError::TooLarge { .. } => {
            &kinds::INVALID_FIELD
        }
        SubmitError::UnknownModule { .. } => &kinds::MODULE_UNKNOWN,
        SubmitError::UnknownKit { .. } => &kinds::KIT_UNKNOWN,
        SubmitError::NeverFits { .. } => &kinds::NEVER_FITS,
        SubmitError::QuotaJobs { .. } | SubmitError::QuotaTooSmall { .. } => &kinds::QUOTA,
        SubmitError::TooMany { .. } => &kinds::TOO_MANY,
    }
}

/// An error and its causes, in one line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Self::Internal(error) = &self {
            tracing::error!(error = chain(error.as_ref()), "a request failed");
        }
        let kind = self.kind();
        let problem = Problem {
            kind: format!("urn:stint:{}", kind.name),
            title: kind.title.to_owned(),
            status: kind.status.as_u16(),
            detail: self.to_string(),
            hint: Some(self.hint().unwrap_or_else(|| kind.hint.to_owned())),
        };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (kind.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        match self {
            Self::Unauthorized => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Call(_) | Self::KeyInFlight { .. } => {
                headers.insert(RETRY_AFTER, RETRY_SECONDS.into());
            }
            _ => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_of_our_own_is_not_told() {
        let cause = std::io::Error::other("no space left on /secret/disk");
        let path = "/secret".into();
        for error in [
            ApiError::internal("secret"),
            BlobError::Io { path, cause }.into(),
        ] {
            assert_eq!(error.kind(), &kinds::INTERNAL);
            let told = format!("{error} {:?}", error.hint());
            assert!(!told.contains("secret"), "{told}");
        }
    }

    #[test]
    fn a_rejection_is_told_as_what_is_wrong_and_what_to_do() {
        let error = ApiError::from(BlobError::Rejected(stint_scan::Rejection::Empty));
        assert_eq!(error.to_string(), "the file is empty");
        let hint = error.hint().unwrap();
        assert_eq!(hint, "submit a .wasm file built for wasm32-wasip1");
    }
}
