//! `/v1/nodes`: who is there.

use axum::Json;
use axum::extract::State;
use stint_api::view::NodeList;

use super::Shared;
use super::problem::ApiError;

pub(super) async fn list(State(api): Shared) -> Result<Json<NodeList>, ApiError> {
    Ok(Json(api.driver.call(|turn| turn.cluster.nodes()).await?))
}
