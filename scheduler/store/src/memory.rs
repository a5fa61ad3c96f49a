//! A store in memory that loses power on demand: what the simulation runs on.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::{
    Batch, CampaignError, Change, CommitError, LoadError, PAGE_RECORDS_MAX, Record, Store, Term,
};

/// How the next commit goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerLoss {
    /// How many batches of the commit become durable before the power goes;
    /// with all of them, only the answer is lost.
    pub after_batches: usize,
}

/// Records in memory. After a power loss every call fails until [`MemoryStore::power_cycle`].
#[derive(Debug, Default)]
pub struct MemoryStore {
    durable: BTreeMap<String, Vec<u8>>,
    term: u64,
    next: Option<PowerLoss>,
    dark: bool,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the next commit fail as `loss` says, and all that follows it.
    pub fn fail_next_commit(&mut self, loss: PowerLoss) {
        self.next = Some(loss);
    }

    /// The power comes back: only what was committed is there.
    #[must_use]
    pub fn power_cycle(self) -> Self {
        Self {
            next: None,
            dark: false,
            ..self
        }
    }

    /// How many records are durable.
    pub fn len(&self) -> usize {
        self.durable.len()
    }

    /// Whether no record is durable.
    pub fn is_empty(&self) -> bool {
        self.durable.is_empty()
    }

    fn apply(&mut self, batch: &Batch) {
        for change in batch.changes() {
            match change {
                Change::Put { key, value } => {
                    self.durable.insert(key.clone(), value.clone());
                }
                Change::Delete { key } => {
                    self.durable.remove(key);
                }
            }
        }
    }
}

impl Store for MemoryStore {
    fn load_page(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>, LoadError> {
        if self.dark {
            return Err(LoadError::PowerLost);
        }
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        Ok(self
            .durable
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit.min(PAGE_RECORDS_MAX))
            .map(|(key, value)| Record {
                key: key.clone(),
                value: value.clone(),
            })
            .collect())
    }

    fn campaign(&mut self) -> Result<Term, CampaignError> {
        if self.dark {
            return Err(CampaignError::PowerLost);
        }
        self.term += 1;
        Ok(Term(self.term))
    }

    fn commit(&mut self, term: Term, batches: &[Batch]) -> Result<(), CommitError> {
        if self.dark {
            return Err(CommitError::PowerLost);
        }
        if term.0 != self.term {
            return Err(CommitError::Fenced {
                held: term.0,
                current: self.term,
            });
        }
        let loss = self.next.take();
        let durable = loss.map_or(batches.len(), |loss| loss.after_batches);
        for batch in batches.iter().take(durable) {
            self.apply(batch);
        }
        if loss.is_some() {
            self.dark = true;
            return Err(CommitError::PowerLost);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(key: &str) -> Batch {
        Batch::new(vec![Change::Put {
            key: key.to_owned(),
            value: b"v".to_vec(),
        }])
        .unwrap()
    }

    #[test]
    fn what_was_not_committed_when_the_power_went_is_gone() {
        let mut store = MemoryStore::new();
        let term = store.campaign().unwrap();
        store.commit(term, &[batch("a")]).unwrap();
        store.fail_next_commit(PowerLoss { after_batches: 1 });
        assert!(store.commit(term, &[batch("b"), batch("c")]).is_err());
        assert!(store.load("").is_err(), "it is dark");
        assert!(store.commit(term, &[batch("d")]).is_err());
        let store = store.power_cycle();
        let keys: Vec<String> = store.load("").unwrap().into_iter().map(|r| r.key).collect();
        assert_eq!(keys, ["a", "b"]);
    }
}
