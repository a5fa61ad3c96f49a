//! The token: whoever bears it may do everything, whoever does not nothing.

use std::fmt;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};

use super::Shared;
use super::problem::ApiError;

/// The token that is asked for; only its hash is kept, so that comparing takes
/// the same time whatever comes, and no dump of memory shows it.
pub(crate) struct Token([u8; 32]);

impl Token {
    pub(crate) fn new(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    fn is(&self, candidate: &[u8]) -> bool {
        let candidate: [u8; 32] = Sha256::digest(candidate).into();
        let pairs = self.0.iter().zip(candidate);
        // Every byte is looked at: how long it takes says nothing about where they differ.
        pairs.fold(0, |differ, (ours, theirs)| differ | (ours ^ theirs)) == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Lets a request through that bears the token.
pub(super) async fn check(State(api): Shared, request: Request, next: Next) -> Response {
    let allowed = match &api.token {
        Some(token) => borne(request.headers()).is_some_and(|borne| token.is(borne)),
        None => true,
    };
    if allowed {
        next.run(request).await
    } else {
        ApiError::Unauthorized.into_response()
    }
}

/// What a request bears; nothing when it says so twice.
fn borne(headers: &HeaderMap) -> Option<&[u8]> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let value = all.next().filter(|_| all.next().is_none())?.as_bytes();
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        borne(&headers).is_some_and(|borne| Token::new("secret").is(borne))
    }

    #[test]
    fn only_the_token_is_let_through() {
        assert!(allows("Bearer secret"));
        assert!(allows("bearer secret"));
        for value in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer secrets",
            "Bearer Secret",
            "Basic secret",
            "secret",
        ] {
            assert!(!allows(value), "{value}");
        }
    }

    #[test]
    fn the_token_is_not_shown() {
        assert!(!format!("{:?}", Token::new("secret")).contains("secret"));
    }
}
