//! `/v1/namespaces`: what somebody decides about them, and what they have.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use stint_api::id::{Namespace, ParseIdError};
use stint_api::namespace::{NamespaceList, NamespaceSpec, NamespaceView};

use super::extract::json_body;
use super::problem::ApiError;
use super::{Shared, json};

/// Most bytes of a decision: a few numbers, and room for spaces.
const SPEC_BYTES_MAX: usize = 4 << 10;

pub(super) async fn list(State(api): Shared) -> Result<Json<NamespaceList>, ApiError> {
    let list = api.driver.call(|turn| turn.cluster.namespaces());
    Ok(Json(list.await?))
}

pub(super) async fn show(
    State(api): Shared,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<NamespaceView>, ApiError> {
    let name = name_of(path)?;
    let view = api.driver.call(move |turn| turn.cluster.namespace(&name));
    Ok(Json(view.await?))
}

pub(super) async fn put(
    State(api): Shared,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<NamespaceView>, ApiError> {
    let name = name_of(path)?;
    let body = json_body(&headers, body, SPEC_BYTES_MAX).await?;
    let spec: NamespaceSpec = json::read(&body)?;
    let decided = api.driver.call(move |turn| {
        let (view, effects) = turn.cluster.set_namespace(turn.now, &name, spec)?;
        turn.follow(effects);
        Ok(view)
    });
    Ok(Json(decided.await?.map_err(ApiError::Namespace)?))
}

fn name_of(path: Result<Path<String>, PathRejection>) -> Result<Namespace, ApiError> {
    // What is no text is no name either.
    let name = path.map_or_else(|_| String::new(), |Path(name)| name);
    name.parse()
        .map_err(|error: ParseIdError| ApiError::Id(error))
}
