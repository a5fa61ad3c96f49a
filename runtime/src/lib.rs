//! Shell of a node: node process, keeper, worker, compiler, staging.
