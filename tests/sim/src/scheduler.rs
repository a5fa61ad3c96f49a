//! The scheduler's driver, played as it is: calls wait in a queue, share a
//! group commit, and are answered when it is through.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use stint_api::id::{ClusterId, Generation, GrantId, JobId, NodeId};
use stint_api::link::{Order, Orders};
use stint_api::time::{Span, Time};
use stint_api::view::EventKind;
use stint_cluster::{Cluster, Config, Effects, Keep};
use stint_store::{Batch, Change, MemoryStore, Store as _, Term};

use crate::giving_way::{Verb, some_lender, told};
use crate::happening::{Answer, Happening, Life, Place, Request, Ticket};
use crate::ledger::Ledger;
use crate::policy::Policy;
use crate::world::{LEASE, World};

/// Most calls of one group commit.
const GROUP_MAX: usize = 8;
/// Most records of one batch here: few, so that commits are cut in many places.
const BATCH_RECORDS: usize = 4;

#[derive(Debug)]
pub(crate) struct Scheduler {
    pub(crate) store: MemoryStore,
    pub(crate) up: Option<Up>,
    pub(crate) lives: Life,
    /// Until when it is stopped by a signal, or by its disk.
    pub(crate) paused_until: Time,
}

/// A scheduler that runs.
#[derive(Debug)]
pub(crate) struct Up {
    pub(crate) life: Life,
    pub(crate) cluster: Cluster,
    term: Term,
    queue: VecDeque<(Ticket, Request)>,
    pub(crate) streams: BTreeMap<NodeId, Open>,
    /// Of the nodes that were told something in this life.
    pub(crate) generations: BTreeMap<NodeId, Generation>,
    /// Who was told to give way in this life, and for whom.
    told: BTreeSet<(GrantId, JobId)>,
    /// What waits for the commit that is under way.
    commit: Option<Pending>,
    /// When the next turn was arranged for.
    turn: Option<Time>,
}

/// A stream of orders, as the scheduler sees it.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) stream: u64,
    pub(crate) place: Place,
    pub(crate) generation: Generation,
    /// Lines arrive in order: not before this.
    pub(crate) last_arrival: Time,
    pub(crate) is_broken: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub(crate) effects: Effects,
    answers: Vec<(Ticket, Answer)>,
    /// First lines of streams that were opened.
    pub(crate) full: Vec<(NodeId, Orders)>,
    /// Streams that were closed: the node said hello, or opened another.
    pub(crate) closed: Vec<Open>,
}

impl World {
    pub(crate) fn scheduler_up(&mut self) {
        if self.scheduler.up.is_some() {
            return;
        }
        let store = std::mem::take(&mut self.scheduler.store).power_cycle();
        self.scheduler.store = store;
        self.scheduler.lives += 1;
        let life = self.scheduler.lives;
        let config = Config {
            lease: LEASE,
            keep: Keep {
                jobs: self.weather.keeps,
                ..Keep::default()
            },
            ..Config::default()
        };
        let new = ClusterId(self.chance.seed());
        let store = &mut self.scheduler.store;
        let (term, records) = match store.campaign() {
            Ok(term) => {
                let load = |prefix: &&str| store.load(prefix).unwrap_or_default();
                let records: Vec<_> = Cluster::PREFIXES.iter().flat_map(load).collect();
                (term, records)
            }
            Err(error) => return self.ledger.object(error.to_string()),
        };
        let records = records.iter();
        let records = records.map(|record| (record.key.as_str(), record.value.as_slice()));
        let restored = Cluster::restore(config, self.now, new, records);
        let (cluster, effects) = match restored {
            Ok(restored) => restored,
            Err(error) => return self.ledger.object(format!("cannot restore: {error}")),
        };
        self.trace(|| format!("scheduler up, {} changes to finish", effects.changes.len()));
        let mut up = Up {
            life,
            cluster,
            term,
            queue: VecDeque::new(),
            streams: BTreeMap::new(),
            generations: BTreeMap::new(),
            told: BTreeSet::new(),
            commit: None,
            turn: None,
        };
        up.look_at_orders(&effects.orders, &mut self.ledger);
        up.commit = Some(Pending {
            effects,
            ..Pending::default()
        });
        self.scheduler.up = Some(up);
        self.look_at_jobs();
        self.after(Span::ZERO, Happening::Commit { life });
    }

    pub(crate) fn scheduler_dies(&mut self) {
        let Some(up) = self.scheduler.up.take() else {
            return;
        };
        self.trace(|| format!("scheduler dies, life {}", up.life));
        for open in up.streams.into_values() {
            self.close_stream(&open);
        }
        let away = self.chance.millis(20, 4_000);
        self.after(away, Happening::SchedulerUp);
    }

    pub(crate) fn request(&mut self, ticket: Ticket, request: Request) {
        match &mut self.scheduler.up {
            None => self.answer(ticket, Answer::Down),
            Some(up) => {
                up.queue.push_back((ticket, request));
                self.arrange_turn(Span::ZERO);
            }
        }
    }

    /// The next turn is due after this, or sooner if it was arranged so.
    fn arrange_turn(&mut self, after: Span) {
        let at = self.now + after;
        let Some(up) = &mut self.scheduler.up else {
            return;
        };
        if up.turn.is_none_or(|turn| turn > at) {
            up.turn = Some(at);
            let life = up.life;
            self.at(at, Happening::Turn { life });
        }
    }

    pub(crate) fn turn(&mut self) {
        let now = self.now;
        let Some(up) = &mut self.scheduler.up else {
            return;
        };
        if up.turn.is_some_and(|turn| turn <= now) {
            up.turn = None;
        }
        if up.commit.is_some() {
            return;
        }
        let mut pending = Pending::default();
        for _ in 0..GROUP_MAX {
            let Some((ticket, request)) = up.queue.pop_front() else {
                break;
            };
            let before = pending.effects.orders.len();
            let answer = up.call(now, request, &mut pending);
            if self.policy == Policy::TakesFromLenders
                && let Some(Answer::Submitted(by)) = &answer
            {
                let forged = some_lender(&up.cluster, &up.generations, by);
                pending.effects.orders.extend(forged);
            }
            let orders = &pending.effects.orders[before..];
            up.look_at_orders(orders, &mut self.ledger);
            pending
                .answers
                .extend(answer.map(|answer| (ticket, answer)));
        }
        if up.cluster.next_wake().is_some_and(|wake| wake <= now) {
            let effects = up.cluster.tick(now);
            up.look_at_orders(&effects.orders, &mut self.ledger);
            pending.effects.extend(effects);
        }
        for open in std::mem::take(&mut pending.closed) {
            self.close_stream(&open);
        }
        if self.policy == Policy::AnswersBeforeCommit {
            let answers = std::mem::take(&mut pending.answers);
            self.give_answers(answers);
        }
        if self.policy == Policy::OrdersBeforeCommit {
            for (node, orders) in std::mem::take(&mut pending.effects.orders) {
                self.send_orders(&node, orders);
            }
        }
        let takes = match pending.effects.changes.len() {
            0 => Span::ZERO,
            _ if self.chance.happens(self.weather.delay) => self.chance.millis(10, 900),
            _ => self.chance.millis(1, 10),
        };
        if let Some(up) = &mut self.scheduler.up {
            up.commit = Some(pending);
            let life = up.life;
            self.after(takes, Happening::Commit { life });
        }
    }

    /// The commit is through: answers, then orders, then events; or the power went.
    pub(crate) fn commit(&mut self) {
        let Some(up) = &mut self.scheduler.up else {
            return;
        };
        let Some(pending) = up.commit.take() else {
            return;
        };
        let mut batches = batches(pending.effects.changes);
        if self.policy == Policy::CommitsByHalf && batches.len() > 1 {
            batches.pop();
        }
        if self.scheduler.store.commit(up.term, &batches).is_err() {
            return self.scheduler_dies();
        }
        let events = pending.effects.events.iter();
        let done = events.filter(|event| matches!(event.what, EventKind::Done { .. }));
        self.ledger.over.extend(done.map(|event| event.job.clone()));
        self.look_at_jobs();
        self.give_answers(pending.answers);
        for (node, full) in pending.full {
            self.send_orders(&node, full);
        }
        for (node, orders) in pending.effects.orders {
            self.send_orders(&node, orders);
        }
        for event in pending.effects.events {
            self.trace(|| format!("event {} {:?}", event.job, event.what));
            self.ledger.told(&event);
            self.check_event(&event);
        }
        let Some(up) = &self.scheduler.up else {
            return;
        };
        if !up.queue.is_empty() {
            self.arrange_turn(Span::ZERO);
        } else if let Some(wake) = up.cluster.next_wake() {
            let late = self.chance.millis(0, 5);
            self.arrange_turn(wake.since(self.now) + late);
        }
    }

    fn give_answers(&mut self, answers: Vec<(Ticket, Answer)>) {
        for (ticket, answer) in answers {
            self.answer(ticket, answer);
        }
    }

    fn send_orders(&mut self, node: &NodeId, orders: Orders) {
        for order in &orders.orders {
            if let Order::Publish { attempt } = order {
                self.ledger.grants_commit(attempt);
            }
        }
        let open = self
            .scheduler
            .up
            .as_ref()
            .and_then(|up| up.streams.get(node));
        let open = open.filter(|open| open.generation == orders.generation);
        if let Some((place, stream)) = open.map(|open| (open.place, open.stream)) {
            self.send_line(place, stream, orders);
        }
    }

    /// The node hears soon that its stream is closed.
    fn close_stream(&mut self, open: &Open) {
        let notice = self.chance.millis(1, 1_000);
        let ended = Happening::StreamEnded {
            node: open.place,
            stream: open.stream,
        };
        self.after(notice, ended);
    }

    pub(crate) fn stream_dead(&mut self, node: &NodeId, stream: u64) {
        if let Some(up) = &mut self.scheduler.up {
            up.streams
                .retain(|id, open| id != node || open.stream != stream);
        }
    }

    /// Holds what the scheduler shows against what it has shown, and its grants
    /// against what its nodes have.
    fn look_at_jobs(&mut self) {
        let Some(up) = &self.scheduler.up else {
            return;
        };
        for id in self.ledger.shown_jobs() {
            let view = up.cluster.job(&id);
            self.ledger.shows(&id, view.as_ref());
        }
        let nodes = up.cluster.nodes().nodes;
        let granted: u32 = nodes.iter().map(|node| node.grants).sum();
        let namespaces = up.cluster.namespaces().namespaces;
        let accounted: u32 = namespaces.iter().map(|one| one.used.slots).sum();
        if granted != accounted {
            let what = format!("nodes hold {granted} grants, namespaces {accounted}");
            self.ledger.object(what);
        }
        for namespace in namespaces {
            self.ledger.looks_at_quota(namespace);
        }
        for node in nodes {
            if !node.free.fits_in(&node.capacity) {
                let what = format!("{} is promised more than it has", node.id);
                self.ledger.object(what);
            }
        }
    }
}

impl Up {
    /// Looks at what a verb orders, before anything else happens: who gives way must.
    fn look_at_orders(&mut self, orders: &[(NodeId, Orders)], ledger: &mut Ledger) {
        let generations = orders.iter();
        let generations = generations.map(|(node, orders)| (node.clone(), orders.generation));
        self.generations.extend(generations);
        let mut told = told(orders);
        // A node that drains is told once more what it was told.
        told.retain(|id, by| self.told.insert((id.clone(), by.clone())));
        if told.is_empty() {
            return;
        }
        let verb = Verb::new(&self.cluster, &self.generations, &told);
        if let Some(what) = verb.objection() {
            ledger.object(what);
        }
        ledger.giving_way.extend(told);
    }

    /// Whether the store has everything that the heart believes.
    pub(crate) fn has_committed(&self) -> bool {
        self.commit.is_none()
    }
}

fn batches(changes: Vec<stint_cluster::Change>) -> Vec<Batch> {
    let changes = changes.into_iter().map(|change| match change {
        stint_cluster::Change::Put { key, bytes } => Change::Put {
            key: key.to_string(),
            value: bytes,
        },
        stint_cluster::Change::Delete { key } => Change::Delete {
            key: key.to_string(),
        },
    });
    let changes: Vec<Change> = changes.collect();
    let batches = changes
        .chunks(BATCH_RECORDS)
        .map(|few| Batch::new(few.to_vec()));
    batches
        .collect::<Result<_, _>>()
        .expect("records have keys and are small")
}
