//! `/v1/kits`: adds a kit whose module and files were put before, and shows what
//! there is.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use stint_api::id::{Digest, is_name};
use stint_api::kit::{
    BESIDE_BYTES_MAX, Kit, KitList, KitSpec, MANIFEST_BYTES_MAX, Manifest, SCRIPT_BYTES_MAX, Script,
};
use stint_api::quantity::Bytes;
use stint_api::time::Time;

use super::extract::{Params, json_body};
use super::modules::{OfParams, view};
use super::problem::ApiError;
use super::{Api, Shared, files, json};
use crate::files::Found;

/// Most bytes of a kit: arguments and environment at their limits, escaped.
const KIT_BYTES_MAX: usize = 2 << 20;

pub(super) async fn put(
    State(api): Shared,
    path: Result<Path<String>, axum::extract::rejection::PathRejection>,
    Params(params): Params<OfParams>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Kit>), ApiError> {
    let name = name_of(path)?;
    let body = json_body(&headers, body, KIT_BYTES_MAX).await?;
    let spec: KitSpec = json::read(&body)?;
    spec.validate().map_err(ApiError::Kit)?;
    let files_bytes = check_files(&api, spec.files).await?;
    let module = known(&api, spec.module, "the kit's module").await?;
    let facts = api.blobs.adopt(module, spec.module, spec.entry.clone());
    let module = view(facts.await?, params.namespace);
    let kit = Kit {
        name,
        spec,
        files_bytes,
        // The heart says when.
        added_at: Time::default(),
    };
    let added = api.driver.call(move |turn| {
        let (kit, effects) = turn.cluster.kit_added(turn.now, module, kit)?;
        let is_new = !effects.is_empty();
        turn.follow(effects);
        Ok((kit, is_new))
    });
    let (kit, is_new) = added.await?.map_err(ApiError::AddKit)?;
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(kit)))
}

pub(super) async fn list(
    State(api): Shared,
    Params(params): Params<OfParams>,
) -> Result<Json<KitList>, ApiError> {
    let namespace = params.namespace;
    let list = api.driver.call(move |turn| turn.cluster.kits(&namespace));
    Ok(Json(list.await?))
}

pub(super) async fn show(
    State(api): Shared,
    path: Result<Path<String>, axum::extract::rejection::PathRejection>,
    Params(params): Params<OfParams>,
) -> Result<Json<Kit>, ApiError> {
    let (name, namespace) = (name_of(path)?, params.namespace);
    let (wanted, of) = (name.clone(), namespace.clone());
    let kit = api
        .driver
        .call(move |turn| turn.cluster.kit(&of, &wanted).cloned());
    let kit = kit.await?;
    kit.map(Json).ok_or(ApiError::NoKit { name, namespace })
}

/// Checks that a job's script and what lies beside it were put, and are not too large.
pub(super) async fn check_script(api: &Api, script: &Script) -> Result<(), ApiError> {
    let found = known(api, script.digest, "the script").await?;
    if found.bytes > SCRIPT_BYTES_MAX {
        return Err(ApiError::BodyTooLarge {
            max: SCRIPT_BYTES_MAX,
        });
    }
    let mut bytes: u64 = 0;
    for file in &script.files {
        let found = known(api, file.digest, "a file beside the script").await?;
        bytes = bytes.saturating_add(found.bytes);
    }
    if bytes > BESIDE_BYTES_MAX {
        return Err(ApiError::BesideTooLarge { bytes });
    }
    Ok(())
}

fn name_of(
    path: Result<Path<String>, axum::extract::rejection::PathRejection>,
) -> Result<String, ApiError> {
    let name = path.map(|Path(text)| text).unwrap_or_default();
    if is_name(&name) {
        Ok(name)
    } else {
        Err(ApiError::KitName {
            name: super::excerpt(&name),
        })
    }
}

/// What is named in a body has to be there, or the body is wrong.
async fn known(api: &Api, digest: Digest, what: &'static str) -> Result<Found, ApiError> {
    match files::find(api, digest).await {
        Err(ApiError::NoFile { digest }) => Err(ApiError::FileUnknown { what, digest }),
        found => found,
    }
}

/// The bytes of a kit's files, all of which have to be there.
async fn check_files(api: &Arc<Api>, list: Option<Digest>) -> Result<Bytes, ApiError> {
    let Some(digest) = list else {
        return Ok(Bytes(0));
    };
    let found = known(api, digest, "the list of files").await?;
    if found.bytes > MANIFEST_BYTES_MAX {
        return Err(ApiError::BodyTooLarge {
            max: MANIFEST_BYTES_MAX,
        });
    }
    let text = tokio::fs::read(&found.path)
        .await
        .map_err(ApiError::internal)?;
    let manifest: Manifest = json::read(&text)?;
    manifest.validate().map_err(ApiError::Kit)?;
    let files = Arc::clone(&api.files);
    let checked = tokio::task::spawn_blocking(move || {
        let missing = manifest
            .files()
            .find_map(|file| match files.find(&file.digest) {
                Ok(Some(_)) => None,
                Ok(None) => Some(Ok(file.digest)),
                Err(error) => Some(Err(error)),
            });
        missing
            .transpose()
            .map(|missing| (missing, manifest.bytes()))
    });
    let checked = checked.await.map_err(ApiError::internal)?;
    match checked.map_err(ApiError::internal)? {
        (None, bytes) => Ok(bytes),
        (Some(digest), _) => Err(ApiError::FileUnknown {
            what: "a file of the kit",
            digest,
        }),
    }
}
