//! What tests of several parts of a keeper draw on: a grant for an attempt.

use std::collections::BTreeMap;

use stint_api::id::Digest;
use stint_api::link::{Plan, RetryBudget};
use stint_api::quantity::{Bytes, Millicores, Resources};
use stint_api::tasks::TaskRange;

use super::*;

/// The grant that `attempt` runs under, with small limits.
pub(crate) fn grant(attempt: &AttemptId) -> Grant {
    Grant {
        id: attempt.grant_id(),
        tasks: vec![TaskRange::one(attempt.task)],
        plan: Plan {
            module: Digest([7; 32]),
            kit: None,
            args: Vec::new(),
            env: BTreeMap::new(),
            task_count: 1,
            retry: Vec::new(),
            limits: Resources {
                cpu: Millicores(1_000),
                memory: Bytes::mebi(16),
                scratch: Bytes::mebi(1),
            },
            timeout: Span::from_secs(5),
            inputs: Vec::new(),
            output: None,
            stall: None,
            isolation: stint_api::job::Isolation::Task,
        },
        budget: RetryBudget {
            retries: 0,
            losses: 0,
            time: None,
            backoff: Span::ZERO,
            backoff_max: Span::ZERO,
        },
    }
}
