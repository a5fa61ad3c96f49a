//! Web pages must not drive a scheduler that asks for no token. Such a one
//! listens on loopback, where every page that a user of this machine has open
//! reaches it with that user's browser. A browser says where a request comes
//! from, and other programs do not say these things at all.

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::Shared;
use super::problem::ApiError;

/// What a browser says of the page that asks, in relation to us.
const FETCH_SITE: &str = "sec-fetch-site";

/// Lets a request through that no web page of somebody else sent.
pub(super) async fn check(State(api): Shared, request: Request, next: Next) -> Response {
    // No page of somebody else has the token.
    let refusal = match api.token {
        Some(_) => None,
        None => refusal(&request),
    };
    match refusal {
        Some(error) => error.into_response(),
        None => next.run(request).await,
    }
}

fn refusal<B>(request: &Request<B>) -> Option<ApiError> {
    let (uri, headers) = (request.uri(), request.headers());
    let ours = authority(uri, headers);
    // A page whose own name was made to lead here is of the same origin as we are, to its browser.
    if let Some(ours) = &ours
        && !is_loopback(ours.host())
    {
        let host = super::excerpt(ours.host());
        return Some(ApiError::ForeignHost { host });
    }
    let changes = !request.method().is_safe();
    let says = |name| headers.get(name).map(|value| value.as_bytes());
    // Another port of this machine is of the same site, and of somebody else.
    let elsewhere = says(FETCH_SITE).is_some_and(|site| site != b"same-origin" && site != b"none");
    let origin = headers.get_all(ORIGIN).iter();
    let foreign = origin.into_iter().any(|origin| {
        let (origin, ours) = (origin.to_str().ok(), ours.as_ref());
        let origin = origin.and_then(|origin| origin.strip_prefix("http://"));
        origin.is_none() || origin != ours.map(Authority::as_str)
    });
    (changes && (elsewhere || foreign)).then_some(ApiError::ForeignPage)
}

/// Whom the request is for, as it says itself.
fn authority(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let host = || headers.get(HOST)?.to_str().ok()?.parse().ok();
    uri.authority().cloned().or_else(host)
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address: Option<std::net::IpAddr> = bare.parse().ok();
    address.map_or_else(
        || bare.eq_ignore_ascii_case("localhost"),
        |address| address.to_canonical().is_loopback(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(method: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().method(method).uri("/v1/jobs");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        refusal(&request.body(()).unwrap()).is_some()
    }

    const HERE: (&str, &str) = ("host", "127.0.0.1:7070");

    #[test]
    fn programs_and_the_scheduler_s_own_pages_may_change_things() {
        assert!(!refused("POST", &[HERE]));
        assert!(!refused("POST", &[("host", "localhost:7070")]));
        assert!(!refused("POST", &[("host", "[::1]:7070")]));
        let own = ("origin", "http://127.0.0.1:7070");
        assert!(!refused("POST", &[HERE, own, (FETCH_SITE, "same-origin")]));
        assert!(!refused("POST", &[HERE, (FETCH_SITE, "none")]));
    }

    #[test]
    fn pages_of_somebody_else_may_not() {
        for origin in [
            "https://evil.example",
            "http://127.0.0.1:8000",
            "http://localhost:7070",
            "https://127.0.0.1:7070",
            "null",
        ] {
            assert!(refused("POST", &[HERE, ("origin", origin)]), "{origin}");
            assert!(!refused("GET", &[HERE, ("origin", origin)]), "{origin}");
        }
        for site in ["cross-site", "same-site", "anything"] {
            assert!(refused("PUT", &[HERE, (FETCH_SITE, site)]), "{site}");
            assert!(!refused("GET", &[HERE, (FETCH_SITE, site)]), "{site}");
        }
    }

    #[test]
    fn a_name_that_was_made_to_lead_here_may_not_even_read() {
        let rebound = ("host", "evil.example:7070");
        assert!(refused("GET", &[rebound]));
        let same = ("origin", "http://evil.example:7070");
        assert!(refused("POST", &[rebound, same]));
        assert!(refused("GET", &[("host", "127.0.0.1.evil.example")]));
    }
}
