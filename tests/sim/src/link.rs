//! The node's side of the link, played: hello, reports, the stream of orders.

use stint_api::link::{Hello, Orders, PROTOCOL, Reports, Welcome};
use stint_api::time::{Span, Time};

use crate::happening::{Answer, Asker, Place, ProcessEvent, Request, Ticket};
use crate::node::{Link, Said};
use crate::policy::Policy;
use crate::world::{LEASE, World};

/// How long an answer is waited for.
const PATIENCE: Span = Span::from_millis(900);

impl World {
    /// Says hello, unless one is on its way.
    pub(crate) fn hail(&mut self, place: Place) {
        let sent = self.local(place);
        let number = self.next_number();
        let node = &mut self.nodes[place];
        let (id, capacity) = (node.id.clone(), node.capacity);
        let incarnation = node.disk.incarnation;
        let Some(process) = &mut node.process else {
            return;
        };
        if !matches!(process.link, Link::Out) {
            return;
        }
        let asker = Asker::Node(place, process.life);
        let ticket = Ticket { asker, number };
        process.link = Link::Hailing { ticket, sent };
        process.said = None;
        process.stream = None;
        let hello = Hello {
            protocol: PROTOCOL,
            version: "sim".to_owned(),
            node: id,
            incarnation,
            cluster: process.heart.cluster(),
            capacity,
            labels: Default::default(),
            limits: "played".to_owned(),
            held: process.heart.held(),
            sent_at: match self.policy {
                Policy::HellosUnstamped => Time::default(),
                _ => sent,
            },
        };
        self.tell(place, || format!("hello, holding {:?}", hello.held));
        self.ask(ticket, Request::Hello(hello), PATIENCE);
    }

    /// Sends what is unsaid, or a sign of life.
    pub(crate) fn speak(&mut self, place: Place, why: ProcessEvent) {
        let sent = self.local(place);
        let number = self.next_number();
        let node = &mut self.nodes[place];
        let id = node.id.clone();
        let Some(process) = &mut node.process else {
            return;
        };
        let beats = matches!(why, ProcessEvent::Beat);
        if !beats {
            process.is_to_speak = false;
        }
        if let Link::In(generation) = process.link
            && process.said.is_none()
            && (beats || process.heart.unsaid_bytes() > 0)
        {
            let batch = process.heart.batch();
            let asker = Asker::Node(place, process.life);
            let ticket = Ticket { asker, number };
            process.said = Some(Said {
                ticket,
                sent,
                upto: batch.upto,
            });
            let reports = Reports {
                node: id,
                generation,
                reports: batch.reports,
            };
            self.ask(ticket, Request::Report(reports), PATIENCE);
        }
        if beats && matches!(self.link(place), Some(Link::In(_))) {
            self.process_event(place, LEASE.div(4), ProcessEvent::Beat);
        }
    }

    /// Opens the stream of orders.
    pub(crate) fn listen(&mut self, place: Place) {
        let stream = self.next_number();
        let node = &mut self.nodes[place];
        let id = node.id.clone();
        let Some(process) = &mut node.process else {
            return;
        };
        let Link::In(generation) = process.link else {
            return;
        };
        process.stream = Some(stream);
        process.has_orders = false;
        let asker = Asker::Node(place, process.life);
        let ticket = Ticket {
            asker,
            number: stream,
        };
        let request = Request::Orders {
            node: id,
            place,
            generation,
            stream,
        };
        self.ask(ticket, request, PATIENCE);
    }

    pub(crate) fn answered(&mut self, place: Place, ticket: Ticket, answer: Answer) {
        let Some(process) = &mut self.nodes[place].process else {
            return;
        };
        if let Link::Hailing {
            ticket: asked,
            sent,
        } = process.link
            && asked == ticket
        {
            process.link = Link::Out;
            match answer {
                Answer::Welcome(welcome) => self.welcomed(place, sent, &welcome),
                _ => self.hail_later(place),
            }
        } else if let Some(said) = process.said.filter(|said| said.ticket == ticket) {
            process.said = None;
            match answer {
                Answer::Heard(lease) => self.heard(place, said, lease),
                Answer::Stale => self.start_over(place),
                _ => self.speak_later(place),
            }
        } else if process.stream == Some(ticket.number) {
            match answer {
                Answer::Stale => self.start_over(place),
                _ => self.stream_ended(place, ticket.number),
            }
        }
    }

    /// No answer came.
    pub(crate) fn gives_up(&mut self, place: Place, ticket: Ticket) {
        let Some(process) = &mut self.nodes[place].process else {
            return;
        };
        if matches!(process.link, Link::Hailing { ticket: asked, .. } if asked == ticket) {
            process.link = Link::Out;
            self.hail_later(place);
        } else if let Some(said) = process.said.filter(|said| said.ticket == ticket) {
            process.said = None;
            if self.policy == Policy::ForgetsUnanswered {
                self.with_heart(place, |heart, _| heart.acknowledged(said.upto));
            }
            self.speak_later(place);
        } else if process.stream == Some(ticket.number) && !process.has_orders {
            self.stream_ended(place, ticket.number);
        }
    }

    fn welcomed(&mut self, place: Place, sent: Time, welcome: &Welcome) {
        self.nodes[place].disk.cluster = Some(welcome.cluster);
        if let Some(process) = &mut self.nodes[place].process {
            process.link = Link::In(welcome.generation);
        }
        self.tell(place, || format!("welcomed as {:?}", welcome.generation));
        let until = self.lease_from(place, sent) + welcome.lease;
        self.with_heart(place, |heart, _| heart.welcomed(welcome));
        self.renewed(place, until);
        self.process_event(place, Span::ZERO, ProcessEvent::Listen);
        self.process_event(place, Span::ZERO, ProcessEvent::Beat);
    }

    fn heard(&mut self, place: Place, said: Said, lease: Span) {
        self.with_heart(place, |heart, _| heart.acknowledged(said.upto));
        let from = self.lease_from(place, said.sent);
        self.renewed(place, from + lease);
    }

    /// When a lease begins whose renewal was asked for then.
    fn lease_from(&self, place: Place, sent: Time) -> Time {
        match self.policy {
            Policy::LeasesAddUp => {
                let process = self.nodes[place].process.as_ref();
                process.map_or(sent, |process| process.lease.max(sent))
            }
            _ => sent,
        }
    }

    fn renewed(&mut self, place: Place, until: Time) {
        // The keeper first: it refuses to start anything without a lease.
        self.order_lease(place, until);
        self.with_heart(place, |heart, now| heart.renewed(now, until));
        if let Some(process) = &mut self.nodes[place].process {
            process.lease = process.lease.max(until);
        }
    }

    /// A new keeper is told of the lease.
    pub(crate) fn give_lease(&mut self, place: Place) {
        let lease = self.nodes[place]
            .process
            .as_ref()
            .map(|process| process.lease);
        if let Some(until) = lease {
            self.order_lease(place, until);
        }
    }

    /// A line of orders: of the stream that is read, or repeated by the network.
    pub(crate) fn line(&mut self, place: Place, stream: Option<u64>, mut orders: Orders) {
        let Some(process) = &mut self.nodes[place].process else {
            return;
        };
        if stream.is_some() {
            if stream != process.stream {
                return;
            }
            process.has_orders = true;
        }
        if self.policy == Policy::ObeysOldOrders
            && let Link::In(generation) = process.link
        {
            orders.generation = generation;
        }
        let mut refused = None;
        self.tell(place, || format!("orders {:?}", short(&orders)));
        self.with_heart(place, |heart, now| {
            heart.orders(now, orders).unwrap_or_else(|error| {
                refused = Some(error);
                Vec::new()
            })
        });
        if let Some(error) = refused
            && stream.is_some()
        {
            let what = format!("node {place} reads a stream that it must refuse: {error}");
            self.ledger.object(what);
        }
    }

    pub(crate) fn stream_ended(&mut self, place: Place, stream: u64) {
        if let Some(process) = &mut self.nodes[place].process
            && process.stream == Some(stream)
        {
            process.stream = None;
            // Either will do: the scheduler says in full what it wants on every stream.
            if self.chance.happens(500) {
                return self.start_over(place);
            }
            let soon = self.chance.millis(1, 200);
            self.process_event(place, soon, ProcessEvent::Listen);
        }
    }

    /// Another generation is wanted.
    fn start_over(&mut self, place: Place) {
        if let Some(process) = &mut self.nodes[place].process
            && matches!(process.link, Link::In(_))
        {
            process.link = Link::Out;
            process.said = None;
            process.stream = None;
            self.hail_later(place);
        }
    }

    fn hail_later(&mut self, place: Place) {
        let soon = self.chance.millis(5, 300);
        self.process_event(place, soon, ProcessEvent::Hail);
    }

    fn speak_later(&mut self, place: Place) {
        let soon = self.chance.millis(5, 200);
        self.process_event(place, soon, ProcessEvent::Speak);
    }

    fn link(&self, place: Place) -> Option<Link> {
        self.nodes[place]
            .process
            .as_ref()
            .map(|process| process.link)
    }
}

/// Orders for the trace.
fn short(orders: &Orders) -> String {
    use stint_api::link::Order;
    let tell = |order: &Order| match order {
        Order::Full { grants } => {
            let grants = grants
                .iter()
                .map(|grant| format!("{}:{:?}", grant.id, grant.tasks.len()));
            format!("full {}", grants.collect::<Vec<_>>().join(" "))
        }
        Order::Run(grant) => format!("run {}", grant.id),
        Order::Stop { id, why } => format!("stop {id} {why}"),
        Order::Publish { attempt } => format!("publish {attempt}"),
        Order::GiveBack { id, kill } => match kill {
            Some(why) => format!("give back {id} now: {why}"),
            None => format!("give back {id}"),
        },
    };
    let all: Vec<String> = orders.orders.iter().map(tell).collect();
    format!("{}: {}", orders.generation.0, all.join(", "))
}
