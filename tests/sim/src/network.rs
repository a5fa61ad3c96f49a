//! The network: it loses, holds up and repeats, and breaks streams.

use stint_api::link::{Order, Orders};
use stint_api::time::Span;

use crate::happening::{Answer, Asker, Happening, Place, Request, Ticket};
use crate::world::World;

/// How late a repeated request may come: longer than any lease.
const REPEAT_MILLIS_MAX: u64 = 5_000;
/// The stream that a repeated request opens: nobody reads it. Numbers begin above.
const UNREAD: u64 = 0;
/// Longest time until one side notices that a stream is broken.
const NOTICE_MILLIS_MAX: u64 = 3_000;

impl World {
    /// Sends a request and arranges for its asker to give up.
    pub(crate) fn ask(&mut self, ticket: Ticket, request: Request, patience: Span) {
        self.after(patience, Happening::GiveUp(ticket));
        if self.chance.happens(self.weather.repeat) {
            let late = self.chance.millis(1, REPEAT_MILLIS_MAX);
            let mut again = Box::new(request.clone());
            if let Request::Orders { stream, .. } = &mut *again {
                *stream = UNREAD;
            }
            self.after(late, Happening::Request(ticket, again));
        }
        if let Some(delay) = self.passage(ticket.asker) {
            self.after(delay, Happening::Request(ticket, Box::new(request)));
        }
    }

    pub(crate) fn answer(&mut self, ticket: Ticket, answer: Answer) {
        if let Some(delay) = self.passage(ticket.asker) {
            self.after(delay, Happening::Answer(ticket, Box::new(answer)));
        }
    }

    /// How long a message is on its way; nothing when it is lost.
    fn passage(&mut self, asker: Asker) -> Option<Span> {
        let cut_off = match asker {
            Asker::Node(place, _) => self.is_cut_off(place),
            Asker::Client(_) | Asker::Operator => false,
        };
        let lost = self.chance.happens(self.weather.loss);
        let delay = self.delay();
        (!cut_off && !lost).then_some(delay)
    }

    fn delay(&mut self) -> Span {
        if self.chance.happens(self.weather.delay) {
            self.chance.millis(1, 1_500)
        } else {
            self.chance.micros(50, 3_000)
        }
    }

    pub(crate) fn is_cut_off(&self, place: Place) -> bool {
        self.now < self.nodes[place].cut_off_until
    }

    /// Sends a line on a stream: in order, or the stream breaks.
    pub(crate) fn send_line(&mut self, place: Place, stream: u64, orders: Orders) {
        let lost = self.chance.happens(self.weather.loss) || self.is_cut_off(place);
        // A request that came twice opened it, or its reader is gone.
        let reader = self.nodes[place].process.as_ref();
        let is_read = reader.is_some_and(|process| process.stream == Some(stream));
        let lost = lost || !is_read;
        let delay = self.delay();
        let is_full = |order: &Order| matches!(order, Order::Full { .. });
        let repeats =
            !orders.orders.iter().any(is_full) && self.chance.happens(self.weather.repeat);
        if repeats {
            let late = self.chance.millis(1, REPEAT_MILLIS_MAX);
            let orders = Box::new(orders.clone());
            let again = Happening::Line {
                node: place,
                stream: None,
                orders,
            };
            self.after(late, again);
        }
        let Some(up) = &mut self.scheduler.up else {
            return;
        };
        let id = &self.nodes[place].id;
        let open = up.streams.get_mut(id).filter(|open| open.stream == stream);
        let Some(open) = open.filter(|open| !open.is_broken) else {
            return;
        };
        if lost {
            self.break_stream(place);
            return;
        }
        let at = (self.now + delay).max(open.last_arrival + Span::from_nanos(1));
        open.last_arrival = at;
        let line = Happening::Line {
            node: place,
            stream: Some(stream),
            orders: Box::new(orders),
        };
        self.at(at, line);
    }

    /// Breaks the stream of a node; each side notices in its own time.
    pub(crate) fn break_stream(&mut self, place: Place) {
        let (one, other) = (self.notice(), self.notice());
        let id = self.nodes[place].id.clone();
        let Some(up) = &mut self.scheduler.up else {
            return;
        };
        let Some(open) = up.streams.get_mut(&id) else {
            return;
        };
        open.is_broken = true;
        let stream = open.stream;
        self.after(one, Happening::StreamDead { node: id, stream });
        self.after(
            other,
            Happening::StreamEnded {
                node: place,
                stream,
            },
        );
    }

    fn notice(&mut self) -> Span {
        self.chance.millis(1, NOTICE_MILLIS_MAX)
    }
}
