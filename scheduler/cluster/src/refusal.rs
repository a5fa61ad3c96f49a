//! Why a job is not accepted, in words that say what could be changed.

use stint_api::id::{Digest, JobId, Namespace, NodeId};
use stint_api::job::InvalidSpec;
use stint_api::namespace::Quota;
use stint_api::quantity::Resources;

use crate::cluster::Config;
use crate::submit::KEY_BYTES_MAX;

/// A job is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The idempotency key is not one.
    #[error("an idempotency key has 1 to {KEY_BYTES_MAX} printable ASCII characters")]
    BadKey,
    /// The key made another job before.
    #[error("the idempotency key `{key}` was used for job `{job}`, whose body was another one")]
    KeyReused {
        /// The key.
        key: String,
        /// The job that it made.
        job: JobId,
    },
    /// A field has a value that no cluster could accept.
    #[error(transparent)]
    Invalid(#[from] InvalidSpec),
    /// The namespace has no such module.
    #[error(
        "module `{module}` is not in namespace `{namespace}`; push it first: stint module push FILE"
    )]
    UnknownModule {
        /// The module.
        module: Digest,
        /// Where it was looked for.
        namespace: Namespace,
    },
    /// The namespace has no such kit.
    #[error(
        "there is no kit `{kit}` in namespace `{namespace}`; add it first: stint kit add {kit}"
    )]
    UnknownKit {
        /// The kit.
        kit: String,
        /// Where it was looked for.
        namespace: Namespace,
    },
    /// There is no such job to run after.
    #[error("`after`: there is no job `{0}`")]
    UnknownParent(JobId),
    /// A slot of the job is larger than every node.
    #[error(
        "never fits: the largest node has {}, a slot of this job takes {} (`{node}` is the largest)",
        amounts(has),
        amounts(need)
    )]
    NeverFits {
        /// What a slot takes.
        need: Resources,
        /// The node that comes nearest.
        node: NodeId,
        /// What it has.
        has: Resources,
    },
    /// The namespace has as many jobs as its quota allows.
    #[error(
        "namespace `{namespace}` has {used} jobs that are not over, and its quota allows {most}"
    )]
    QuotaJobs {
        /// The namespace.
        namespace: Namespace,
        /// How many it has.
        used: u32,
        /// How many it may have.
        most: u32,
    },
    /// The quota of the namespace is too small for one slot of the job.
    #[error(
        "never fits: a slot of this job takes {}, the quota of namespace `{namespace}` allows {}",
        amounts(need),
        allowed(quota)
    )]
    QuotaTooSmall {
        /// The namespace.
        namespace: Namespace,
        /// What a slot takes.
        need: Resources,
        /// What the namespace may have.
        quota: Quota,
    },
    /// Arguments, environment and inputs together make too large a record.
    #[error(
        "arguments, environment and inputs take {bytes} bytes together; at most {}",
        Config::RECORD_BYTES_MAX
    )]
    TooLarge {
        /// Bytes of the record.
        bytes: usize,
    },
    /// The cluster keeps as many jobs or namespaces as it can.
    #[error("this cluster has {most} {what} already, one more is too many")]
    TooMany {
        /// `jobs` or `namespaces`.
        what: &'static str,
        /// How many it may have.
        most: usize,
    },
}

/// An amount of each resource, as people read it.
fn amounts(resources: &Resources) -> String {
    let Resources {
        cpu,
        memory,
        scratch,
    } = resources;
    format!("cpu {cpu}, memory {memory}, scratch {scratch}")
}

/// What a quota allows of what a slot takes, as people read it.
fn allowed(quota: &Quota) -> String {
    let part = |what: &str, most: Option<String>| most.map(|most| format!("{what} {most}"));
    let parts = [
        part("cpu", quota.cpu.map(|most| most.to_string())),
        part("memory", quota.memory.map(|most| most.to_string())),
        part("slots", quota.slots.map(|most| most.to_string())),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(", ")
}
