//! Heart of the scheduler: every decision about the cluster.
