//! What a scan learns: all that placement, limits and compiling ask of a module.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a scan learnt about a module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleFacts {
    /// sha-256 of the bytes: the module's name everywhere.
    pub digest: [u8; 32],
    /// Its size in bytes.
    pub size: u64,
    /// Core module or component.
    pub kind: Kind,
    /// The export that is called.
    pub entry: String,
    /// Bytes that its memories have before the first instruction; a job whose memory limit is less cannot start.
    pub memory_min_bytes: u64,
    /// What it asks of the host, in the module's order.
    pub imports: Vec<Import>,
    /// The engine profile that it needs.
    pub profile: Profile,
}

/// What kind of module it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A core module that speaks WASI preview 1.
    Core,
    /// A component that speaks WASI 0.2.
    Component,
}

/// The features that the engine switches on: a module gets no more than it needs.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// No exceptions, no garbage-collected references.
    #[default]
    Plain,
    /// The exceptions proposal, with the engine's collector that it needs. The sign is structural: the
    /// module declares or imports a tag, or names the type `exnref` outside a body. A `try_table` without
    /// any of them could catch nothing; such a module is `Plain` and does not compile.
    Exceptions,
}

impl Profile {
    /// The profile's name in file names and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Exceptions => "exceptions",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that a module asks of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// The module part of its name; of a component's import, all of it.
    pub module: String,
    /// The field part of its name; empty of a component's.
    pub name: String,
    /// Its type in the text format's words, for example `(i32, i32) -> (i32)`, `memory` or `instance`.
    pub signature: String,
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            "" => f.write_str(&self.module),
            name => write!(f, "{}.{name}", self.module),
        }
    }
}
