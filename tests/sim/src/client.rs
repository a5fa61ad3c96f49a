//! Who submits: each client has one job, and asks until it is answered.

use stint_api::id::{Digest, JobId, Namespace};
use stint_api::job::JobSpec;
use stint_api::quantity::{Bytes, Millicores, Resources};
use stint_api::retry::RetryRule;
use stint_api::time::{Span, Time};
use stint_api::view::ModuleView;
use stint_cluster::IdempotencyKey;

use crate::happening::{Answer, Asker, ClientAct, Happening, Request, Ticket};
use crate::weather::Chance;
use crate::world::World;

/// The one module.
const MODULE: Digest = Digest([7; 32]);
/// Whose jobs there are.
pub(crate) const NAMESPACES: [&str; 2] = ["default", "team"];
/// How long an answer is waited for.
const PATIENCE: Span = Span::from_millis(900);
/// What the smallest slot takes; a node has some of these.
pub(crate) const SLOT: Resources = Resources {
    cpu: Millicores(500),
    memory: Bytes::mebi(64),
    scratch: Bytes::mebi(64),
};

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) spec: JobSpec,
    /// Whether the module was pushed by it.
    has_pushed: bool,
    pub(crate) job: Option<JobId>,
    cancels: bool,
    /// The client whose job it runs after, if that is known when it submits.
    follows: Option<usize>,
    asked: Option<(u64, ClientAct)>,
}

impl Client {
    pub(crate) fn draw(chance: &mut Chance) -> Self {
        let mut spec = JobSpec::new(MODULE);
        spec.tasks = match chance.below(4) {
            0 => 1,
            1 => 1 + chance.below(5),
            2 => 1 + chance.below(20),
            _ => 1 + chance.below(60),
        };
        spec.namespace = NAMESPACES[chance.index(2)].parse().expect("a name");
        spec.cpu = Millicores(SLOT.cpu.0 * (1 + chance.below(2)));
        spec.memory = SLOT.memory;
        spec.scratch = SLOT.scratch;
        spec.retries = chance.below(4);
        spec.parallelism = chance.happens(300).then(|| 1 + chance.below(3));
        spec.priority = [0, 0, 5][chance.index(3)];
        spec.output = chance.happens(500).then(|| "file:///out".to_owned());
        draw_policies(&mut spec, chance);
        Self {
            spec,
            follows: chance.happens(250).then(|| chance.index(8)),
            has_pushed: false,
            job: None,
            cancels: chance.happens(100),
            asked: None,
        }
    }
}

/// What some jobs say of failures and of time.
fn draw_policies(spec: &mut JobSpec, chance: &mut Chance) {
    spec.max_failed = chance.happens(150).then(|| chance.below(3));
    if spec.retries > 0 && chance.happens(250) {
        let up_to = Bytes(SLOT.memory.0 * 2);
        let rule = format!(r#"{{"on": "exited", "memory_factor": 2, "up_to": "{up_to}"}}"#);
        spec.retry
            .extend(serde_json::from_str::<RetryRule>(&rule).ok());
    }
    if chance.happens(100) {
        spec.task_timeout = Some(Span::from_millis(1 + u64::from(chance.below(3))));
    }
    spec.job_timeout = chance.happens(100).then(|| chance.millis(2_000, 20_000));
    spec.queue_timeout = chance.happens(100).then(|| chance.millis(500, 10_000));
}

impl World {
    pub(crate) fn client_acts(&mut self, index: usize, act: ClientAct) {
        let number = self.next_number();
        if act == ClientAct::Submit && self.clients[index].has_pushed {
            let parent = self.clients[index].follows.take();
            let parent = parent.and_then(|parent| self.clients.get(parent)?.job.clone());
            let own = &self.clients[index].spec.namespace;
            let parent = parent.filter(|parent| parent.namespace == *own);
            self.clients[index].spec.after.extend(parent);
        }
        let client = &mut self.clients[index];
        let request = match (act, &client.job) {
            (ClientAct::Submit, None) if !client.has_pushed => {
                Request::Push(module(&client.spec.namespace))
            }
            (ClientAct::Submit, None) => {
                let key = IdempotencyKey {
                    key: format!("client-{index}"),
                    body: MODULE,
                };
                Request::Submit(Box::new(client.spec.clone()), key)
            }
            (ClientAct::Look, Some(job)) => Request::Look(job.clone()),
            (ClientAct::Cancel, Some(job)) => Request::Cancel(job.clone()),
            _ => return,
        };
        client.asked = Some((number, act));
        let ticket = Ticket {
            asker: Asker::Client(index),
            number,
        };
        self.ask(ticket, request, PATIENCE);
    }

    pub(crate) fn client_answered(&mut self, index: usize, number: u64, answer: Answer) {
        let again = self.chance.millis(20, 900);
        let client = &mut self.clients[index];
        let Some((_, act)) = client.asked.filter(|(asked, _)| *asked == number) else {
            return;
        };
        client.asked = None;
        match answer {
            Answer::Down => self.after(again, Happening::Client(index, act)),
            Answer::Pushed => {
                client.has_pushed = true;
                self.after(Span::ZERO, Happening::Client(index, ClientAct::Submit));
            }
            Answer::Submitted(id) => {
                client.job = Some(id.clone());
                self.ledger.acknowledges(&id, &client.spec);
                if client.cancels {
                    self.after(again, Happening::Client(index, ClientAct::Cancel));
                }
                self.after(again, Happening::Client(index, ClientAct::Look));
            }
            Answer::Job(view) => {
                if let Some(id) = client.job.clone() {
                    self.ledger.answers(&id, view.as_deref());
                }
                if view.is_some_and(|view| !view.state.is_final()) {
                    self.after(again, Happening::Client(index, ClientAct::Look));
                }
            }
            // The job that it follows may be forgotten by now.
            Answer::Refused(_) if self.ledger.forgets && !client.spec.after.is_empty() => {
                client.spec.after.clear();
                self.after(again, Happening::Client(index, act));
            }
            Answer::Refused(why) => {
                let what = format!("client {index} is refused: {why}");
                self.ledger.object(what);
            }
            Answer::Cancelled
            | Answer::Decided
            | Answer::Welcome(_)
            | Answer::Stale
            | Answer::Heard(_) => {}
        }
    }

    pub(crate) fn client_gives_up(&mut self, index: usize, number: u64) {
        let client = &mut self.clients[index];
        if let Some((_, act)) = client.asked.filter(|(asked, _)| *asked == number) {
            client.asked = None;
            self.after(Span::ZERO, Happening::Client(index, act));
        }
    }
}

fn module(namespace: &Namespace) -> ModuleView {
    ModuleView {
        namespace: namespace.clone(),
        digest: MODULE,
        size: Bytes(1),
        kind: "core".to_owned(),
        entry: "_start".to_owned(),
        memory_min: Bytes(0),
        imports: Vec::new(),
        profile: "plain".to_owned(),
        pushed_at: Time::default(),
        kit: None,
    }
}
