//! What a keeper is told on its command line, written and read in one place.

use std::ffi::OsString;
use std::path::PathBuf;

/// How a keeper is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The node's directory: lock, socket, spool and log are in it. Only the
    /// node's user may enter it.
    pub dir: PathBuf,
    /// Whether slots get cgroups.
    pub limits: LimitsMode,
    /// When the keeper goes.
    pub lifetime: Lifetime,
    /// Most workers, of one engine profile, that wait for work; for more than wait a
    /// worker is born when they come.
    pub berths: u16,
}

/// Workers that wait, where nobody says otherwise. Each holds one to two MiB of its own,
/// and a core or two cannot use up more than these before the next are born.
pub const BERTHS: u16 = 16;

/// Whether slots get cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitsMode {
    /// Where they can be written; else wasmtime's own limits, and it says so.
    Auto,
    /// Wasmtime's own limits, whatever the machine can do.
    Off,
}

/// When a keeper goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// When there is nothing left to keep: no node connected, no lease, nothing running.
    Outlives,
    /// As soon as the node's connection closes; what runs is killed.
    WithNode,
}

/// The command line of a keeper is not one that this version writes.
#[derive(Debug, thiserror::Error)]
#[error("keeper: unexpected argument {0:?}")]
pub(crate) struct UnexpectedArgument(pub(crate) OsString);

impl Options {
    /// The arguments that [`Options::parse`] reads back.
    pub(crate) fn to_args(&self) -> [OsString; 4] {
        let limits = match self.limits {
            LimitsMode::Auto => "auto",
            LimitsMode::Off => "none",
        };
        let lifetime = match self.lifetime {
            Lifetime::Outlives => "outlives",
            Lifetime::WithNode => "with-node",
        };
        let berths = self.berths.to_string();
        [
            self.dir.clone().into(),
            limits.into(),
            lifetime.into(),
            berths.into(),
        ]
    }

    /// Reads the arguments after the hidden verb: directory, limits, lifetime, berths.
    pub(crate) fn parse(
        args: impl IntoIterator<Item = OsString>,
    ) -> Result<Self, UnexpectedArgument> {
        let mut args = args.into_iter();
        let mut next = || args.next().unwrap_or_default();
        let dir = next().into();
        let limits = match next() {
            text if text == "auto" => LimitsMode::Auto,
            text if text == "none" => LimitsMode::Off,
            other => return Err(UnexpectedArgument(other)),
        };
        let lifetime = match next() {
            text if text == "outlives" => Lifetime::Outlives,
            text if text == "with-node" => Lifetime::WithNode,
            other => return Err(UnexpectedArgument(other)),
        };
        let berths = next();
        let read = berths.to_str().and_then(|text| text.parse().ok());
        let berths = read.ok_or(UnexpectedArgument(berths))?;
        match args.next() {
            Some(other) => Err(UnexpectedArgument(other)),
            None => Ok(Self {
                dir,
                limits,
                lifetime,
                berths,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_they_are_written() {
        for (limits, lifetime) in [
            (LimitsMode::Auto, Lifetime::WithNode),
            (LimitsMode::Off, Lifetime::Outlives),
        ] {
            let options = Options {
                dir: "/a b".into(),
                limits,
                lifetime,
                berths: BERTHS,
            };
            assert_eq!(Options::parse(options.to_args()).unwrap(), options);
        }
    }

    #[test]
    fn an_argument_of_another_version_is_refused() {
        assert!(Options::parse(["/d", "auto", "for-ever", "1"].map(Into::into)).is_err());
        assert!(Options::parse(["/d", "auto", "outlives", "many"].map(Into::into)).is_err());
        assert!(Options::parse(["/d", "auto", "outlives", "1", "x"].map(Into::into)).is_err());
        assert!(Options::parse([]).is_err());
    }
}
