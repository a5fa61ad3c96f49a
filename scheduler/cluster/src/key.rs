//! Names of durable records, so that one prefix loads what belongs together.
//! Numbers are padded: the order of keys is the order of numbers.

use std::fmt;
use std::str::FromStr;

use stint_api::id::{Digest, JobId, Namespace, NodeId};

/// The key of a durable record. Text form, for example `chunk/default/0000000042/00003`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordKey {
    /// `meta`: what the cluster is.
    Meta,
    /// `ns/NAMESPACE`.
    Namespace(Namespace),
    /// `job/NAMESPACE/NUMBER`.
    Job(JobId),
    /// `chunk/NAMESPACE/NUMBER/CHUNK`: a run of its tasks.
    Chunk(JobId, u32),
    /// `page/NAMESPACE/NUMBER/CHUNK/SEQ`: attempts and results of a chunk.
    Page(JobId, u32, u32),
    /// `node/NAME`.
    Node(NodeId),
    /// `module/NAMESPACE/DIGEST`, the digest in 64 hexadecimal digits.
    Module(Namespace, Digest),
}

impl RecordKey {
    /// Prefix of the keys of every page of `job`: what to load for its history and results.
    pub fn pages_of(job: &JobId) -> String {
        format!("page/{}/{:010}/", job.namespace, job.number)
    }

    /// What all keys of the pages of that chunk of `job` are greater than, and those of
    /// the chunks before it are not.
    pub fn before_pages(job: &JobId, chunk: u32) -> String {
        format!("{}{chunk:05}/", Self::pages_of(job))
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Meta => f.write_str("meta"),
            Self::Namespace(namespace) => write!(f, "ns/{namespace}"),
            Self::Job(job) => write!(f, "job/{}/{:010}", job.namespace, job.number),
            Self::Chunk(job, chunk) => {
                write!(f, "chunk/{}/{:010}/{chunk:05}", job.namespace, job.number)
            }
            Self::Page(job, chunk, seq) => {
                write!(f, "{}{chunk:05}/{seq:010}", Self::pages_of(job))
            }
            Self::Node(node) => write!(f, "node/{node}"),
            Self::Module(namespace, digest) => {
                write!(f, "module/{namespace}/{}", digest.hex())
            }
        }
    }
}

/// The text is not the key of a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the key of a record that this version knows")]
pub struct ParseKeyError(pub String);

impl FromStr for RecordKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| ParseKeyError(text.chars().take(200).collect()))
    }
}

fn parse(text: &str) -> Option<RecordKey> {
    let parts: Vec<&str> = text.split('/').collect();
    let job = |namespace: &str, number: &str| {
        Some(JobId {
            namespace: namespace.parse().ok()?,
            number: number.parse().ok()?,
        })
    };
    match parts.as_slice() {
        ["meta"] => Some(RecordKey::Meta),
        ["ns", namespace] => Some(RecordKey::Namespace(namespace.parse().ok()?)),
        ["job", namespace, number] => Some(RecordKey::Job(job(namespace, number)?)),
        ["chunk", namespace, number, chunk] => Some(RecordKey::Chunk(
            job(namespace, number)?,
            chunk.parse().ok()?,
        )),
        ["page", namespace, number, chunk, seq] => Some(RecordKey::Page(
            job(namespace, number)?,
            chunk.parse().ok()?,
            seq.parse().ok()?,
        )),
        ["node", node] => Some(RecordKey::Node(node.parse().ok()?)),
        ["module", namespace, digest] => Some(RecordKey::Module(
            namespace.parse().ok()?,
            digest.parse().ok()?,
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let job: JobId = "team-a.42".parse().unwrap();
        for key in [
            RecordKey::Meta,
            RecordKey::Namespace(job.namespace.clone()),
            RecordKey::Job(job.clone()),
            RecordKey::Chunk(job.clone(), 3),
            RecordKey::Page(job.clone(), 3, 17),
            RecordKey::Node("n.1".parse().unwrap()),
            RecordKey::Module(job.namespace.clone(), Digest([7; 32])),
        ] {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        let page = RecordKey::Page(job.clone(), 0, 0).to_string();
        assert!(page.starts_with(&RecordKey::pages_of(&job)));
        let before = RecordKey::before_pages(&job, 3);
        assert!(RecordKey::Page(job.clone(), 2, u32::MAX).to_string() < before);
        assert!(before < RecordKey::Page(job.clone(), 3, 0).to_string());
        assert!("pod/x".parse::<RecordKey>().is_err());
    }
}
