//! The node's link to its scheduler: it dials, says hello, follows the orders,
//! sends the reports, and does all of it again whenever anything breaks.
//!
//! ```text
//! hello ─▶ welcomed ─▶ orders stream ┐ until either breaks ─▶ wait with jitter ─▶ hello
//!   ▲                  report loop   ┘                                              │
//!   └───────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! It decides nothing about work: what comes is told to the driver, what goes is asked of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use stint_api::client::{Client, Error, OrdersStream};
use stint_api::id::{Generation, Incarnation, NodeId};
use stint_api::link::{Hello, PROTOCOL, Reports, Welcome};
use stint_api::quantity::Resources;
use stint_api::time::Span;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::dir;
use super::explain::explain;
use super::happened::{Answered, Happened};
use super::tools::Tools;
use crate::keeper::protocol::BootTime;

/// The lease is renewed this many times within its length, so that two answers
/// may be lost or late before anything is.
const RENEWALS_A_LEASE: u64 = 4;
/// First wait before the next hello; doubles, under full jitter.
const RECONNECT: Duration = Duration::from_millis(50);
/// Longest such wait: a scheduler that comes back finds its nodes within a
/// second, and a thousand nodes do not find it in the same one.
const RECONNECT_MAX: Duration = Duration::from_secs(1);

/// What a node says about itself in every hello.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// Its name.
    pub(crate) node: NodeId,
    /// Which incarnation of it.
    pub(crate) incarnation: Incarnation,
    /// What its slots may take.
    pub(crate) capacity: Resources,
    /// Its labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// How it holds slots to their limits.
    pub(crate) limits: String,
}

/// Why a link is of no more use.
#[derive(Debug)]
pub(crate) enum Over {
    /// The scheduler refuses this node, and would again.
    Refused(Error),
    /// The driver has gone.
    Left,
}

/// Why a connection ended.
#[derive(Debug)]
enum Broken {
    Link(Error),
    /// The scheduler ended the stream of orders.
    Ended,
    Over(Over),
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self::Link(error)
    }
}

/// A node's link.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) client: Client,
    pub(crate) identity: Identity,
    pub(crate) tools: Arc<Tools>,
}

impl Link {
    /// Links up again and again; ends only when that is of no more use.
    pub(crate) async fn run(self) -> Over {
        let mut ceiling = RECONNECT;
        let mut is_silent = false;
        loop {
            let mut reached = false;
            let broken = match self.connection(&mut reached).await {
                Broken::Over(over) => return over,
                broken => broken,
            };
            self.tools.teller.tell(Happened::Unlinked).await;
            if reached {
                ceiling = RECONNECT;
                is_silent = false;
            }
            // Once for each time it is lost, not once for each time it is tried.
            if !is_silent {
                is_silent = true;
                match &broken {
                    Broken::Link(error) => {
                        tracing::warn!(
                            error = explain(error),
                            "no link to the scheduler; trying again"
                        );
                    }
                    _ => tracing::info!("the scheduler ended the link; trying again"),
                }
            }
            sleep(jitter(ceiling)).await;
            ceiling = (ceiling * 2).min(RECONNECT_MAX);
        }
    }

    /// One connection, from its hello to its end.
    async fn connection(&self, reached: &mut bool) -> Broken {
        let result = async {
            let (welcome, sent) = self.hello().await?;
            let generation = welcome.generation;
            let renew_every = Duration::from(welcome.lease.div(RENEWALS_A_LEASE));
            self.tools
                .teller
                .tell(Happened::Welcomed { welcome, sent })
                .await;
            let orders = self.client.orders(&self.identity.node, generation).await?;
            tracing::info!(server = self.client.server(), ?generation, "linked");
            *reached = true;
            // Whichever ends first ends both.
            tokio::select! {
                broken = self.follow(orders) => Err(broken),
                broken = self.report(generation, sent, renew_every) => Err(broken),
            }
        };
        match result.await {
            Ok(never) => never,
            Err(broken) => broken,
        }
    }

    async fn hello(&self) -> Result<(Welcome, BootTime), Broken> {
        let standing = self.tools.teller.ask(Happened::HelloWanted).await;
        let standing = standing.ok_or(Broken::Over(Over::Left))?;
        let identity = self.identity.clone();
        let hello = Hello {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            node: identity.node,
            incarnation: identity.incarnation,
            cluster: standing.cluster,
            capacity: identity.capacity,
            labels: identity.labels,
            limits: identity.limits,
            held: standing.held,
            sent_at: self.tools.now(),
        };
        let sent = BootTime::now();
        let welcome = match self.client.hello(&hello).await {
            Ok(welcome) => welcome,
            Err(error) if is_final(&error) => return Err(Broken::Over(Over::Refused(error))),
            Err(error) => return Err(error.into()),
        };
        if standing.cluster != Some(welcome.cluster) {
            // Before anything of the new cluster is taken: a node that starts
            // anew must not mistake its grants for the old one's.
            let (tools, cluster) = (Arc::clone(&self.tools), welcome.cluster);
            let written = tokio::task::spawn_blocking(move || tools.dir.set_cluster(cluster));
            if let Ok(Err(error)) = written.await {
                tracing::error!(error = explain(&error), "the cluster cannot be remembered");
            }
        }
        Ok((welcome, sent))
    }

    async fn follow(&self, mut orders: OrdersStream) -> Broken {
        loop {
            match orders.next().await {
                Ok(Some(line)) => self.tools.teller.tell(Happened::Orders(line)).await,
                Ok(None) => return Broken::Ended,
                Err(error) => return error.into(),
            }
        }
    }

    /// Sends what there is to say as soon as there is, and nothing in time to keep the lease.
    async fn report(
        &self,
        generation: Generation,
        hello: BootTime,
        renew_every: Duration,
    ) -> Broken {
        let mut unsaid = self.tools.unsaid.clone();
        let mut renewed = hello;
        loop {
            unsaid.borrow_and_update();
            let Some(batch) = self.tools.teller.ask(Happened::BatchWanted).await else {
                return Broken::Over(Over::Left);
            };
            if batch.reports.is_empty() && !due(&mut unsaid, renewed, renew_every).await {
                continue;
            }
            let reports = Reports {
                node: self.identity.node.clone(),
                generation,
                reports: batch.reports,
            };
            let sent = BootTime::now();
            let answer = match self.client.report(&reports).await {
                Ok(answer) => answer,
                Err(error) => return error.into(),
            };
            renewed = sent;
            let answered = Happened::Answered(Answered {
                upto: batch.upto,
                generation,
                lease: answer.lease,
                sent,
            });
            self.tools.teller.tell(answered).await;
        }
    }
}

/// Waits until the lease is to be renewed (true), or there is something to say (false).
async fn due(
    unsaid: &mut watch::Receiver<usize>,
    renewed: BootTime,
    renew_every: Duration,
) -> bool {
    let passed = Duration::from(BootTime::now().since(renewed));
    let until = Instant::now() + renew_every.saturating_sub(passed);
    tokio::select! {
        () = sleep_until(until) => true,
        changed = unsaid.changed() => changed.is_err(),
    }
}

/// Whether the scheduler's refusal of a hello stands until somebody changes something.
fn is_final(error: &Error) -> bool {
    /// Too slow, too many: those pass.
    const PASSING: [u16; 2] = [408, 429];
    error.problem().is_some_and(|problem| {
        (400..500).contains(&problem.status) && !PASSING.contains(&problem.status)
    })
}

/// Somewhere between nothing and `ceiling`.
fn jitter(ceiling: Duration) -> Duration {
    let ceiling = Span::from(ceiling).as_nanos();
    // Without randomness the nodes wait alike, which is slower and not wrong.
    let number = dir::random().unwrap_or(ceiling / 2);
    Duration::from_nanos(number % (ceiling + 1))
}

#[cfg(test)]
mod tests {
    use stint_api::problem::Problem;

    use super::*;

    fn refused(status: u16) -> Error {
        Error::Problem(Box::new(Problem {
            kind: "urn:stint:x".into(),
            title: String::new(),
            status,
            detail: String::new(),
            hint: None,
        }))
    }

    #[test]
    fn a_wrong_token_or_protocol_is_final_and_a_busy_scheduler_is_not() {
        for status in [401, 409, 422] {
            assert!(is_final(&refused(status)), "{status}");
        }
        for status in [408, 429, 500, 503] {
            assert!(!is_final(&refused(status)), "{status}");
        }
    }

    #[test]
    fn the_wait_lies_below_its_ceiling() {
        for _ in 0..1_000 {
            assert!(jitter(RECONNECT) <= RECONNECT);
        }
    }
}
