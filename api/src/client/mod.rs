//! The HTTP client: one method a verb of the API, used by the command line,
//! the node and the tests.
//!
//! It speaks HTTP/2 without TLS over one connection, so that a followed log, a
//! followed job and a cancellation share it, and a refused upload is heard of
//! before it is through.

mod error;
mod follow;
mod link;
mod namespaces;
mod nodes;
mod patience;
mod sse;
mod upload;
mod verbs;

use std::fmt;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, Url};
use serde::de::DeserializeOwned;

use crate::problem::Problem;

pub use error::Error;
pub use follow::{Events, Follow, LogBytes, LogChoice, Logs, Results};
pub use link::{BlobBytes, OrdersStream};
pub use patience::{Patience, SILENCE_MAX};

/// Longest wait for a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for a whole answer, or for the head of one that streams: a
/// scheduler answers in milliseconds, a busy disk may take seconds.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// A silent connection is asked for a sign of life this often…
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// …and is broken when none comes for this long.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of an answer that does not stream; the longest is a page of jobs.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Most bytes of an error's body that are read.
const PROBLEM_BYTES_MAX: usize = 64 << 10;
/// Most characters of a foreign answer that an error repeats.
const EXCERPT_CHARS_MAX: usize = 120;

/// Speaks to one scheduler. Cheap to clone; clones share the connection.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    /// The address as the user knows it, for messages.
    server: String,
}

impl fmt::Debug for Client {
    /// The token stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the scheduler at `server`, for example `http://127.0.0.1:7070`.
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// When `server` is not such an address, or `token` cannot stand in a header.
    pub fn new(server: &str, token: Option<String>) -> Result<Self, Error> {
        let base = address(server)?;
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let mut value =
                HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| Error::Token)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let http = reqwest::Client::builder()
            .default_headers(headers)
            .user_agent(concat!("stint/", env!("CARGO_PKG_VERSION")))
            .http2_prior_knowledge()
            .http2_adaptive_window(true)
            .http2_keep_alive_interval(PING_INTERVAL)
            .http2_keep_alive_timeout(PING_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            // A proxy for the web does not speak HTTP/2 without TLS.
            .no_proxy()
            .build()
            .map_err(Error::Setup)?;
        let server = base.as_str().trim_end_matches('/').to_owned();
        Ok(Self { http, base, server })
    }

    /// The scheduler's address.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// A request for `path`, which starts with `/`, with `query` after it.
    fn request(&self, method: Method, path: &str, query: &[(&str, &str)]) -> RequestBuilder {
        let mut url = self.base.clone();
        let prefix = self.base.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{prefix}{path}"));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.http.request(method, url)
    }

    /// Sends, and waits for the head of a successful answer.
    async fn send(&self, request: RequestBuilder) -> Result<Response, Error> {
        let response = self.transport(request).await?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(self.refusal(response).await)
        }
    }

    /// Sends, and waits for the head of any answer.
    async fn transport(&self, request: RequestBuilder) -> Result<Response, Error> {
        match tokio::time::timeout(ANSWER_TIMEOUT, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(Error::transport(&self.server, error)),
            Err(_) => Err(self.too_slow()),
        }
    }

    /// Sends, and reads the whole answer.
    async fn fetch<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Error> {
        let response = self.send(request).await?;
        self.decode(response).await
    }

    async fn decode<T: DeserializeOwned>(&self, response: Response) -> Result<T, Error> {
        let body = self.body(response, ANSWER_BYTES_MAX).await?;
        serde_json::from_slice(&body).map_err(|source| Error::Decode {
            server: self.server.clone(),
            source,
        })
    }

    async fn body(&self, mut response: Response, bytes_max: usize) -> Result<Vec<u8>, Error> {
        let read = async {
            let mut body = Vec::new();
            while let Some(chunk) = response
                .chunk()
                .await
                .map_err(|error| Error::transport(&self.server, error))?
            {
                if body.len() + chunk.len() > bytes_max {
                    return Err(self.protocol(format!("more than {bytes_max} bytes")));
                }
                body.extend_from_slice(&chunk);
            }
            Ok(body)
        };
        tokio::time::timeout(ANSWER_TIMEOUT, read)
            .await
            .unwrap_or_else(|_| Err(self.too_slow()))
    }

    /// Why an answer is not a success.
    async fn refusal(&self, response: Response) -> Error {
        let status = response.status();
        let body = match self.body(response, PROBLEM_BYTES_MAX).await {
            Ok(body) => body,
            Err(error) => return error,
        };
        if let Ok(problem) = serde_json::from_slice::<Problem>(&body) {
            return Error::Problem(Box::new(problem));
        }
        let text: String = String::from_utf8_lossy(&body)
            .chars()
            .take(EXCERPT_CHARS_MAX)
            .collect();
        self.protocol(format!("{status} `{}`", text.trim()))
    }

    fn too_slow(&self) -> Error {
        Error::TooSlow {
            server: self.server.clone(),
            seconds: ANSWER_TIMEOUT.as_secs(),
        }
    }

    fn protocol(&self, what: String) -> Error {
        let server = self.server.clone();
        Error::Protocol { server, what }
    }
}

fn address(server: &str) -> Result<Url, Error> {
    let wrong = |why| Error::Address {
        server: server.chars().take(EXCERPT_CHARS_MAX).collect(),
        why,
    };
    let example = "write for example http://127.0.0.1:7070";
    let url = Url::parse(server.trim()).map_err(|_| wrong(example))?;
    match url.scheme() {
        "http" if url.has_host() => {}
        "https" => return Err(wrong("TLS is not there yet; write http://")),
        _ => return Err(wrong(example)),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("the token does not belong in the address"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong(example));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_http_and_nothing_more() {
        for good in [
            "http://127.0.0.1:7070",
            "http://[::1]:7070/",
            "http://host/stint",
        ] {
            Client::new(good, None).unwrap();
        }
        for bad in [
            "",
            "127.0.0.1:7070",
            "localhost:7070",
            "https://host",
            "http://a:b@host",
            "http://host?x",
            "file:///x",
        ] {
            let error = Client::new(bad, None).unwrap_err();
            assert!(
                matches!(error, Error::Address { .. }),
                "{bad} gives {error}"
            );
        }
        assert!(matches!(
            Client::new("http://host", Some("a\nb".into())),
            Err(Error::Token)
        ));
    }

    #[test]
    fn a_path_goes_below_the_address() {
        let client = Client::new("http://host/stint/", None).unwrap();
        let request = client
            .request(Method::GET, "/v1/jobs/a.1:cancel", &[("x", "a b")])
            .build()
            .unwrap();
        assert_eq!(
            request.url().as_str(),
            "http://host/stint/v1/jobs/a.1:cancel?x=a+b"
        );
    }

    #[test]
    fn the_token_is_not_shown() {
        let client = Client::new("http://host", Some("secret".into())).unwrap();
        assert!(!format!("{client:?}").contains("secret"));
    }
}
