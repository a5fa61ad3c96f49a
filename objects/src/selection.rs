//! One object, or all that lie below a place and match: `s3://bucket/years/` and
//! `file:///data/*.csv` are many, `https://host/a.csv` is one.

use std::str::FromStr;

use crate::location::{Location, LocationError};

/// What a URL stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// One object; or, of this machine, perhaps a directory.
    One(Location),
    /// All below a place.
    All {
        /// The place; of a bucket, a key with `/` at its end, or none.
        base: Location,
        /// What their names below it are like.
        pattern: Option<Pattern>,
    },
}

/// What a name is like: `*` stands for any characters but `/`, `**` for any at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl FromStr for Selection {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let listable = text.starts_with("s3://") || text.starts_with("file://");
        if let Some(star) = text.find('*').filter(|_| listable) {
            let slash = text[..star].rfind('/').unwrap_or(0);
            let (base, pattern) = text.split_at(slash + 1);
            let pattern = match base.starts_with("file://") {
                true => decoded(pattern),
                false => pattern.to_owned(),
            };
            return Ok(Self::All {
                base: base.parse()?,
                pattern: Some(Pattern(pattern)),
            });
        }
        let location: Location = text.parse()?;
        let is_many = matches!(&location, Location::Bucket { key, .. } if key.is_empty() || key.ends_with('/'));
        Ok(match is_many {
            true => Self::All {
                base: location,
                pattern: None,
            },
            false => Self::One(location),
        })
    }
}

/// A part of a URL as a file name has it; one that is not text as it stands.
fn decoded(part: &str) -> String {
    let path = url::Url::parse(&format!("file:///{part}")).ok();
    let path = path.and_then(|url| url.to_file_path().ok());
    let path = path.and_then(|path| path.to_str().map(str::to_owned));
    path.map_or_else(
        || part.to_owned(),
        |path| path.trim_start_matches('/').to_owned(),
    )
}

impl Pattern {
    /// Whether a name below the base is like this.
    pub fn matches(&self, name: &str) -> bool {
        matches_bytes(self.0.as_bytes(), name.as_bytes())
    }

    /// Whether names below the directory `dir` can be like this: a pattern without `**`
    /// ends at a certain depth.
    pub(crate) fn may_be_below(&self, dir: &str) -> bool {
        let depth = |text: &str| text.matches('/').count();
        self.0.contains("**") || depth(dir) < depth(&self.0)
    }
}

/// Steps through pattern and name at once, and goes back to the last star when they part:
/// never more than their lengths multiplied.
fn matches_bytes(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    // After a star: where the pattern goes on, up to where the star reaches, whether over `/`.
    let mut one: Option<(usize, usize)> = None;
    let mut any: Option<(usize, usize)> = None;
    loop {
        match pattern.get(p) {
            Some(b'*') if pattern.get(p + 1) == Some(&b'*') => {
                p += 2;
                any = Some((p, n));
                one = None;
                continue;
            }
            Some(b'*') => {
                p += 1;
                one = Some((p, n));
                continue;
            }
            Some(byte) if name.get(n) == Some(byte) => {
                (p, n) = (p + 1, n + 1);
                continue;
            }
            None if n == name.len() => return true,
            _ => {}
        }
        if let Some((after, from)) = one
            && name.get(from).is_some_and(|byte| *byte != b'/')
        {
            one = Some((after, from + 1));
            (p, n) = (after, from + 1);
        } else if let Some((after, from)) = any
            && from < name.len()
        {
            any = Some((after, from + 1));
            one = None;
            (p, n) = (after, from + 1);
        } else {
            return false;
        }
    }
}

/// Whether an object of that name is meant: nothing hidden is, and nothing that is no
/// plain path below a directory.
pub(crate) fn matches(pattern: Option<&Pattern>, name: &str) -> bool {
    let is_plain = |part: &str| !part.is_empty() && !part.starts_with('.');
    name.split('/').all(is_plain) && pattern.is_none_or(|pattern| pattern.matches(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(pattern: &str, name: &str) -> bool {
        Pattern(pattern.to_owned()).matches(name)
    }

    #[test]
    fn a_star_stands_for_characters_of_one_part_and_two_for_any() {
        assert!(like("*.csv", "a.csv") && like("*.csv", ".csv") && like("*", ""));
        assert!(!like("*.csv", "a/b.csv") && !like("*.csv", "a.csv.gz"));
        assert!(like("**.csv", "a/b.csv") && like("**/b.csv", "x/y/b.csv"));
        assert!(like("*/*.csv", "a/b.csv") && !like("*/*.csv", "a/b/c.csv"));
        assert!(like("part-*-of-*.x", "part-1-of-2.x") && !like("part-*-of-*.x", "part-1.x"));
        assert!(like("**/a*/c", "q/ab/x/ay/c") && !like("a*b", "a/b"));
        let long = "a".repeat(2_000);
        assert!(!like("*a*a*a*a*a*a*a*b", &long));
    }

    #[test]
    fn a_star_or_a_slash_at_the_end_means_many() {
        let many = |text: &str| match text.parse::<Selection>().unwrap() {
            Selection::All { base, pattern } => Some((base.to_string(), pattern.map(|p| p.0))),
            Selection::One(_) => None,
        };
        let found =
            |base: &str, pattern: Option<&str>| Some((base.to_owned(), pattern.map(str::to_owned)));
        assert_eq!(many("s3://data/a/"), found("s3://data/a/", None));
        assert_eq!(many("s3://data"), found("s3://data/", None));
        assert_eq!(
            many("s3://data/a/x*.csv"),
            found("s3://data/a/", Some("x*.csv"))
        );
        assert_eq!(many("s3://data/*"), found("s3://data/", Some("*")));
        assert_eq!(
            many("file:///d/%20*/b%20"),
            found("file:///d", Some(" */b "))
        );
        assert_eq!(many("file:///d/%2A"), None);
        assert_eq!(many("https://h/*"), None);
        assert_eq!(many("s3://data/a"), None);
    }

    #[test]
    fn what_is_hidden_or_no_plain_path_is_not_meant() {
        assert!(matches(None, "a/b"));
        for name in ["", ".a", "a/.b", "a//b", "../a", "a/"] {
            assert!(!matches(None, name), "{name}");
        }
    }
}
