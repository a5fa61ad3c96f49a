//! Every kind of problem that the API answers with: the one table. A kind's
//! name is part of the contract and never changes its meaning.

use axum::http::StatusCode;

/// A kind of problem: `urn:stint:` and its name make the problem's type.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
}

macro_rules! kinds {
    ($($constant:ident: $name:literal, $status:ident, $title:literal;)*) => {
        $(pub(crate) const $constant: Kind = Kind {
            name: $name, status: StatusCode::$status, title: $title,
        };)*
        /// All of them, for the contract.
        pub(crate) const ALL: &[&Kind] = &[$(&$constant),*];
    };
}

kinds! {
    BAD_QUERY: "bad-query", BAD_REQUEST, "The query cannot be read";
    BAD_ID: "bad-id", BAD_REQUEST, "That is not an id";
    BAD_HEADER: "bad-header", BAD_REQUEST, "A header cannot be read";
    BAD_CURSOR: "bad-cursor", BAD_REQUEST, "The cursor cannot be read";
    MALFORMED_JSON: "malformed-json", BAD_REQUEST, "The body is not JSON";
    BODY_CUT: "body-cut", BAD_REQUEST, "The body ended early";
    UNAUTHORIZED: "unauthorized", UNAUTHORIZED, "The token is missing or wrong";
    NO_ROUTE: "no-route", NOT_FOUND, "There is nothing at this path";
    NO_VERB: "no-verb", NOT_FOUND, "There is no such verb";
    NO_JOB: "no-job", NOT_FOUND, "There is no such job";
    NO_MODULE: "no-module", NOT_FOUND, "There is no such module";
    METHOD: "method-not-allowed", METHOD_NOT_ALLOWED, "This path has no such method";
    BODY_SLOW: "body-too-slow", REQUEST_TIMEOUT, "The body came too slowly";
    KEY_IN_FLIGHT: "idempotency-key-in-flight", CONFLICT, "The same key is being submitted";
    STALE_GENERATION: "stale-generation", CONFLICT, "The node must say hello";
    OTHER_PROTOCOL: "other-protocol", UNPROCESSABLE_ENTITY, "The node speaks another protocol";
    BODY_TOO_LARGE: "body-too-large", PAYLOAD_TOO_LARGE, "The body is too large";
    MEDIA_TYPE: "media-type", UNSUPPORTED_MEDIA_TYPE, "The body has the wrong media type";
    UNKNOWN_FIELD: "unknown-field", UNPROCESSABLE_ENTITY, "A field is not known";
    DUPLICATE_FIELD: "duplicate-field", UNPROCESSABLE_ENTITY, "A field is there twice";
    MISSING_FIELD: "missing-field", UNPROCESSABLE_ENTITY, "A field is missing";
    WRONG_TYPE: "wrong-type", UNPROCESSABLE_ENTITY, "A field has the wrong type or form";
    INVALID_FIELD: "invalid-field", UNPROCESSABLE_ENTITY, "A field has a value that cannot be";
    MODULE_UNKNOWN: "module-unknown", UNPROCESSABLE_ENTITY, "The module was not pushed";
    NEVER_FITS: "never-fits", UNPROCESSABLE_ENTITY, "The job fits on no node";
    KEY_REUSED: "idempotency-key-reused", UNPROCESSABLE_ENTITY, "The key made another job";
    MODULE_REJECTED: "module-rejected", UNPROCESSABLE_ENTITY, "The module cannot run here";
    DIGEST_MISMATCH: "digest-mismatch", UNPROCESSABLE_ENTITY, "The body has another digest";
    TOO_MANY: "too-many", UNPROCESSABLE_ENTITY, "The cluster has as many as it can";
    INTERNAL: "internal", INTERNAL_SERVER_ERROR, "The scheduler failed";
    BUSY: "busy", SERVICE_UNAVAILABLE, "The scheduler is busy";
    STOPPING: "stopping", SERVICE_UNAVAILABLE, "The scheduler is stopping";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own_and_a_status_that_is_an_error() {
        let mut names: Vec<&str> = ALL.iter().map(|kind| kind.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.iter().all(|kind| kind.status.as_u16() >= 400));
    }
}
