//! The layers of the jail by name, sets of them, and the account of which are in
//! force: a node decides by it whether strangers' code may run here.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One barrier, which the kernel keeps up whatever the process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Layer {
    /// A mount namespace that holds an empty, read-only root and nothing else.
    MountNamespace,
    /// The process's own root is that empty root, whatever is mounted elsewhere.
    EmptyRoot,
    /// A network namespace whose only interface, the loopback, is down.
    NetworkNamespace,
    /// No System V object and no POSIX queue of anybody else.
    IpcNamespace,
    /// No name of the machine.
    UtsNamespace,
    /// No path of the cgroup that the process is in.
    CgroupNamespace,
    /// A user and a group that nothing else on the machine has.
    Identity,
    /// No capability, and no way to one.
    Capabilities,
    /// Not traceable by its own user, and no core file.
    Undumpable,
    /// Nothing that it executes gives it more than it has.
    NoNewPrivileges,
    /// Bounds on descriptors, processes, locked memory, queues, core files.
    ResourceLimits,
    /// No descriptor but those that were named.
    ClosedDescriptors,
    /// The system calls that are needed until the job is there, and no others.
    WideFilter,
    /// The system calls that a guest needs, and no others.
    SmallFilter,
    /// No memory becomes executable any more.
    WriteXorExecute,
    /// Files of the job's directories, and no others. Not for a process that runs one
    /// attempt after another: what is allowed cannot grow.
    LandlockFiles,
    /// Nothing is executed, and nothing is made but files, directories and links.
    LandlockKinds,
    /// No TCP.
    LandlockNetwork,
    /// No signal to a process, and no abstract socket, from before.
    LandlockScope,
    /// Each directory of the job is a mount of its own: no way up out of it.
    DetachedTrees,
}

impl Layer {
    /// All of them, in the order in which they are armed.
    pub const ALL: [Self; 20] = [
        Self::MountNamespace,
        Self::EmptyRoot,
        Self::NetworkNamespace,
        Self::IpcNamespace,
        Self::UtsNamespace,
        Self::CgroupNamespace,
        Self::Identity,
        Self::Capabilities,
        Self::Undumpable,
        Self::NoNewPrivileges,
        Self::ResourceLimits,
        Self::ClosedDescriptors,
        Self::WideFilter,
        Self::SmallFilter,
        Self::WriteXorExecute,
        Self::LandlockFiles,
        Self::LandlockKinds,
        Self::LandlockNetwork,
        Self::LandlockScope,
        Self::DetachedTrees,
    ];

    /// Its name in reports: that of the variant, in kebab case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MountNamespace => "mount-namespace",
            Self::EmptyRoot => "empty-root",
            Self::NetworkNamespace => "network-namespace",
            Self::IpcNamespace => "ipc-namespace",
            Self::UtsNamespace => "uts-namespace",
            Self::CgroupNamespace => "cgroup-namespace",
            Self::Identity => "identity",
            Self::Capabilities => "capabilities",
            Self::Undumpable => "undumpable",
            Self::NoNewPrivileges => "no-new-privileges",
            Self::ResourceLimits => "resource-limits",
            Self::ClosedDescriptors => "closed-descriptors",
            Self::WideFilter => "wide-filter",
            Self::SmallFilter => "small-filter",
            Self::WriteXorExecute => "write-xor-execute",
            Self::LandlockFiles => "landlock-files",
            Self::LandlockKinds => "landlock-kinds",
            Self::LandlockNetwork => "landlock-network",
            Self::LandlockScope => "landlock-scope",
            Self::DetachedTrees => "detached-trees",
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u8
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Some of the layers.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct LayerSet(u32);

impl LayerSet {
    /// Every layer.
    pub const ALL: Self = Self((1 << Layer::ALL.len()) - 1);
    /// No layer.
    pub const NONE: Self = Self(0);

    /// What runs strangers' code must have: everything that kernels of the last
    /// years give to root. Left out is what newer ones added ([`Layer::WriteXorExecute`]
    /// 6.3, [`Layer::LandlockNetwork`] 6.7, [`Layer::LandlockScope`] 6.12), and
    /// [`Layer::LandlockFiles`], which some workers cannot have: each a further layer
    /// in front of what two others at least deny.
    pub const NEEDED: Self = Self::ALL
        .without(Layer::LandlockFiles)
        .without(Layer::WriteXorExecute)
        .without(Layer::LandlockNetwork)
        .without(Layer::LandlockScope);

    /// These and `layer`.
    #[must_use]
    pub const fn with(self, layer: Layer) -> Self {
        Self(self.0 | layer.bit())
    }

    /// These but not `layer`.
    #[must_use]
    pub const fn without(self, layer: Layer) -> Self {
        Self(self.0 & !layer.bit())
    }

    /// Those that are in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// These but none of `other`.
    #[must_use]
    pub const fn but_not(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether `layer` is among them.
    pub const fn contains(self, layer: Layer) -> bool {
        self.0 & layer.bit() != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them, in the order in which they are armed.
    pub fn iter(self) -> impl Iterator<Item = Layer> {
        Layer::ALL
            .into_iter()
            .filter(move |layer| self.contains(*layer))
    }
}

impl FromIterator<Layer> for LayerSet {
    fn from_iter<T: IntoIterator<Item = Layer>>(layers: T) -> Self {
        layers.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for LayerSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Layer::name)).finish()
    }
}

/// A list of names, so that it reads the same in every version.
impl Serialize for LayerSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for LayerSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let layers = Vec::<Layer>::deserialize(deserializer)?;
        Ok(layers.into_iter().collect())
    }
}

/// Which layers are in force, and why others are not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layers {
    /// Those in force.
    pub held: LayerSet,
    /// Those that this kernel, or this user, could not have.
    pub missing: Vec<Missing>,
}

/// A layer that is not in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missing {
    /// Which.
    pub layer: Layer,
    /// Why not.
    pub why: String,
}

impl fmt::Display for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.held.iter().count();
        let all = held + self.missing.len();
        write!(f, "{held} of {all} layers")?;
        for (at, Missing { layer, why }) in self.missing.iter().enumerate() {
            let before = if at == 0 { "; without " } else { ", " };
            write!(f, "{before}{layer} ({why})")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_has_a_bit_of_its_own_and_the_name_that_is_serialised() {
        assert_eq!(LayerSet::from_iter(Layer::ALL), LayerSet::ALL);
        assert_eq!(LayerSet::ALL.iter().collect::<Vec<_>>(), Layer::ALL);
        for (at, layer) in Layer::ALL.into_iter().enumerate() {
            assert_eq!(layer as usize, at);
            let kebab = format!("{layer:?}").chars().fold(String::new(), |name, c| {
                let hyphen = if c.is_uppercase() && !name.is_empty() {
                    "-"
                } else {
                    ""
                };
                format!("{name}{hyphen}{}", c.to_lowercase())
            });
            assert_eq!(layer.name(), kebab);
        }
    }

    #[test]
    fn sets_are_added_to_and_taken_from() {
        let set = LayerSet::NONE.with(Layer::Identity).with(Layer::Identity);
        assert!(set.contains(Layer::Identity) && !set.contains(Layer::EmptyRoot));
        assert_eq!(
            LayerSet::ALL.without(Layer::Identity).with(Layer::Identity),
            LayerSet::ALL
        );
        assert_eq!(LayerSet::ALL.but_not(LayerSet::ALL), LayerSet::NONE);
        assert_eq!(LayerSet::ALL.and(set), set);
        assert!(LayerSet::NONE.is_empty());
    }

    #[test]
    fn an_account_says_what_is_missing_and_why() {
        let mut layers = Layers {
            held: LayerSet::ALL,
            missing: Vec::new(),
        };
        assert_eq!(layers.to_string(), "20 of 20 layers");
        layers.held = LayerSet::ALL.without(Layer::Identity);
        layers.missing.push(Missing {
            layer: Layer::Identity,
            why: "not root".to_owned(),
        });
        assert_eq!(
            layers.to_string(),
            "19 of 20 layers; without identity (not root)"
        );
    }
}
