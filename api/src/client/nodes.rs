//! What is decided about nodes.

use reqwest::Method;

use super::{Client, Error};
use crate::id::NodeId;
use crate::time::Span;
use crate::view::{NodeList, NodeView};

impl Client {
    /// Every node that the scheduler knows.
    ///
    /// # Errors
    /// When no answer could be had.
    pub async fn nodes(&self) -> Result<NodeList, Error> {
        self.fetch(self.request(Method::GET, "/v1/nodes", &[]))
            .await
    }

    /// Gives a node no new work; what it has goes on.
    ///
    /// # Errors
    /// When there is none of that name, or no answer could be had.
    pub async fn cordon(&self, node: &NodeId) -> Result<NodeView, Error> {
        self.decide(node, "cordon", &[]).await
    }

    /// Lets a node take work again.
    ///
    /// # Errors
    /// When there is none of that name, or no answer could be had.
    pub async fn uncordon(&self, node: &NodeId) -> Result<NodeView, Error> {
        self.decide(node, "uncordon", &[]).await
    }

    /// Moves a node's work elsewhere: at once what is not begun, and what still
    /// runs when that time is over.
    ///
    /// # Errors
    /// When there is none of that name, or no answer could be had.
    pub async fn drain(&self, node: &NodeId, within: Span) -> Result<NodeView, Error> {
        let within = within.to_string();
        self.decide(node, "drain", &[("within", &within)]).await
    }

    async fn decide(
        &self,
        node: &NodeId,
        verb: &str,
        query: &[(&str, &str)],
    ) -> Result<NodeView, Error> {
        let path = format!("/v1/nodes/{node}:{verb}");
        self.fetch(self.request(Method::POST, &path, query)).await
    }
}
