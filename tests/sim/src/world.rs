//! The world of one seed, and its loop: what happens next, happens.

use std::collections::BTreeMap;
use std::fmt;

use stint_api::id::{Incarnation, NodeId};
use stint_api::quantity::{Bytes, Millicores, Resources};
use stint_api::time::{Span, Time};
use stint_store::MemoryStore;

use crate::client::{Client, SLOT};
use crate::clock::Clock;
use crate::happening::{Asker, ClientAct, Happening, Place};
use crate::ledger::{Ledger, Violation};
use crate::node::{Disk, Node};
use crate::policy::Policy;
use crate::scheduler::Scheduler;
use crate::weather::{Chance, Weather};

/// The lease of this world.
pub(crate) const LEASE: Span = Span::from_secs(2);
/// When the world begins.
const BEGINNING: Time = Time::from_nanos(1_000_000_000_000);
/// How long things go wrong.
const STORM: Span = Span::from_secs(15);
/// Longest time from the end of the faults until every job is over and every node empty.
const PATIENCE: Span = Span::from_secs(240);
/// Most clock drift, in parts of a million: over a lease it must stay within the grace.
const DRIFT_MAX: u32 = 2_000;

/// Everything there is.
#[derive(Debug)]
pub struct World {
    pub(crate) now: Time,
    pub(crate) chance: Chance,
    pub(crate) weather: Weather,
    pub(crate) policy: Policy,
    pub(crate) scheduler: Scheduler,
    pub(crate) nodes: Vec<Node>,
    pub(crate) clients: Vec<Client>,
    pub(crate) ledger: Ledger,
    pub(crate) is_calm: bool,
    /// What is going to happen, in order; equals in the order in which they were arranged.
    coming: BTreeMap<(Time, u64), Happening>,
    numbers: u64,
    trace: Option<Vec<String>>,
}

/// A world in which a promise was broken.
#[derive(Debug)]
pub struct Failure {
    /// Which world.
    pub seed: u64,
    /// What was promised and not kept.
    pub violation: Violation,
    /// What happened before, when it was asked for.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        write!(f, "seed {}: {}", self.seed, self.violation)
    }
}

impl World {
    /// Lives through the world of a seed.
    ///
    /// # Errors
    /// A promise was broken; the same seed breaks it again.
    pub fn run(seed: u64, policy: Policy) -> Result<(), Failure> {
        Self::new(seed, policy, None).live(seed)
    }

    /// Lives through it again, and keeps a line of everything that happens.
    ///
    /// # Errors
    /// As [`World::run`], with the trace.
    pub fn replay(seed: u64, policy: Policy) -> Result<(), Failure> {
        Self::new(seed, policy, Some(Vec::new())).live(seed)
    }

    fn new(seed: u64, policy: Policy, trace: Option<Vec<String>>) -> Self {
        let mut chance = Chance::new(seed);
        let weather = Weather::draw(&mut chance);
        let count = 2 + chance.index(3);
        let nodes = (0..count).map(|place| node(place, &mut chance)).collect();
        let count = 3 + chance.index(8);
        let clients = (0..count).map(|_| Client::draw(&mut chance)).collect();
        Self {
            now: BEGINNING,
            chance,
            weather,
            policy,
            scheduler: Scheduler {
                store: MemoryStore::new(),
                up: None,
                lives: 0,
                paused_until: BEGINNING,
            },
            nodes,
            clients,
            ledger: Ledger::new(weather.keeps < count),
            is_calm: false,
            coming: BTreeMap::new(),
            numbers: 0,
            trace,
        }
    }

    fn live(mut self, seed: u64) -> Result<(), Failure> {
        self.begin();
        let end = BEGINNING + STORM + PATIENCE;
        while let Some(((at, _), what)) = self.coming.pop_first() {
            self.now = at;
            self.happen(what);
            if self.ledger.violation().is_some() {
                break;
            }
            if self.is_calm && self.is_over() {
                self.judge();
                break;
            }
            if self.now > end {
                let what = format!("not over long after the faults: {}", self.what_hangs());
                self.ledger.object(what);
                break;
            }
        }
        match self.ledger.violation() {
            None => Ok(()),
            Some(violation) => Err(Failure {
                seed,
                violation: violation.clone(),
                trace: self.trace.unwrap_or_default(),
            }),
        }
    }

    fn begin(&mut self) {
        self.after(Span::ZERO, Happening::SchedulerUp);
        for place in 0..self.nodes.len() {
            let soon = self.chance.millis(0, 2_000);
            self.after(soon, Happening::KeeperUp(place));
            self.after(soon + Span::from_millis(1), Happening::ProcessUp(place));
        }
        for index in 0..self.clients.len() {
            let sometime = self.chance.millis(0, self.weather.submits_millis);
            self.after(sometime, Happening::Client(index, ClientAct::Submit));
        }
        // In every second world somebody does; at the end of the others there is nothing to undo.
        if self.chance.happens(500) {
            self.after(Span::ZERO, Happening::Operator);
        }
        self.after(STORM, Happening::Calm);
        self.next_fault();
    }

    fn happen(&mut self, what: Happening) {
        if self.is_void(&what) {
            return;
        }
        if let Some(until) = self.held_up(&what) {
            return self.at(until, what);
        }
        match what {
            Happening::Request(ticket, request) => self.request(ticket, *request),
            Happening::Answer(ticket, answer) => match ticket.asker {
                Asker::Client(index) => self.client_answered(index, ticket.number, *answer),
                Asker::Operator => {}
                Asker::Node(place, _) if self.is_cut_off(place) => {}
                Asker::Node(place, _) => self.answered(place, ticket, *answer),
            },
            Happening::GiveUp(ticket) => match ticket.asker {
                Asker::Client(index) => self.client_gives_up(index, ticket.number),
                Asker::Operator => {}
                Asker::Node(place, _) => self.gives_up(place, ticket),
            },
            Happening::Line {
                node,
                stream,
                orders,
            } => self.line(node, stream, *orders),
            Happening::StreamEnded { node, stream } => self.stream_ended(node, stream),
            Happening::StreamDead { node, stream } => self.stream_dead(&node, stream),
            Happening::Process { node, what, .. } => self.happens_to_process(node, what),
            Happening::ProcessUp(place) => self.process_up(place),
            Happening::Keeper { node, what, .. } => self.keeper_event(node, what),
            Happening::KeeperUp(place) => self.keeper_up(place),
            Happening::Operator => self.operator_acts(),
            Happening::Client(index, act) => self.client_acts(index, act),
            Happening::Fault(fault) => self.fault(fault),
            Happening::Calm => self.calm(),
            Happening::Turn { .. } => self.turn(),
            Happening::Commit { .. } => self.commit(),
            Happening::SchedulerUp => self.scheduler_up(),
        }
    }

    /// Whether it is for somebody who is dead.
    fn is_void(&self, what: &Happening) -> bool {
        match what {
            Happening::Answer(ticket, _) | Happening::GiveUp(ticket) => match ticket.asker {
                Asker::Client(_) | Asker::Operator => false,
                Asker::Node(place, life) => !self.is_alive(place, life),
            },
            Happening::Process { node, life, .. } => !self.is_alive(*node, *life),
            Happening::Keeper { node, life, .. } => {
                let keeper = self.nodes[*node].keeper.as_ref();
                keeper.is_none_or(|keeper| keeper.life != *life)
            }
            Happening::Turn { life } | Happening::Commit { life } => {
                let up = self.scheduler.up.as_ref();
                up.is_none_or(|up| up.life != *life)
            }
            _ => false,
        }
    }

    /// Until when it waits, because who it is for is stopped.
    fn held_up(&self, what: &Happening) -> Option<Time> {
        let until = match what {
            Happening::Answer(ticket, _) | Happening::GiveUp(ticket) => match ticket.asker {
                Asker::Client(_) | Asker::Operator => return None,
                Asker::Node(place, _) => self.paused_until(place)?,
            },
            Happening::Line { node, .. } | Happening::Process { node, .. } => {
                self.paused_until(*node)?
            }
            Happening::Turn { .. } | Happening::Commit { .. } => self.scheduler.paused_until,
            _ => return None,
        };
        (self.now < until).then_some(until)
    }

    /// Arranges for something to happen at a time.
    pub(crate) fn at(&mut self, at: Time, what: Happening) {
        let number = self.next_number();
        self.coming.insert((at.max(self.now), number), what);
    }

    /// Arranges for something to happen after a while.
    pub(crate) fn after(&mut self, after: Span, what: Happening) {
        self.at(self.now + after, what);
    }

    /// A number that was never used.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// What the clock of a machine shows.
    pub(crate) fn local(&self, place: Place) -> Time {
        self.nodes[place].clock.at(self.now)
    }

    fn is_alive(&self, place: Place, life: u64) -> bool {
        let process = self.nodes[place].process.as_ref();
        process.is_some_and(|process| process.life == life)
    }

    fn paused_until(&self, place: Place) -> Option<Time> {
        let process = self.nodes[place].process.as_ref();
        process.map(|process| process.paused_until)
    }

    /// Keeps a line of what happens, when it is to be kept.
    pub(crate) fn trace(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            let at = self.now.since(BEGINNING);
            trace.push(format!("{:>12.6} {}", at.as_secs_f64(), line()));
        }
    }

    /// Keeps a line of what happens on a node.
    pub(crate) fn tell(&mut self, place: Place, line: impl FnOnce() -> String) {
        self.trace(|| format!("node {place}: {}", line()));
    }
}

fn node(place: Place, chance: &mut Chance) -> Node {
    let slots = 1 + u64::from(chance.below(4));
    let id: NodeId = format!("node-{place}").parse().expect("a name");
    let drift = i64::from(chance.below(2 * DRIFT_MAX)) - i64::from(DRIFT_MAX);
    Node {
        id,
        clock: Clock::new(chance.millis(0, 3_600_000), drift),
        capacity: Resources {
            cpu: Millicores(SLOT.cpu.0 * 2 * u32::try_from(slots).unwrap_or(1)),
            memory: Bytes(SLOT.memory.0 * 2 * slots),
            scratch: Bytes(SLOT.scratch.0 * 2 * slots),
        },
        disk: Disk {
            incarnation: Incarnation(chance.seed()),
            cluster: None,
            spool: BTreeMap::new(),
            files: Default::default(),
        },
        keeper: None,
        process: None,
        lives: 0,
        cut_off_until: Time::default(),
    }
}
