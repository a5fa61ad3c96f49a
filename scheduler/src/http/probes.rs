//! What machines ask to know whether the scheduler is well: signs of life, and figures.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Shared;
use super::problem::ApiError;
use crate::driver::CallError;

/// Longest wait for the driver before the scheduler calls itself not ready:
/// probes give up after a second or a few.
const READY_WAIT: Duration = Duration::from_secs(2);
/// The media type of the OpenMetrics text format.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The process answers.
pub(super) async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// The driver answers, and the scheduler is not about to stop.
pub(super) async fn ready(State(api): Shared) -> Result<Json<Value>, ApiError> {
    if *api.stop.borrow() {
        return Err(CallError::Stopped.into());
    }
    let answer = api.driver.call(|turn| turn.cluster.id());
    let id = tokio::time::timeout(READY_WAIT, answer).await;
    let id = id.map_err(|_| CallError::Busy)??;
    Ok(Json(json!({ "status": "ready", "cluster": id })))
}

pub(super) async fn metrics(State(api): Shared) -> Result<Response, ApiError> {
    let counted = api
        .driver
        .call(|turn| (turn.cluster.census(), turn.cluster.capacity()));
    let (census, capacity) = counted.await?;
    api.metrics.take(&census, api.driver.waiting());
    api.metrics.capacity.take(&capacity);
    let text = api.metrics.text().map_err(ApiError::internal)?;
    Ok(([(CONTENT_TYPE, METRICS_TYPE)], text).into_response())
}
