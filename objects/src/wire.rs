//! The HTTP client below web servers and buckets: connections, names to addresses, TLS,
//! and how long each may take. No proxy and no redirect: an address that was checked is
//! the one that is spoken to.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioExecutor;

use crate::address::Trust;
use crate::error::ObjectError;

/// Longest until a server takes a connection: three lost packets.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Longest until a server begins its answer: a slow store takes seconds.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// Longest time without a byte in the middle of an answer.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Connections that are kept to one host when nobody uses them.
const IDLE_MAX: usize = 8;
/// How long they are kept: servers close theirs after a minute or so.
const IDLE_KEPT: Duration = Duration::from_secs(30);

/// A client that speaks to hosts it trusts so far.
#[derive(Debug)]
pub(crate) struct Wire<B> {
    client: Client<HttpsConnector<HttpConnector<Resolver>>, B>,
}

impl<B> Clone for Wire<B> {
    fn clone(&self) -> Self {
        let client = self.client.clone();
        Self { client }
    }
}

impl<B> Wire<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// A client with the certificates that this machine trusts. Reads them from its disk.
    pub(crate) fn new(trust: Trust) -> Result<Self, ObjectError> {
        let mut http = HttpConnector::new_with_resolver(Resolver { trust });
        http.enforce_http(false);
        http.set_connect_timeout(Some(CONNECT_MAX));
        http.set_nodelay(true);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(provider)
            .map_err(|error| {
                ObjectError::Settings(format!(
                    "no trusted certificates ({error}); install ca-certificates"
                ))
            })?;
        let connector = builder.https_or_http().enable_http1().wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(IDLE_MAX)
            .pool_idle_timeout(IDLE_KEPT)
            .pool_timer(hyper_util::rt::TokioTimer::new())
            .build(connector);
        Ok(Self { client })
    }

    /// Sends a request; the answer's body is still to come.
    pub(crate) async fn send(&self, request: Request<B>) -> Result<Response<Incoming>, WireError> {
        let answer = tokio::time::timeout(ANSWER_MAX, self.client.request(request));
        match answer.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(WireError::Broken(error)),
            Err(_) => Err(WireError::Silent),
        }
    }
}

/// A request without an answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// It cannot be reached, or broke.
    #[error("the connection")]
    Broken(#[source] hyper_util::client::legacy::Error),
    /// It did not begin to answer.
    #[error("no answer within {} seconds", ANSWER_MAX.as_secs())]
    Silent,
}

impl WireError {
    /// What it means for an object of `host`.
    pub(crate) fn of_object(self, host: &str) -> ObjectError {
        match self {
            Self::Silent => ObjectError::Silent(ANSWER_MAX.as_secs()),
            Self::Broken(error) => match refused(&error) {
                Some(address) => ObjectError::Address {
                    host: host.to_owned(),
                    address,
                },
                None => ObjectError::Broken(Box::new(error)),
            },
        }
    }
}

/// The addresses that a resolver would not give, if that is why.
fn refused(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        if let Some(refused) = inner.and_then(|inner| inner.downcast_ref::<Refused>()) {
            return Some(refused.0.clone());
        }
        if let Some(refused) = error.downcast_ref::<Refused>() {
            return Some(refused.0.clone());
        }
        cause = error.source();
    }
    None
}

/// A name stands only for addresses that may not be spoken to.
#[derive(Debug, thiserror::Error)]
#[error("it is at {0}")]
struct Refused(String);

/// From names to those of their addresses that may be spoken to.
#[derive(Clone, Debug)]
pub(crate) struct Resolver {
    trust: Trust,
}

impl tower_service::Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let trust = self.trust;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let (good, bad): (Vec<_>, Vec<_>) = found.partition(|at| trust.allows(at.ip()));
            match bad.first() {
                Some(bad) if good.is_empty() => {
                    Err(io::Error::other(Refused(bad.ip().to_string())))
                }
                _ => Ok(good.into_iter()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Empty;

    use super::*;

    #[tokio::test]
    async fn a_name_of_this_machine_is_not_spoken_to_by_strangers() {
        let wire: Wire<Empty<Bytes>> = Wire::new(Trust::Public).unwrap();
        let request = Request::get("http://localhost:1/")
            .body(Empty::new())
            .unwrap();
        let error = wire.send(request).await.unwrap_err().of_object("localhost");
        assert!(matches!(error, ObjectError::Address { .. }), "{error:?}");
    }
}
