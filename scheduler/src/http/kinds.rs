//! Every kind of problem that the API answers with: the one table. A kind's
//! name is part of the contract and never changes its meaning. Its hint says
//! what to do next, unless the case at hand knows better.

use axum::http::StatusCode;

/// A kind of problem: `urn:stint:` and its name make the problem's type.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
    pub(crate) hint: &'static str,
}

macro_rules! kinds {
    ($($constant:ident: $name:literal, $status:ident, $title:literal, $hint:literal;)*) => {
        $(pub(crate) const $constant: Kind = Kind {
            name: $name, status: StatusCode::$status, title: $title, hint: $hint,
        };)*
        /// All of them, for the contract.
        pub(crate) const ALL: &[&Kind] = &[$(&$constant),*];
    };
}

kinds! {
    BAD_QUERY: "bad-query", BAD_REQUEST, "The query cannot be read",
        "GET /openapi.json lists the parameters of each path";
    BAD_ID: "bad-id", BAD_REQUEST, "That is not an id",
        "give the id as the scheduler wrote it";
    BAD_HEADER: "bad-header", BAD_REQUEST, "A header cannot be read",
        "correct the header, or leave it out";
    BAD_CURSOR: "bad-cursor", BAD_REQUEST, "The cursor cannot be read",
        "leave `cursor` out to begin with the newest job";
    MALFORMED_JSON: "malformed-json", BAD_REQUEST, "The body is not JSON",
        "check the body with a JSON parser";
    BODY_CUT: "body-cut", BAD_REQUEST, "The body ended early",
        "send it again";
    UNAUTHORIZED: "unauthorized", UNAUTHORIZED, "The token is missing or wrong",
        "send `Authorization: Bearer TOKEN`; the stint command takes it from --token-file or STINT_TOKEN";
    FOREIGN_PAGE: "foreign-page", FORBIDDEN, "Web pages may not drive this scheduler",
        "ask with the stint command or another program at http://127.0.0.1 or http://localhost; a scheduler that is started with --token-file takes any request that bears the token";
    NO_ROUTE: "no-route", NOT_FOUND, "There is nothing at this path",
        "GET /openapi.json lists all paths";
    NO_VERB: "no-verb", NOT_FOUND, "There is no such verb",
        "POST /v1/jobs/{id}:cancel, :suspend, :resume and :rerun steer a job";
    NO_JOB: "no-job", NOT_FOUND, "There is no such job",
        "`stint jobs` (GET /v1/jobs) lists those that there are";
    NO_NODE: "no-node", NOT_FOUND, "There is no such node",
        "`stint nodes` (GET /v1/nodes) lists those that there are";
    NO_MODULE: "no-module", NOT_FOUND, "There is no such module",
        "`stint module ls` (GET /v1/modules) lists those that there are";
    NO_KIT: "no-kit", NOT_FOUND, "There is no such kit",
        "`stint kit ls` (GET /v1/kits) lists those that there are; `stint kit add python` adds the one for Python";
    NO_FILE: "no-file", NOT_FOUND, "There is no such file",
        "PUT /v1/files puts a file";
    METHOD: "method-not-allowed", METHOD_NOT_ALLOWED, "This path has no such method",
        "the header `allow` lists the methods that it has";
    BODY_SLOW: "body-too-slow", REQUEST_TIMEOUT, "The body came too slowly",
        "send it again over a better connection";
    HELLO_HELD_UP: "hello-held-up", REQUEST_TIMEOUT, "A later hello was heard",
        "say hello again";
    KEY_IN_FLIGHT: "idempotency-key-in-flight", CONFLICT, "The same key is being submitted",
        "wait for that answer, or ask again in a moment";
    JOB_OVER: "job-over", CONFLICT, "The job is over",
        "`stint rerun JOB` (POST /v1/jobs/{id}:rerun) runs it once more";
    NOTHING_FAILED: "nothing-failed", CONFLICT, "No task of the job has failed",
        "leave `failed` out to run all of it once more";
    STALE_GENERATION: "stale-generation", CONFLICT, "The node must say hello",
        "POST /v1/link/hello gives a new generation";
    BODY_TOO_LARGE: "body-too-large", PAYLOAD_TOO_LARGE, "The body is too large",
        "send less; large data belongs in inputs, not in a job or a module";
    MEDIA_TYPE: "media-type", UNSUPPORTED_MEDIA_TYPE, "The body has the wrong media type",
        "send `content-type: application/json`";
    OTHER_PROTOCOL: "other-protocol", UNPROCESSABLE_ENTITY, "The node speaks another protocol",
        "run `stint --version` on both sides and install the same";
    UNKNOWN_FIELD: "unknown-field", UNPROCESSABLE_ENTITY, "A field is not known",
        "GET /openapi.json lists the fields";
    DUPLICATE_FIELD: "duplicate-field", UNPROCESSABLE_ENTITY, "A field is there twice",
        "give each field once";
    MISSING_FIELD: "missing-field", UNPROCESSABLE_ENTITY, "A field is missing",
        "add it; it has no default";
    WRONG_TYPE: "wrong-type", UNPROCESSABLE_ENTITY, "A field has the wrong type or form",
        "GET /openapi.json says what each field takes";
    INVALID_FIELD: "invalid-field", UNPROCESSABLE_ENTITY, "A field has a value that cannot be",
        "correct the field and submit again";
    MODULE_UNKNOWN: "module-unknown", UNPROCESSABLE_ENTITY, "The module was not pushed",
        "PUT /v1/modules pushes a module; `stint run` and `stint submit` do so by themselves";
    KIT_UNKNOWN: "kit-unknown", UNPROCESSABLE_ENTITY, "The kit was not added",
        "`stint kit add python` adds the kit for Python; `stint kit ls` lists those that there are";
    FILE_UNKNOWN: "file-unknown", UNPROCESSABLE_ENTITY, "A file was not put",
        "PUT /v1/files puts a file; the stint command does so by itself";
    NEVER_FITS: "never-fits", UNPROCESSABLE_ENTITY, "The job fits on no node",
        "ask for less, or add a larger node (`stint nodes` lists them)";
    QUOTA: "quota", FORBIDDEN, "The quota of the namespace does not allow it",
        "wait for jobs to end, ask for less, or let an administrator raise the quota: `stint namespace set`";
    KEY_REUSED: "idempotency-key-reused", UNPROCESSABLE_ENTITY, "The key made another job",
        "choose a new key for another job; a random one never repeats";
    MODULE_REJECTED: "module-rejected", UNPROCESSABLE_ENTITY, "The module cannot run here",
        "build it for wasm32-wasip1";
    DIGEST_MISMATCH: "digest-mismatch", UNPROCESSABLE_ENTITY, "The body has another digest",
        "the digest is the sha-256 of the file; was the file changed while it was sent?";
    TOO_MANY: "too-many", UNPROCESSABLE_ENTITY, "The cluster has as many as it can",
        "use another cluster for what comes next";
    INTERNAL: "internal", INTERNAL_SERVER_ERROR, "The scheduler failed",
        "ask again; if it goes on, look at the scheduler's log";
    BUSY: "busy", SERVICE_UNAVAILABLE, "The scheduler is busy",
        "ask again in a moment; what was asked now was not done";
    STOPPING: "stopping", SERVICE_UNAVAILABLE, "The scheduler is stopping",
        "ask again when it is there again; whether this was done is not known";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own_a_status_that_is_an_error_and_a_hint() {
        let mut names: Vec<&str> = ALL.iter().map(|kind| kind.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.iter().all(|kind| kind.status.as_u16() >= 400));
        assert!(ALL.iter().all(|kind| !kind.hint.is_empty()));
    }
}
