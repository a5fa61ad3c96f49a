//! The node's side of the node link: hello, orders, reports, and bytes of modules and files.
//!
//! Each call is one request and holds no opinion about what to do when it
//! fails; the node decides that.

use reqwest::{Method, Response};

use super::{Client, Error};
use crate::id::{Digest, Generation, NodeId};
use crate::link::{Hello, Leave, MESSAGE_BYTES_MAX, Orders, Reports, ReportsAnswer, Welcome};

impl Client {
    /// Joins the cluster, or joins it again.
    ///
    /// # Errors
    /// When the scheduler refuses, or no answer could be had.
    pub async fn hello(&self, hello: &Hello) -> Result<Welcome, Error> {
        let request = self.request(Method::POST, "/v1/link/hello", &[]);
        self.fetch(request.json(hello)).await
    }

    /// Says what happened, and asks for the lease to be renewed.
    ///
    /// # Errors
    /// When the generation is old ([`Error::is_stale_generation`]), the
    /// scheduler refuses, or no answer could be had.
    pub async fn report(&self, reports: &Reports) -> Result<ReportsAnswer, Error> {
        let request = self.request(Method::POST, "/v1/link/reports", &[]);
        self.fetch(request.json(reports)).await
    }

    /// Says goodbye, once nothing runs any more.
    ///
    /// # Errors
    /// When the generation is old ([`Error::is_stale_generation`]), the
    /// scheduler refuses, or no answer could be had.
    pub async fn leave(&self, leave: &Leave) -> Result<(), Error> {
        let request = self.request(Method::POST, "/v1/link/leave", &[]);
        self.send(request.json(leave)).await.map(drop)
    }

    /// Opens the stream of orders. Its first line says in full what the node shall hold.
    ///
    /// # Errors
    /// When the generation is old ([`Error::is_stale_generation`]), the
    /// scheduler refuses, or no answer could be had.
    pub async fn orders(
        &self,
        node: &NodeId,
        generation: Generation,
    ) -> Result<OrdersStream, Error> {
        let generation = generation.0.to_string();
        let query = [("node", node.as_str()), ("generation", &generation)];
        let response = self.open("/v1/link/orders", &query, None).await?;
        Ok(OrdersStream {
            client: self.clone(),
            response,
            line: Vec::new(),
            rest: Vec::new(),
        })
    }

    /// Opens a module's bytes. Whoever reads them checks their digest.
    ///
    /// # Errors
    /// When the scheduler has no module of that digest, or no answer could be had.
    pub async fn module_bytes(&self, digest: &Digest) -> Result<BlobBytes, Error> {
        self.blob(&format!("/v1/link/modules/{digest}")).await
    }

    /// Opens the bytes of a file beside a module, or of a script. Whoever reads them
    /// checks their digest.
    ///
    /// # Errors
    /// When the scheduler has no file of that digest, or no answer could be had.
    pub async fn file_bytes(&self, digest: &Digest) -> Result<BlobBytes, Error> {
        self.blob(&format!("/v1/link/files/{digest}")).await
    }

    async fn blob(&self, path: &str) -> Result<BlobBytes, Error> {
        let response = self.open(path, &[], None).await?;
        Ok(BlobBytes {
            client: self.clone(),
            response,
        })
    }
}

impl Error {
    /// Whether the scheduler knows a newer generation of this node: it has to say hello again.
    pub fn is_stale_generation(&self) -> bool {
        self.problem().is_some_and(|problem| problem.status == 409)
    }
}

/// Orders as they come, one line each.
#[derive(Debug)]
pub struct OrdersStream {
    client: Client,
    response: Response,
    /// The line that is being read; at most [`MESSAGE_BYTES_MAX`].
    line: Vec<u8>,
    /// Bytes that came after its end.
    rest: Vec<u8>,
}

impl OrdersStream {
    /// The next orders; `None` when the scheduler ended the stream. Empty lines
    /// are signs of life and skipped. May be dropped while it waits, and called again.
    ///
    /// # Errors
    /// When the connection breaks, or a line is too long or cannot be read.
    pub async fn next(&mut self) -> Result<Option<Orders>, Error> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                self.line.extend(self.rest.drain(..=end));
                let line = std::mem::take(&mut self.line);
                if line.trim_ascii().is_empty() {
                    continue;
                }
                let orders = serde_json::from_slice(&line).map_err(|source| Error::Decode {
                    server: self.client.server().to_owned(),
                    source,
                })?;
                return Ok(Some(orders));
            }
            self.line.append(&mut self.rest);
            if self.line.len() > MESSAGE_BYTES_MAX {
                let what = format!("a line of more than {MESSAGE_BYTES_MAX} bytes");
                return Err(self.client.protocol(what));
            }
            match chunk(&self.client, &mut self.response).await? {
                Some(bytes) => self.rest.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
    }
}

/// The bytes of a module or a file as they come.
#[derive(Debug)]
pub struct BlobBytes {
    client: Client,
    response: Response,
}

impl BlobBytes {
    /// The next bytes; `None` after the last.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn next(&mut self) -> Result<Option<bytes::Bytes>, Error> {
        chunk(&self.client, &mut self.response).await
    }
}

async fn chunk(client: &Client, response: &mut Response) -> Result<Option<bytes::Bytes>, Error> {
    let chunk = response.chunk().await;
    chunk.map_err(|error| Error::transport(client.server(), error))
}
