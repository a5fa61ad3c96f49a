//! What the scheduler's HTTP side does with a request: one verb of the heart, and an answer.

use stint_api::id::NodeId;
use stint_api::time::Time;

use stint_cluster::Effects;

use crate::happening::{Answer, Request};
use crate::operator::Decision;
use crate::scheduler::{Open, Pending, Up};

impl Up {
    /// Calls the verb; the answer, which waits for the commit.
    pub(crate) fn call(
        &mut self,
        now: Time,
        request: Request,
        pending: &mut Pending,
    ) -> Option<Answer> {
        Some(match request {
            Request::Hello(hello) => match self.cluster.hello(now, &hello) {
                Ok((welcome, effects)) => {
                    self.generations
                        .insert(hello.node.clone(), welcome.generation);
                    pending.effects.extend(effects);
                    pending.closed.extend(self.streams.remove(&hello.node));
                    Answer::Welcome(welcome)
                }
                Err(error) => Answer::Refused(error.to_string()),
            },
            Request::Report(batch) => match self.cluster.report(now, &batch) {
                Ok(effects) => {
                    pending.effects.extend(effects);
                    Answer::Heard(self.cluster.config().lease)
                }
                Err(_) => Answer::Stale,
            },
            Request::Orders {
                node,
                place,
                generation,
                stream,
            } => {
                let open = Open {
                    stream,
                    place,
                    generation,
                    last_arrival: now,
                    is_broken: false,
                };
                return self.open(node, open, pending);
            }
            Request::Push(module) => match self.cluster.module_pushed(now, module) {
                Ok((_, effects)) => {
                    pending.effects.extend(effects);
                    Answer::Pushed
                }
                Err(error) => Answer::Refused(error.to_string()),
            },
            Request::Submit(spec, key) => match self.cluster.submit(now, *spec, Some(key)) {
                Ok((submission, effects)) => {
                    pending.effects.extend(effects);
                    Answer::Submitted(submission.id().clone())
                }
                Err(error) => Answer::Refused(error.to_string()),
            },
            Request::Cancel(id) => match self.cluster.cancel(now, &id) {
                Ok(effects) => {
                    pending.effects.extend(effects);
                    Answer::Cancelled
                }
                Err(error) => Answer::Refused(error.to_string()),
            },
            Request::Decide(decision) => {
                // Who is not there, or is over, is nothing to decide about.
                let decided = self.decide(now, &decision);
                pending.effects.extend(decided.unwrap_or_default());
                Answer::Decided
            }
            Request::Look(id) => Answer::Job(self.cluster.job(&id).map(Box::new)),
        })
    }

    /// Opens a node's stream of orders, which begins with all that it shall hold.
    fn open(&mut self, node: NodeId, open: Open, pending: &mut Pending) -> Option<Answer> {
        let Some(full) = self.cluster.full(&node, open.generation) else {
            return Some(Answer::Stale);
        };
        let closed = self.streams.insert(node.clone(), open);
        pending.closed.extend(closed);
        pending.full.push((node, full));
        None
    }

    fn decide(&mut self, now: Time, decision: &Decision) -> Option<Effects> {
        let cluster = &mut self.cluster;
        let effects = match decision {
            Decision::Cordon(node) => cluster.cordon(now, node).ok()?.1,
            Decision::Uncordon(node) => cluster.uncordon(now, node).ok()?.1,
            Decision::Drain(node, within) => cluster.drain(now, node, *within).ok()?.1,
            Decision::Suspend(job) => cluster.suspend(now, job).ok()?,
            Decision::Resume(job) => cluster.resume(now, job).ok()?,
            Decision::Set(namespace, spec) => cluster.set_namespace(now, namespace, *spec).ok()?.1,
        };
        Some(effects)
    }
}
