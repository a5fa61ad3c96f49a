//! Records as bytes: JSON in an envelope that names the format, so that a
//! record of a newer version is refused by name rather than misread.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use stint_api::id::ClusterId;
use stint_api::namespace::{NamespaceSpec, Quota};

use crate::key::RecordKey;

/// The format that this version writes; it reads every older one.
const FORMAT: u32 = 1;
/// How a record of that format begins.
const CURRENT: &[u8] = b"{\"format\":1,";

/// What the cluster is; made once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MetaRecord {
    pub(crate) cluster: ClusterId,
}

/// What is durable about a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NamespaceRecord {
    /// The number of its next job.
    pub(crate) next_job: u64,
    /// What was decided about it.
    #[serde(default)]
    pub(crate) spec: NamespaceSpec,
}

impl NamespaceRecord {
    /// Of one that nobody has used.
    pub(crate) const FIRST: Self = Self {
        next_job: 1,
        spec: NamespaceSpec {
            weight: 1,
            borrow: false,
            quota: Quota {
                cpu: None,
                memory: None,
                slots: None,
                jobs: None,
            },
        },
    };
}

/// A stored record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A newer version wrote it.
    #[error(
        "record `{key}` has format {format}, this version reads up to {FORMAT}; start the version that wrote it"
    )]
    TooNew {
        /// The record.
        key: String,
        /// Its format.
        format: u32,
    },
    /// It is not what its key says.
    #[error("record `{key}` cannot be read")]
    Malformed {
        /// The record.
        key: String,
        /// Where the text is wrong.
        source: serde_json::Error,
    },
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    format: u32,
    record: &'a T,
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

#[derive(Deserialize)]
struct Body<T> {
    record: T,
}

/// The bytes of a record.
pub(crate) fn to_bytes<T: Serialize>(record: &T) -> Vec<u8> {
    let envelope = Envelope {
        format: FORMAT,
        record,
    };
    serde_json::to_vec(&envelope).expect("a record has text keys only, so it is always JSON")
}

/// The record that `bytes` are.
pub(crate) fn from_bytes<T: DeserializeOwned>(
    key: &RecordKey,
    bytes: &[u8],
) -> Result<T, RecordError> {
    let malformed = |source| RecordError::Malformed {
        key: key.to_string(),
        source,
    };
    // Read twice only where it does not begin as this version writes it.
    if !bytes.starts_with(CURRENT) {
        let Format { format } = serde_json::from_slice(bytes).map_err(malformed)?;
        if format > FORMAT {
            return Err(RecordError::TooNew {
                key: key.to_string(),
                format,
            });
        }
    }
    let body: Body<T> = serde_json::from_slice(bytes).map_err(malformed)?;
    Ok(body.record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_a_newer_version_is_refused_by_name() {
        let key = RecordKey::Meta;
        let record = MetaRecord {
            cluster: ClusterId(7),
        };
        assert_eq!(
            from_bytes::<MetaRecord>(&key, &to_bytes(&record)).unwrap(),
            record
        );
        assert!(to_bytes(&record).starts_with(CURRENT));
        let newer = br#"{"format":2,"anything":[]}"#;
        let error = from_bytes::<MetaRecord>(&key, newer).unwrap_err();
        assert!(error.to_string().contains("`meta` has format 2"), "{error}");
        assert!(from_bytes::<MetaRecord>(&key, b"{}").is_err());
    }
}
