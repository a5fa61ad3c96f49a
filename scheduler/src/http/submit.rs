//! `POST /v1/jobs`: a job is answered for once it is durable, and a submit
//! that is repeated under its key makes no second one.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};
use stint_api::id::{Digest, Namespace};
use stint_api::job::JobSpec;
use stint_api::view::Submitted;
use stint_cluster::{IdempotencyKey, Submission};

use super::extract::json_body;
use super::problem::ApiError;
use super::{Api, Shared, json, kits, split};

/// Most bytes of a job: arguments, environment and inputs at their limits,
/// every character of them escaped.
const JOB_BYTES_MAX: usize = 4 << 20;
/// The header that makes a submit safe to repeat.
const KEY_HEADER: &str = "idempotency-key";

/// Keys of submits that are not answered yet; as many as there are requests.
#[derive(Debug, Default)]
pub(crate) struct Submits(Mutex<BTreeSet<(Namespace, String)>>);

/// A submit under way; dropped, its key may be used again.
pub(super) struct UnderWay<'a> {
    submits: &'a Submits,
    key: (Namespace, String),
}

impl Submits {
    pub(super) fn begin(&self, namespace: &Namespace, key: &str) -> Result<UnderWay<'_>, ApiError> {
        let key = (namespace.clone(), key.to_owned());
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.insert(key.clone()) {
            Ok(UnderWay { submits: self, key })
        } else {
            Err(ApiError::KeyInFlight { key: key.1 })
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let keys = self.submits.0.lock();
        keys.unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
    }
}

pub(super) async fn submit(
    State(api): Shared,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let body = json_body(&headers, body, JOB_BYTES_MAX).await?;
    let key = key_of(&headers, &body)?;
    let mut spec: JobSpec = json::read(&body)?;
    drop(body);
    let under_way = key
        .as_ref()
        .map(|key| api.submits.begin(&spec.namespace, &key.key));
    let _under_way = under_way.transpose()?;
    if let Some(script) = &spec.script {
        kits::check_script(&api, script).await?;
    }
    split::resolve(&api, &mut spec, key.clone(), split::until()).await?;
    let submitted = api
        .driver
        .call(move |turn| {
            let (submission, effects) = turn.cluster.submit(turn.now, spec, key)?;
            turn.follow(effects);
            Ok(submission)
        })
        .await?;
    Ok(self::submitted(&api, &submitted.map_err(ApiError::Submit)?))
}

/// The answer to a submit.
pub(super) fn submitted(api: &Api, submission: &Submission) -> Response {
    let status = match submission {
        Submission::New(_) => {
            api.metrics.jobs_submitted.inc();
            StatusCode::CREATED
        }
        Submission::Known(_) => StatusCode::OK,
    };
    let id = submission.id().clone();
    let location = [(LOCATION, format!("/v1/jobs/{id}"))];
    (status, location, Json(Submitted { id })).into_response()
}

/// The key of a submit, and the body that it stands for.
pub(super) fn key_of(headers: &HeaderMap, body: &[u8]) -> Result<Option<IdempotencyKey>, ApiError> {
    let mut values = headers.get_all(KEY_HEADER).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let wrong = |why: &str| ApiError::Header {
        name: KEY_HEADER,
        why: why.to_owned(),
    };
    if values.next().is_some() {
        return Err(wrong("it is there twice"));
    }
    let key = value
        .to_str()
        .map_err(|_| wrong("it holds bytes that are not printable ASCII"))?;
    Ok(Some(IdempotencyKey {
        key: key.to_owned(),
        body: Digest(Sha256::digest(body).into()),
    }))
}
