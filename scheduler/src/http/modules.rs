//! `/v1/modules`: takes a module as it streams in, keeps it when all of it is
//! there, is what its digest says and could run; and shows what there is.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use stint_api::id::{Digest, Namespace};
use stint_api::quantity::Bytes;
use stint_api::time::Time;
use stint_api::view::{ModuleList, ModuleView};
use stint_scan::{Kind, ModuleFacts};

use super::extract::{Params, Segment, drain, refuse_length};
use super::problem::ApiError;
use super::{Api, Shared};
use crate::blobs::Upload;
use crate::driver::CallError;

/// Longest wait for a turn among the uploads; beyond, the client is told to come again.
const TURN_WAIT: Duration = Duration::from_secs(20);
/// Longest silence in an upload: what is sent at all comes within a round trip or a few.
const PIECE_WAIT: Duration = Duration::from_secs(30);
/// Longest upload: the largest module over a slow line.
const UPLOAD_WAIT: Duration = Duration::from_secs(3_600);

/// Which module is pushed, and for whom.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PushParams {
    /// Who it belongs to; `default` when absent.
    #[serde(default)]
    namespace: Namespace,
    /// Its sha-256: `sha256:` and 64 hexadecimal digits.
    digest: Digest,
}

/// Whose modules.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OfParams {
    /// Who they belong to; `default` when absent.
    #[serde(default)]
    pub(super) namespace: Namespace,
}

pub(super) async fn push(
    State(api): Shared,
    Params(params): Params<PushParams>,
    headers: HeaderMap,
    mut body: Body,
) -> Result<(StatusCode, Json<ModuleView>), ApiError> {
    let upload = upload(&api, &headers, &mut body, api.blobs.bytes_max()).await?;
    let facts = upload.finish(params.digest).await?;
    let module = view(facts, params.namespace);
    let pushed = api.driver.call(move |turn| {
        let (module, effects) = turn.cluster.module_pushed(turn.now, module)?;
        let is_new = !effects.is_empty();
        turn.follow(effects);
        Ok((module, is_new))
    });
    let (module, is_new) = pushed.await?.map_err(ApiError::TooManyModules)?;
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(module)))
}

/// Takes a body of at most `max` bytes, all of it.
pub(super) async fn upload<'a>(
    api: &'a Api,
    headers: &HeaderMap,
    body: &mut Body,
    max: u64,
) -> Result<Upload<'a>, ApiError> {
    refuse_length(headers, body, max).await?;
    let turn = tokio::time::timeout(TURN_WAIT, api.blobs.begin()).await;
    let mut upload = turn.map_err(|_| CallError::Busy)??;
    let taken = tokio::time::timeout(UPLOAD_WAIT, take(&mut upload, body)).await;
    match taken.unwrap_or(Err(ApiError::BodySlow)) {
        Ok(()) => Ok(upload),
        Err(error) => {
            // What came is gone before the rest is waited for.
            drop(upload);
            if matches!(error, ApiError::BodyTooLarge { .. }) {
                drain(body).await;
            }
            Err(error)
        }
    }
}

async fn take(upload: &mut Upload<'_>, body: &mut Body) -> Result<(), ApiError> {
    loop {
        let frame = tokio::time::timeout(PIECE_WAIT, body.frame()).await;
        let Some(frame) = frame.map_err(|_| ApiError::BodySlow)? else {
            return Ok(());
        };
        let frame = frame.map_err(|_| ApiError::BodyCut)?;
        if let Some(data) = frame.data_ref() {
            upload.push(data).await?;
        }
    }
}

pub(super) fn view(facts: ModuleFacts, namespace: Namespace) -> ModuleView {
    let kind = match facts.kind {
        Kind::Core => "core",
        Kind::Component => "component",
    };
    ModuleView {
        namespace,
        digest: Digest(facts.digest),
        size: Bytes(facts.size),
        kind: kind.to_owned(),
        entry: facts.entry,
        memory_min: Bytes(facts.memory_min_bytes),
        imports: facts.imports.iter().map(ToString::to_string).collect(),
        profile: facts.profile.to_string(),
        // The heart says when.
        pushed_at: Time::default(),
        kit: None,
    }
}

pub(super) async fn list(
    State(api): Shared,
    Params(OfParams { namespace }): Params<OfParams>,
) -> Result<Json<ModuleList>, ApiError> {
    let list = api
        .driver
        .call(move |turn| turn.cluster.modules(&namespace));
    Ok(Json(list.await?))
}

pub(super) async fn show(
    State(api): Shared,
    Segment(digest): Segment<Digest>,
    Params(OfParams { namespace }): Params<OfParams>,
) -> Result<Json<ModuleView>, ApiError> {
    let of = namespace.clone();
    let module = api
        .driver
        .call(move |turn| {
            let module = turn.cluster.module_wanted(turn.now, &of, &digest);
            module.cloned()
        })
        .await?;
    let namespace = Some(namespace);
    module
        .map(Json)
        .ok_or(ApiError::NoModule { digest, namespace })
}
