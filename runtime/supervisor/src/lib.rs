//! Heart of a node: every decision about grants, attempts and retries.
