//! What an administrator decides about a namespace, and what it has now.

use serde::{Deserialize, Serialize};

use crate::id::Namespace;
use crate::job::InvalidSpec;
use crate::quantity::{Bytes, Millicores};

/// Largest weight: beyond, the smallest would wait as good as for ever.
pub const WEIGHT_MAX: u32 = 1_000;

/// What is decided about a namespace: the body of `PUT /v1/namespaces/{name}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamespaceSpec {
    /// How large its fair share is beside those of others; 1 to 1000.
    #[serde(default = "one")]
    pub weight: u32,
    /// The most that it may have.
    #[serde(default)]
    pub quota: Quota,
    /// Whether it may have more slots than that while nobody else wants the room. They are
    /// taken back, by preemption, as soon as somebody does who is within a quota.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub borrow: bool,
}

/// The most that the jobs of a namespace may have together; what is absent is not limited.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// CPU of its slots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Millicores>,
    /// Memory of its slots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    /// Slots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<u32>,
    /// Jobs that are not over: one more is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs: Option<u32>,
}

/// A namespace: what was decided about it, and what it has now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct NamespaceView {
    /// Its name.
    pub namespace: Namespace,
    /// What was decided.
    #[serde(flatten)]
    pub spec: NamespaceSpec,
    /// What its jobs have now.
    pub used: Used,
    /// The largest part that it has of what the nodes have together, of CPU, memory
    /// and scratch, divided by its weight: who has least is served first.
    pub share: f64,
}

/// What the jobs of a namespace have.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Used {
    /// CPU of its slots.
    pub cpu: Millicores,
    /// Memory of its slots.
    pub memory: Bytes,
    /// Slots.
    pub slots: u32,
    /// Jobs that are not over.
    pub jobs: u32,
}

/// Every namespace, by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct NamespaceList {
    /// The namespaces.
    pub namespaces: Vec<NamespaceView>,
}

const fn one() -> u32 {
    1
}

impl Default for NamespaceSpec {
    /// Weight 1, and no limit.
    fn default() -> Self {
        Self {
            weight: one(),
            quota: Quota::default(),
            borrow: false,
        }
    }
}

impl NamespaceSpec {
    /// Checks what no cluster could accept.
    ///
    /// # Errors
    /// The weight is out of range.
    pub fn validate(&self) -> Result<(), InvalidSpec> {
        match self.weight {
            1..=WEIGHT_MAX => Ok(()),
            weight => Err(InvalidSpec {
                field: "weight".to_owned(),
                why: format!("{weight} is out of range; it is 1 to {WEIGHT_MAX}"),
            }),
        }
    }
}
