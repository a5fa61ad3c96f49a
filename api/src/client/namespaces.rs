//! What is decided about namespaces.

use reqwest::Method;

use super::{Client, Error};
use crate::id::Namespace;
use crate::namespace::{NamespaceList, NamespaceSpec, NamespaceView};

impl Client {
    /// Every namespace that has jobs, or about which something was decided.
    ///
    /// # Errors
    /// When no answer could be had.
    pub async fn namespaces(&self) -> Result<NamespaceList, Error> {
        self.fetch(self.request(Method::GET, "/v1/namespaces", &[]))
            .await
    }

    /// One namespace; one that nobody has used is as it would be.
    ///
    /// # Errors
    /// When no answer could be had.
    pub async fn namespace(&self, namespace: &Namespace) -> Result<NamespaceView, Error> {
        let path = format!("/v1/namespaces/{namespace}");
        self.fetch(self.request(Method::GET, &path, &[])).await
    }

    /// Decides about a namespace, in place of what was decided before.
    ///
    /// # Errors
    /// When it is refused, or no answer could be had.
    pub async fn set_namespace(
        &self,
        namespace: &Namespace,
        spec: &NamespaceSpec,
    ) -> Result<NamespaceView, Error> {
        let path = format!("/v1/namespaces/{namespace}");
        let request = self.request(Method::PUT, &path, &[]).json(spec);
        self.fetch(request).await
    }
}
