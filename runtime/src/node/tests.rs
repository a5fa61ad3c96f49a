//! What the node's tests share.

use std::collections::BTreeMap;

use stint_api::id::{AttemptId, Digest};
use stint_api::link::{Grant, Plan, RetryBudget};
use stint_api::quantity::{Bytes, Millicores, Resources};
use stint_api::tasks::TaskRange;
use stint_api::time::Span;

/// A grant of the attempt's one task, with small limits.
pub(crate) fn grant(attempt: &AttemptId) -> Grant {
    Grant {
        id: attempt.grant_id(),
        tasks: vec![TaskRange::one(attempt.task)],
        plan: Plan {
            module: Digest([7; 32]),
            kit: None,
            args: Vec::new(),
            env: BTreeMap::new(),
            task_count: attempt.task + 1,
            retry: Vec::new(),
            limits: Resources {
                cpu: Millicores(1000),
                memory: Bytes::mebi(16),
                scratch: Bytes::mebi(1),
            },
            timeout: Span::from_secs(10),
            inputs: Vec::new(),
            output: None,
            stall: None,
            isolation: stint_api::job::Isolation::Task,
        },
        budget: RetryBudget {
            retries: 0,
            losses: 2,
            time: None,
            backoff: Span::from_millis(100),
            backoff_max: Span::from_secs(1),
        },
    }
}
