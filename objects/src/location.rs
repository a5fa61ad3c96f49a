//! A URL of data, taken apart. The text of a bucket's key is the key, as every other
//! tool has it; `file` and `http` URLs are the standard's, with `%20` for a space.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use url::Url;

/// Longest bucket name that S3 has.
const BUCKET_BYTES_MAX: usize = 63;
/// Longest key that S3 has.
const KEY_BYTES_MAX: usize = 1_024;

/// Where data is, or is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A file or directory of this machine, by its absolute path.
    File(PathBuf),
    /// An object of a web server: `http` or `https`, without credentials or fragment.
    Web(Url),
    /// An object in a bucket: `s3://bucket/key`.
    Bucket {
        /// The bucket.
        bucket: String,
        /// The key; empty, or with a `/` at its end, it stands for all that begins so.
        key: String,
    },
}

/// A text is no URL of data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// Of a scheme that nothing here speaks.
    #[error(
        "`{0}` is no URL that can be read; write file:///path, https://host/path or s3://bucket/key"
    )]
    Scheme(String),
    /// A `file` URL that does not name an absolute path of this machine.
    #[error("`{0}` does not name an absolute path; write file:///an/absolute/path")]
    Path(String),
    /// Credentials where everybody reads them.
    #[error("`{0}` holds a user name or password; a job must not hold any")]
    Credentials(String),
    /// Not a bucket and a key.
    #[error(
        "`{0}` does not name a bucket; write s3://bucket/key, the bucket of 3 to 63 of a-z, 0-9, dots and hyphens"
    )]
    Bucket(String),
    /// A key that cannot be asked for.
    #[error(
        "`{0}` does not name a key; it has at most 1024 bytes, and no part of it is empty, `.` or `..`"
    )]
    Key(String),
    /// Not a URL at all.
    #[error("`{text}` is not a URL: {why}")]
    Syntax {
        /// The text.
        text: String,
        /// What the standard says against it.
        why: url::ParseError,
    },
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(rest) = text.strip_prefix("s3://") {
            return bucket(text, rest);
        }
        let url = Url::parse(text).map_err(|why| LocationError::Syntax {
            text: shown(text),
            why,
        })?;
        match url.scheme() {
            "file" => match url.to_file_path() {
                Ok(path) if url.host().is_none() => Ok(Self::File(path)),
                _ => Err(LocationError::Path(shown(text))),
            },
            "http" | "https" => web(text, url),
            _ => Err(LocationError::Scheme(shown(text))),
        }
    }
}

fn web(text: &str, mut url: Url) -> Result<Location, LocationError> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(LocationError::Credentials(shown(text)));
    }
    url.set_fragment(None);
    Ok(Location::Web(url))
}

fn bucket(text: &str, rest: &str) -> Result<Location, LocationError> {
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b);
    let is_bucket = (3..=BUCKET_BYTES_MAX).contains(&bucket.len())
        && bucket.bytes().all(is_plain)
        && !bucket.starts_with(['.', '-']);
    if bucket.contains('@') {
        return Err(LocationError::Credentials(shown(text)));
    }
    if !is_bucket {
        return Err(LocationError::Bucket(shown(text)));
    }
    let plain = key.strip_suffix('/').unwrap_or(key);
    let is_part = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(char::is_control);
    if key.len() > KEY_BYTES_MAX || !(key.is_empty() || plain.split('/').all(is_part)) {
        return Err(LocationError::Key(shown(text)));
    }
    Ok(Location::Bucket {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
    })
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => match Url::from_file_path(path) {
                Ok(url) => f.write_str(url.as_str()),
                Err(()) => write!(f, "{}", path.display()),
            },
            Self::Web(url) => f.write_str(&shown(url.as_str())),
            Self::Bucket { bucket, key } => write!(f, "s3://{bucket}/{key}"),
        }
    }
}

/// A URL as it may be shown to anybody: a query may be a signature, and what stands before
/// an `@` a password; neither is there.
pub fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    if scheme == "file" || scheme == "s3" && !rest.contains('@') {
        return url.to_owned();
    }
    let (rest, query) = match rest.find(['?', '#']) {
        Some(at) => (&rest[..at], "?…"),
        None => (rest, ""),
    };
    let host = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(host);
    let authority = authority.rsplit('@').next().unwrap_or(authority);
    format!("{scheme}://{authority}{path}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Location, LocationError> {
        text.parse()
    }

    #[test]
    fn each_scheme_is_taken_apart() {
        assert_eq!(
            parsed("file:///a%20b/c").unwrap(),
            Location::File("/a b/c".into())
        );
        let bucket = |key: &str| Location::Bucket {
            bucket: "data-1".into(),
            key: key.into(),
        };
        assert_eq!(parsed("s3://data-1/a b/c%20").unwrap(), bucket("a b/c%20"));
        assert_eq!(parsed("s3://data-1").unwrap(), bucket(""));
        assert_eq!(parsed("s3://data-1/a/").unwrap(), bucket("a/"));
        let web = parsed("HTTPS://Example.org/a/../b#c").unwrap();
        assert_eq!(web.to_string(), "https://example.org/b");
    }

    #[test]
    fn what_is_no_data_is_refused_with_what_to_write() {
        for (text, why) in [
            ("ftp://x/y", "https://host/path"),
            ("/a/b", "not a URL"),
            ("file://host/a", "file:///an/absolute/path"),
            ("s3://UP/x", "3 to 63"),
            ("s3:///x", "3 to 63"),
            ("s3://data//x", "no part of it is empty"),
            ("s3://data/../x", "no part of it"),
            ("https://me:pw@host/x", "must not hold"),
            ("s3://me:pw@data/x", "must not hold"),
        ] {
            let refused = parsed(text).unwrap_err().to_string();
            assert!(refused.contains(why), "{text}: {refused}");
            assert!(!refused.contains("pw"), "{refused}");
        }
    }

    #[test]
    fn a_signature_is_not_shown() {
        let signed = "https://h/p?X-Amz-Signature=secret";
        assert_eq!(shown(signed), "https://h/p?…");
        assert_eq!(shown("https://u:p@h/p"), "https://h/p");
        assert_eq!(shown("s3://bucket/a?b"), "s3://bucket/a?b");
    }
}
