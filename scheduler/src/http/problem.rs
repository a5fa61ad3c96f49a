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
use stint_api::problem::{PROBLEM_JSON, Problem};
use stint_cluster::{CancelError, HelloError, JobsError, StaleGeneration, SubmitError};

use super::json::JsonError;
use super::kinds::{self, Kind};
use crate::blobs::BlobError;
use crate::driver::CallError;

/// Seconds after which a busy scheduler may be asked again.
const RETRY_SECONDS: u64 = 1;

/// Why a request is not answered with what it asked for.
#[derive(Debug)]
pub(crate) enum ApiError {
    Query(String),
    Id(ParseIdError),
    Header {
        name: &'static str,
        why: String,
    },
    Json(JsonError),
    MediaType {
        found: Option<String>,
    },
    BodyCut,
    BodySlow,
    BodyTooLarge {
        max: u64,
    },
    Unauthorized,
    NoRoute {
        path: String,
        near: Option<&'static str>,
    },
    NoVerb {
        verb: String,
    },
    NoJob(JobId),
    NoModule {
        digest: Digest,
        namespace: Option<Namespace>,
    },
    Method {
        method: String,
        path: String,
    },
    Jobs(JobsError),
    KeyInFlight {
        key: String,
    },
    Submit(SubmitError),
    TooManyModules(stint_cluster::TooManyModules),
    Hello(HelloError),
    Stale(StaleGeneration),
    /// Orders are asked for under a generation that is not the node's newest.
    StaleOrders {
        node: NodeId,
    },
    Reports {
        field: &'static str,
        why: String,
    },
    Blob(BlobError),
    Call(CallError),
    /// Something of our own failed.
    Internal(Box<dyn Error + Send + Sync>),
}

impl From<JsonError> for ApiError {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}

impl From<CallError> for ApiError {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<BlobError> for ApiError {
    fn from(error: BlobError) -> Self {
        Self::Blob(error)
    }
}

impl From<CancelError> for ApiError {
    fn from(CancelError::Unknown(job): CancelError) -> Self {
        Self::NoJob(job)
    }
}

impl ApiError {
    /// Something of our own failed.
    pub(crate) fn internal(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Internal(error.into())
    }

    fn problem(&self) -> (&'static Kind, String, String) {
        let say =
            |kind, detail: &dyn ToString, hint: &str| (kind, detail.to_string(), hint.to_owned());
        match self {
            Self::Query(why) => say(
                &kinds::BAD_QUERY,
                why,
                "GET /openapi.json lists the parameters of each path",
            ),
            Self::Id(why) => say(&kinds::BAD_ID, why, "give the id as the scheduler wrote it"),
            Self::Header { name, why } => say(
                &kinds::BAD_HEADER,
                &format!("`{name}`: {why}"),
                "correct the header, or leave it out",
            ),
            Self::Json(error) => of_json(error),
            Self::MediaType { found } => of_media_type(found.as_deref()),
            Self::BodyCut => say(
                &kinds::BODY_CUT,
                &"the connection ended before the body did; nothing of it was kept",
                "send it again",
            ),
            Self::BodySlow => say(
                &kinds::BODY_SLOW,
                &"the body did not come in time; nothing of it was kept",
                "send it again over a better connection",
            ),
            Self::BodyTooLarge { max } => say(
                &kinds::BODY_TOO_LARGE,
                &format!("the body is larger than {max} bytes, the most that is taken here"),
                "send less; large data belongs into inputs, not into a job",
            ),
            Self::Unauthorized => say(
                &kinds::UNAUTHORIZED,
                &"the token is missing or wrong",
                "send `Authorization: Bearer TOKEN`; the stint command takes it from --token-file or STINT_TOKEN",
            ),
            Self::NoRoute { path, near } => of_route(path, *near),
            Self::NoVerb { verb } => say(
                &kinds::NO_VERB,
                &format!("`{verb}` is nothing that can be done to a job"),
                "POST /v1/jobs/{id}:cancel cancels one",
            ),
            Self::NoJob(job) => say(
                &kinds::NO_JOB,
                &format!("there is no job `{job}`"),
                "`stint jobs` (GET /v1/jobs) lists those that there are",
            ),
            Self::NoModule { digest, namespace } => of_no_module(digest, namespace.as_ref()),
            Self::Method { method, path } => say(
                &kinds::METHOD,
                &format!("`{path}` has no method {method}"),
                "the header `allow` lists the methods that it has",
            ),
            Self::Jobs(error) => of_jobs(error),
            Self::KeyInFlight { key } => say(
                &kinds::KEY_IN_FLIGHT,
                &format!("another submit with the key `{key}` is not answered yet"),
                "wait for that answer, or ask again in a moment",
            ),
            Self::Submit(error) => of_submit(error),
            Self::TooManyModules(error) => say(
                &kinds::TOO_MANY,
                error,
                "use a module that is there already, or another cluster",
            ),
            Self::Hello(error) => of_hello(error),
            Self::Stale(error) => say(
                &kinds::STALE_GENERATION,
                error,
                "POST /v1/link/hello gives a new generation",
            ),
            Self::StaleOrders { node } => say(
                &kinds::STALE_GENERATION,
                &format!("that is not the newest generation of node `{node}`, or the node is lost"),
                "POST /v1/link/hello gives a new generation",
            ),
            Self::Reports { field, why } => say(
                &kinds::INVALID_FIELD,
                &format!("`{field}`: {why}"),
                "send less in one batch",
            ),
            Self::Blob(error) => of_blob(error),
            Self::Call(CallError::Busy) => say(
                &kinds::BUSY,
                &CallError::Busy,
                "ask again in a moment; what was asked now was not done",
            ),
            Self::Call(CallError::Stopped) => say(
                &kinds::STOPPING,
                &CallError::Stopped,
                "ask again when it is there again; whether this was done is not known",
            ),
            Self::Internal(_) => say(
                &kinds::INTERNAL,
                &"the scheduler failed; its log says why",
                "ask again; if it goes on, look at the scheduler's log",
            ),
        }
    }

    /// Logs what the client is not told.
    fn log(&self) {
        let error: &(dyn Error + 'static) = match self {
            Self::Internal(error) => error.as_ref(),
            Self::Blob(error @ (BlobError::Io { .. } | BlobError::ScanBroke)) => error,
            _ => return,
        };
        tracing::error!(error = chain(error), "a request failed");
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

fn of_json(error: &JsonError) -> (&'static Kind, String, String) {
    let (kind, hint) = match error {
        JsonError::TooDeep => (
            &kinds::MALFORMED_JSON,
            "nothing that is asked for is nested that deep".to_owned(),
        ),
        JsonError::Syntax(_) => (
            &kinds::MALFORMED_JSON,
            "check the body with a JSON parser".to_owned(),
        ),
        JsonError::NotAnObject => (&kinds::WRONG_TYPE, "send an object: `{…}`".to_owned()),
        JsonError::UnknownField {
            near: Some(near), ..
        } => (
            &kinds::UNKNOWN_FIELD,
            format!("write `{near}`, or leave it out"),
        ),
        JsonError::UnknownField { known, .. } => (
            &kinds::UNKNOWN_FIELD,
            format!("the fields are {}", known.join(", ")),
        ),
        JsonError::DuplicateField(_) => {
            (&kinds::DUPLICATE_FIELD, "give each field once".to_owned())
        }
        JsonError::MissingField(_) => (
            &kinds::MISSING_FIELD,
            "add it; it has no default".to_owned(),
        ),
        JsonError::WrongType { .. } => (
            &kinds::WRONG_TYPE,
            "GET /openapi.json says what each field takes".to_owned(),
        ),
    };
    (kind, error.to_string(), hint)
}

fn of_media_type(found: Option<&str>) -> (&'static Kind, String, String) {
    let detail = match found {
        Some(found) => format!("the body is said to be `{found}`, not JSON"),
        None => "the request does not say what its body is".to_owned(),
    };
    let hint = "send `content-type: application/json`".to_owned();
    (&kinds::MEDIA_TYPE, detail, hint)
}

fn of_route(path: &str, near: Option<&str>) -> (&'static Kind, String, String) {
    let detail = format!("there is nothing at `{path}`");
    let hint = match near {
        Some(near) => format!("did you mean `{near}`? GET /openapi.json lists all paths"),
        None => "GET /openapi.json lists all paths".to_owned(),
    };
    (&kinds::NO_ROUTE, detail, hint)
}

fn of_no_module(digest: &Digest, namespace: Option<&Namespace>) -> (&'static Kind, String, String) {
    let detail = match namespace {
        Some(namespace) => format!("namespace `{namespace}` has no module {digest}"),
        None => format!("there is no module {digest}"),
    };
    let hint = "`stint module ls` (GET /v1/modules) lists those that there are".to_owned();
    (&kinds::NO_MODULE, detail, hint)
}

fn of_jobs(error: &JobsError) -> (&'static Kind, String, String) {
    let (kind, hint) = match error {
        JobsError::Cursor(_) => (
            &kinds::BAD_CURSOR,
            "leave `cursor` out to begin with the newest job",
        ),
        JobsError::Limit(_) => (&kinds::BAD_QUERY, "give another `limit`, or leave it out"),
    };
    (kind, error.to_string(), hint.to_owned())
}

fn of_submit(error: &SubmitError) -> (&'static Kind, String, String) {
    let (kind, hint) = match error {
        SubmitError::BadKey => (
            &kinds::BAD_HEADER,
            "give another `idempotency-key`, or leave it out",
        ),
        SubmitError::KeyReused { .. } => (
            &kinds::KEY_REUSED,
            "choose a new key for another job; a random one never repeats",
        ),
        SubmitError::Invalid(InvalidSpec { .. }) => {
            (&kinds::INVALID_FIELD, "correct the field and submit again")
        }
        SubmitError::UnknownModule { .. } => (
            &kinds::MODULE_UNKNOWN,
            "PUT /v1/modules pushes a module; `stint run` and `stint submit` do so by themselves",
        ),
        SubmitError::NeverFits { .. } => (
            &kinds::NEVER_FITS,
            "ask for less, or add a larger node (`stint nodes` lists them)",
        ),
        SubmitError::TooLarge { .. } => (
            &kinds::INVALID_FIELD,
            "put large data into an input, and its path into the arguments",
        ),
        SubmitError::TooMany { .. } => {
            (&kinds::TOO_MANY, "use another cluster for what comes next")
        }
    };
    (kind, error.to_string(), hint.to_owned())
}

fn of_hello(error: &HelloError) -> (&'static Kind, String, String) {
    let (kind, hint) = match error {
        HelloError::Protocol { .. } => (
            &kinds::OTHER_PROTOCOL,
            "run `stint --version` on both sides and install the same",
        ),
        HelloError::TooMany { .. } => (&kinds::TOO_MANY, "join the node to another cluster"),
    };
    (kind, error.to_string(), hint.to_owned())
}

fn of_blob(error: &BlobError) -> (&'static Kind, String, String) {
    let (kind, hint) = match error {
        BlobError::TooLarge { .. } => (
            &kinds::BODY_TOO_LARGE,
            "strip what the program does not use",
        ),
        BlobError::Digest { .. } => (
            &kinds::DIGEST_MISMATCH,
            "the digest is the sha-256 of the file; was the file changed while it was sent?",
        ),
        BlobError::Rejected(rejection) => {
            // A rejection says what is wrong, and after its last semicolon what to do.
            let text = rejection.to_string();
            let (detail, hint) = text
                .rsplit_once("; ")
                .unwrap_or((&text, "build it for wasm32-wasip1"));
            return (&kinds::MODULE_REJECTED, detail.to_owned(), hint.to_owned());
        }
        BlobError::Io { .. } | BlobError::ScanBroke => {
            return ApiError::internal("").problem();
        }
    };
    (kind, error.to_string(), hint.to_owned())
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.log();
        let (kind, detail, hint) = self.problem();
        let problem = Problem {
            kind: format!("urn:stint:{}", kind.name),
            title: kind.title.to_owned(),
            status: kind.status.as_u16(),
            detail,
            hint: Some(hint),
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
