//! What is wrong on purpose: a simulation that finds nothing wrong must be
//! shown to find something.

/// How the world plays the shells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// As they should be.
    Sound,
    /// The keeper lets slots run on when the lease is over.
    KeeperIgnoresLease,
    /// The scheduler answers before its store has committed.
    AnswersBeforeCommit,
    /// A node publishes what an attempt left without asking for the commit.
    PublishesUnasked,
    /// A node takes a batch of reports for acknowledged when its answer was lost.
    ForgetsUnanswered,
    /// A node that lost its lease while it published goes on when it is welcomed again.
    PublishesAcrossLeases,
    /// Hellos do not say when they were sent.
    HellosUnstamped,
    /// A node process that starts does not ask its keeper what it still has.
    ForgetsWhatRuns,
    /// The scheduler sends orders before its store has committed them.
    OrdersBeforeCommit,
    /// The store says that it has committed what it has not wholly written.
    CommitsByHalf,
    /// A node adds each lease to what it has of the one before.
    LeasesAddUp,
    /// A node obeys orders of whatever generation.
    ObeysOldOrders,
    /// The scheduler lets whoever submits take the place of another namespace's job, whatever
    /// that has borrowed and whatever their priorities are.
    TakesFromLenders,
}
