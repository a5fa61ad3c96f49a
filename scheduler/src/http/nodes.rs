//! `/v1/nodes`: who is there, and what somebody decides about them.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use stint_api::id::NodeId;
use stint_api::time::Span;
use stint_api::view::{CapacityView, NodeList, NodeView};

use super::Shared;
use super::extract::{Act, Params};
use super::problem::ApiError;

/// What runs has this long to end when nobody says how long.
const DRAIN_WITHIN: Span = Span::from_secs(30);
/// Longest time to drain: as long as the longest attempt.
const DRAIN_WITHIN_MAX: Span = stint_api::job::TIMEOUT_MAX;

pub(super) async fn list(State(api): Shared) -> Result<Json<NodeList>, ApiError> {
    Ok(Json(api.driver.call(|turn| turn.cluster.nodes()).await?))
}

/// `GET /v1/capacity`.
pub(super) async fn capacity(State(api): Shared) -> Result<Json<CapacityView>, ApiError> {
    Ok(Json(api.driver.call(|turn| turn.cluster.capacity()).await?))
}

/// How a node is drained.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DrainParams {
    /// How long what runs has to end by itself, for example `5m`; 30s when absent.
    within: Option<Span>,
}

/// `POST /v1/nodes/{id}:VERB`.
pub(super) async fn act(
    State(api): Shared,
    act: Act<NodeId>,
    Params(DrainParams { within }): Params<DrainParams>,
) -> Result<Json<NodeView>, ApiError> {
    let Act { id, verb } = act;
    if within.is_some_and(|within| within > DRAIN_WITHIN_MAX) {
        let why = format!("`within`: at most {DRAIN_WITHIN_MAX}");
        return Err(ApiError::Query(why));
    }
    if within.is_some() && verb != "drain" {
        return Err(ApiError::Query(format!("`within`: not of `{verb}`")));
    }
    if !["cordon", "uncordon", "drain"].contains(&verb.as_str()) {
        return Err(ApiError::NoVerb { verb, of: "node" });
    }
    let decided = api.driver.call(move |turn| {
        let (now, cluster) = (turn.now, &mut *turn.cluster);
        let decided = match verb.as_str() {
            "cordon" => cluster.cordon(now, &id),
            "uncordon" => cluster.uncordon(now, &id),
            _ => cluster.drain(now, &id, within.unwrap_or(DRAIN_WITHIN)),
        };
        let (view, effects) = decided?;
        turn.follow(effects);
        Ok(view)
    });
    Ok(Json(decided.await?.map_err(ApiError::NoNode)?))
}
