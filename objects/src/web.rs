//! Objects of web servers, over `http` and `https`. Every hop of a redirect is checked as
//! the first URL was, name and address; an answer that breaks off is taken up where it
//! broke, if the server says that the object is still the same.

use std::net::IpAddr;
use std::sync::OnceLock;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT_ENCODING, CONTENT_LENGTH, ETAG, HeaderMap, HeaderName, IF_RANGE, LAST_MODIFIED,
    LOCATION, RANGE, USER_AGENT,
};
use hyper::{Request, Response, StatusCode};
use url::{Host, Url};

use crate::address::Trust;
use crate::error::ObjectError;
use crate::reach::Reach;
use crate::wire::Wire;

/// Redirects that are followed: a short name, a login-free mirror, a store behind it.
const REDIRECTS_MAX: usize = 5;
/// How we call ourselves.
const AGENT: &str = concat!("stint/", env!("CARGO_PKG_VERSION"));

/// Clients, made when the first object is asked for: most processes never do.
#[derive(Debug, Default)]
pub(crate) struct Web {
    public: OnceLock<Wire<Empty<Bytes>>>,
    named: OnceLock<Wire<Empty<Bytes>>>,
    whole: OnceLock<Wire<Empty<Bytes>>>,
}

/// An answer whose body is the object, or the rest of it.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Names this version of the object, if the server does: a strong `ETag`, or its
    /// `Last-Modified`.
    pub(crate) validator: Option<String>,
    /// Bytes that come.
    pub(crate) bytes: Option<u64>,
    pub(crate) body: Incoming,
}

/// From where on an object is wanted, and of which version.
#[derive(Clone, Debug)]
pub(crate) struct Rest {
    pub(crate) from: u64,
    pub(crate) validator: String,
}

impl Web {
    /// Asks for an object that a job named, or for the rest of it.
    pub(crate) async fn get(
        &self,
        reach: &Reach,
        url: &Url,
        rest: Option<&Rest>,
    ) -> Result<Answer, ObjectError> {
        let mut trust = reach.check_web(url)?;
        let mut url = url.clone();
        for _ in 0..=REDIRECTS_MAX {
            check_address(&url, trust)?;
            let answer = self.ask(&url, trust, rest).await?;
            if !answer.status().is_redirection() {
                return read(answer, &url, rest);
            }
            let next = next(&url, answer.headers())?;
            trust = reach.check_redirect(&next);
            url = next;
        }
        Err(ObjectError::Redirect("more than five times"))
    }

    async fn ask(
        &self,
        url: &Url,
        trust: Trust,
        rest: Option<&Rest>,
    ) -> Result<Response<Incoming>, ObjectError> {
        let mut request = Request::get(url.as_str())
            .header(USER_AGENT, AGENT)
            // The object as it is: what a server packs for the way has another length and digest.
            .header(ACCEPT_ENCODING, "identity");
        if let Some(Rest { from, validator }) = rest {
            request = request
                .header(RANGE, format!("bytes={from}-"))
                .header(IF_RANGE, validator);
        }
        let request = request
            .body(Empty::new())
            .map_err(|error| ObjectError::Broken(Box::new(error)))?;
        let host = url.host_str().unwrap_or_default();
        let sent = self.wire(trust)?.send(request).await;
        sent.map_err(|error| error.of_object(host))
    }

    fn wire(&self, trust: Trust) -> Result<Wire<Empty<Bytes>>, ObjectError> {
        let kept = match trust {
            Trust::Public => &self.public,
            Trust::Named => &self.named,
            Trust::Whole => &self.whole,
        };
        if let Some(wire) = kept.get() {
            return Ok(wire.clone());
        }
        let made = Wire::new(trust)?;
        Ok(kept.get_or_init(|| made).clone())
    }
}

/// Refuses a literal address that may not be spoken to; names are looked at when they are resolved.
fn check_address(url: &Url, trust: Trust) -> Result<(), ObjectError> {
    let address = match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
        Some(Host::Domain(_)) | None => return Ok(()),
    };
    match trust.allows(address) {
        true => Ok(()),
        false => Err(ObjectError::Address {
            host: url.host_str().unwrap_or_default().to_owned(),
            address: address.to_string(),
        }),
    }
}

/// Where a server sends us.
fn next(from: &Url, headers: &HeaderMap) -> Result<Url, ObjectError> {
    let to = text(headers, &LOCATION).ok_or(ObjectError::Redirect("to nowhere"))?;
    let mut to = from
        .join(&to)
        .map_err(|_| ObjectError::Redirect("to what is no URL"))?;
    to.set_fragment(None);
    match (from.scheme(), to.scheme()) {
        ("https", "http") => Err(ObjectError::Redirect("from https to http")),
        (_, "http" | "https") if to.username().is_empty() && to.password().is_none() => Ok(to),
        _ => Err(ObjectError::Redirect("to what is no web server's")),
    }
}

fn read(answer: Response<Incoming>, url: &Url, rest: Option<&Rest>) -> Result<Answer, ObjectError> {
    let status = answer.status();
    match (status, rest) {
        (StatusCode::OK, None) | (StatusCode::PARTIAL_CONTENT, Some(_)) => {}
        // Asked for the rest of one version, it gives the whole of another.
        (StatusCode::OK, Some(_)) | (StatusCode::RANGE_NOT_SATISFIABLE, Some(_)) => {
            return Err(ObjectError::Replaced);
        }
        (StatusCode::NOT_FOUND | StatusCode::GONE, _) => {
            return Err(ObjectError::Missing(status.to_string()));
        }
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
            return Err(ObjectError::Denied(format!(
                "{status} from {}",
                url.host_str().unwrap_or_default()
            )));
        }
        _ => return Err(ObjectError::Status(status)),
    }
    let headers = answer.headers();
    if let Some(rest) = rest {
        let range = text(headers, &hyper::header::CONTENT_RANGE).unwrap_or_default();
        if !range.starts_with(&format!("bytes {}-", rest.from)) {
            return Err(ObjectError::Replaced);
        }
    }
    let strong = text(headers, &ETAG).filter(|tag| tag.starts_with('"'));
    Ok(Answer {
        validator: strong.or_else(|| text(headers, &LAST_MODIFIED)),
        bytes: text(headers, &CONTENT_LENGTH).and_then(|bytes| bytes.parse().ok()),
        body: answer.into_body(),
    })
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}
