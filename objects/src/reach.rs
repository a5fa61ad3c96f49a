//! What of the world jobs may name: the operator's word, in one value.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use url::{Host, Url};

use crate::address::Trust;
use crate::error::ObjectError;
use crate::location::Location;

/// One word of the operator: a directory, or URLs that begin alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// Everything below a directory.
    Dir(PathBuf),
    /// Everything below a URL.
    Urls(Prefix),
}

/// URLs that begin alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// Every public host over `http` or `https`; private hosts are named one by one.
    Web {
        /// Whether `https` alone.
        is_https: bool,
    },
    /// Below this URL of a web server, private ones included.
    Host(Url),
    /// Every bucket.
    Buckets,
    /// In this bucket, what has a key that is or begins below this one.
    Bucket {
        /// The bucket.
        bucket: String,
        /// The beginning of keys; empty for all.
        key: String,
    },
}

/// What was allowed is neither a directory nor the beginning of URLs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is neither a directory nor the beginning of URLs; write /dir, https://host/path/, https:// for all public hosts, s3://bucket/prefix/ or s3://"
)]
pub struct AllowedError(String);

impl FromStr for Allowed {
    type Err = AllowedError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.contains("://") {
            return match text.is_empty() {
                true => Err(AllowedError(String::new())),
                false => Ok(Self::Dir(text.into())),
            };
        }
        let prefix = match text {
            "http://" => Prefix::Web { is_https: false },
            "https://" => Prefix::Web { is_https: true },
            "s3://" => Prefix::Buckets,
            _ => match text.parse() {
                Ok(Location::Web(url)) if url.query().is_none() => Prefix::Host(url),
                Ok(Location::Bucket { bucket, key }) => Prefix::Bucket { bucket, key },
                Ok(Location::File(path)) => return Ok(Self::Dir(path)),
                _ => return Err(AllowedError(crate::location::shown(text))),
            },
        };
        Ok(Self::Urls(prefix))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Web { is_https: false } => f.write_str("http://"),
            Self::Web { is_https: true } => f.write_str("https://"),
            Self::Host(url) => f.write_str(url.as_str()),
            Self::Buckets => f.write_str("s3://"),
            Self::Bucket { bucket, key } => write!(f, "s3://{bucket}/{key}"),
        }
    }
}

/// What jobs may name.
#[derive(Clone, Debug)]
pub struct Reach {
    dirs: Vec<PathBuf>,
    prefixes: Vec<Prefix>,
    is_whole: bool,
    who: &'static str,
    flag: &'static str,
}

impl Reach {
    /// What an operator allowed of a `node` or `scheduler` with `flag`; nothing when empty.
    pub fn new(who: &'static str, flag: &'static str, allowed: Vec<Allowed>) -> Self {
        let (mut dirs, mut prefixes) = (Vec::new(), Vec::new());
        for one in allowed {
            match one {
                Allowed::Dir(dir) => dirs.push(dir),
                Allowed::Urls(prefix) => prefixes.push(prefix),
            }
        }
        Self {
            dirs,
            prefixes,
            is_whole: false,
            who,
            flag,
        }
    }

    /// Everything that this process may: the jobs are its user's own.
    pub fn whole(who: &'static str, flag: &'static str) -> Self {
        Self {
            dirs: vec!["/".into()],
            is_whole: true,
            ..Self::new(who, flag, Vec::new())
        }
    }

    /// The directories below which files may be named.
    pub fn dirs(&self) -> &[PathBuf] {
        &self.dirs
    }

    /// Refuses a file that is not below an allowed directory.
    pub(crate) fn refuse_path(&self, path: &Path) -> ObjectError {
        let dir = path.parent().unwrap_or(path);
        self.refused(dir.display().to_string())
    }

    /// How far a bucket's object may be reached.
    ///
    /// # Errors
    /// It may not; with the flag that would allow it.
    pub fn check_bucket(&self, bucket: &str, key: &str) -> Result<(), ObjectError> {
        let allows = |prefix: &Prefix| match prefix {
            Prefix::Buckets => true,
            Prefix::Bucket {
                bucket: own,
                key: below,
            } => own == bucket && is_below(key, below),
            Prefix::Web { .. } | Prefix::Host(_) => false,
        };
        match self.is_whole || self.prefixes.iter().any(allows) {
            true => Ok(()),
            false => Err(self.refused(format!("s3://{bucket}/"))),
        }
    }

    /// How far the host of a URL is trusted that a job named.
    pub(crate) fn check_web(&self, url: &Url) -> Result<Trust, ObjectError> {
        if let Some(trust) = self.named(url) {
            return Ok(trust);
        }
        let is_https = url.scheme() == "https";
        let open = Prefix::Web { is_https };
        if self.prefixes.contains(&open) {
            return Ok(Trust::Public);
        }
        let origin = url.origin().ascii_serialization();
        Err(self.refused(format!("{origin}/")))
    }

    /// How far the host is trusted that a server sent us to. What the operator did not
    /// name is followed to the network at large only.
    pub(crate) fn check_redirect(&self, url: &Url) -> Trust {
        self.named(url).unwrap_or(Trust::Public)
    }

    /// The trust that the operator gave to this very URL.
    fn named(&self, url: &Url) -> Option<Trust> {
        if self.is_whole {
            return Some(Trust::Whole);
        }
        let names = |prefix: &&Prefix| match prefix {
            Prefix::Host(own) => own.origin() == url.origin() && is_below(url.path(), own.path()),
            _ => false,
        };
        self.prefixes.iter().find(names)?;
        // A literal address was meant as it stands; a name may be made to mean another.
        Some(match url.host() {
            Some(Host::Domain(_)) | None => Trust::Named,
            Some(Host::Ipv4(_) | Host::Ipv6(_)) => Trust::Whole,
        })
    }

    fn refused(&self, example: String) -> ObjectError {
        let (who, flag) = (self.who, self.flag);
        ObjectError::NotAllowed { who, flag, example }
    }
}

/// Whether a path is another, or lies below it: by whole parts.
fn is_below(path: &str, base: &str) -> bool {
    match path.strip_prefix(base) {
        Some(rest) => {
            rest.is_empty() || base.is_empty() || base.ends_with('/') || rest.starts_with('/')
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(allowed: &[&str]) -> Reach {
        let allowed = allowed.iter().map(|text| text.parse().unwrap());
        Reach::new("node", "--allow-inputs", allowed.collect())
    }

    fn trust(reach: &Reach, url: &str) -> Option<Trust> {
        reach.check_web(&url.parse().unwrap()).ok()
    }

    #[test]
    fn nothing_is_allowed_unless_it_is() {
        let none = reach(&[]);
        assert_eq!(trust(&none, "https://example.org/x"), None);
        let refused = none.check_bucket("data", "x").unwrap_err().to_string();
        assert!(refused.contains("--allow-inputs s3://data/"), "{refused}");
    }

    #[test]
    fn a_named_host_is_trusted_below_its_path_and_port_only() {
        let reach = reach(&["http://data.example:9000/sets", "http://169.254.169.254/"]);
        let trust = |url| trust(&reach, url);
        assert_eq!(trust("http://data.example:9000/sets/a"), Some(Trust::Named));
        assert_eq!(trust("http://data.example:9000/sets"), Some(Trust::Named));
        assert_eq!(trust("http://data.example:9000/settings"), None);
        assert_eq!(trust("http://data.example:9000/sets/../secret"), None);
        assert_eq!(trust("http://data.example:9000/sets/%2e%2e/secret"), None);
        assert_eq!(trust("http://data.example/sets/a"), None);
        assert_eq!(trust("https://data.example:9000/sets/a"), None);
        assert_eq!(trust("http://169.254.169.254/x"), Some(Trust::Whole));
        assert_eq!(trust("http://169.254.169.253/x"), None);
    }

    #[test]
    fn all_hosts_of_a_scheme_are_public_ones() {
        let reach = reach(&["https://"]);
        assert_eq!(trust(&reach, "https://example.org/x"), Some(Trust::Public));
        assert_eq!(trust(&reach, "http://example.org/x"), None);
        let inner = "http://10.0.0.7/".parse().unwrap();
        assert_eq!(reach.check_redirect(&inner), Trust::Public);
    }

    #[test]
    fn a_bucket_is_open_below_its_prefix() {
        let reach = reach(&["s3://data/years/", "s3://other"]);
        assert!(reach.check_bucket("data", "years/1987.csv").is_ok());
        assert!(reach.check_bucket("data", "years").is_err());
        assert!(reach.check_bucket("data", "secrets").is_err());
        assert!(reach.check_bucket("other", "anything").is_ok());
        assert!(reach.check_bucket("another", "x").is_err());
    }

    #[test]
    fn what_is_neither_a_directory_nor_urls_is_refused() {
        for text in ["", "ftp://x/", "https://u:p@h/", "https://h/?q"] {
            let refused = text.parse::<Allowed>().unwrap_err().to_string();
            assert!(refused.contains("https://host/path/"), "{refused}");
        }
    }
}
