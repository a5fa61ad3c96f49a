//! `/v1/files`: takes the files of kits, and scripts, as they stream in.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use stint_api::id::Digest;
use stint_api::kit::{FILE_BYTES_MAX, FileView};
use stint_api::quantity::Bytes;
use tokio_util::io::ReaderStream;

use super::Shared;
use super::extract::{Params, Segment};
use super::link::PIECE_BYTES;
use super::modules::upload;
use super::problem::ApiError;
use crate::files::Found;

/// Which file is put.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PutParams {
    /// Its sha-256: `sha256:` and 64 hexadecimal digits.
    digest: Digest,
}

pub(super) async fn put(
    State(api): Shared,
    Params(PutParams { digest }): Params<PutParams>,
    headers: HeaderMap,
    mut body: Body,
) -> Result<(StatusCode, Json<FileView>), ApiError> {
    let max = FILE_BYTES_MAX.min(api.blobs.bytes_max());
    let upload = upload(&api, &headers, &mut body, max).await?;
    let bytes = upload.finish_file(digest, &api.files).await?;
    let file = FileView {
        digest,
        bytes: Bytes(bytes),
    };
    Ok((StatusCode::CREATED, Json(file)))
}

pub(super) async fn show(
    State(api): Shared,
    Segment(digest): Segment<Digest>,
) -> Result<Json<FileView>, ApiError> {
    let found = find(&api, digest).await?;
    Ok(Json(FileView {
        digest,
        bytes: Bytes(found.bytes),
    }))
}

/// The bytes, for a node.
pub(super) async fn give(
    State(api): Shared,
    Segment(digest): Segment<Digest>,
) -> Result<Response, ApiError> {
    let found = find(&api, digest).await?;
    let file = tokio::fs::File::open(&found.path).await;
    let headers = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_LENGTH, found.bytes.to_string()),
    ];
    let pieces = ReaderStream::with_capacity(file.map_err(ApiError::internal)?, PIECE_BYTES);
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// The file of that digest, which has to be there.
pub(super) async fn find(api: &super::Api, digest: Digest) -> Result<Found, ApiError> {
    let files = std::sync::Arc::clone(&api.files);
    let found = tokio::task::spawn_blocking(move || files.find(&digest)).await;
    let found = found
        .map_err(ApiError::internal)?
        .map_err(ApiError::internal)?;
    found.ok_or(ApiError::NoFile { digest })
}
