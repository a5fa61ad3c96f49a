//! The node process, played: it performs what its supervisor wants, and tells
//! it what happened. The network side is in `link.rs`.

use stint_api::id::AttemptId;
use stint_api::outcome::Outcome;
use stint_api::time::{Span, Time};
use stint_supervisor::{Action, AttemptEnd, Config, Supervisor};

use crate::happening::{Happening, Place, ProcessEvent};
use crate::node::{Link, Process};
use crate::policy::Policy;
use crate::world::World;

/// Longest that a drained node waits for its last words to be heard.
const DRAIN_MAX: Span = Span::from_secs(5);

impl World {
    pub(crate) fn process_up(&mut self, place: Place) {
        let seed = self.chance.seed();
        let node = &mut self.nodes[place];
        if node.process.is_some() || node.keeper.is_none() {
            return;
        }
        let config = Config {
            capacity: node.capacity,
            cluster: node.disk.cluster,
            seed,
        };
        let life = node.next_life();
        node.process = Some(Process {
            life,
            heart: Supervisor::new(config),
            link: Link::Out,
            stream: None,
            has_orders: false,
            lease: Time::default(),
            said: None,
            is_to_speak: false,
            ordered: Default::default(),
            to_order: Vec::new(),
            to_discard: Vec::new(),
            wake: None,
            is_draining: false,
            paused_until: Time::default(),
        });
        self.tell(place, || "process up".to_owned());
        if self.policy == Policy::ForgetsWhatRuns {
            self.process_event(place, Span::ZERO, ProcessEvent::Hail);
            return;
        }
        let kept = self.kept(place);
        // Files of attempts that nobody knows of are swept away.
        let known = |file: &AttemptId| kept.iter().any(|kept| kept.attempt == *file);
        self.nodes[place].disk.files.retain(known);
        self.with_heart(place, |heart, now| heart.kept(now, kept));
        self.process_event(place, Span::ZERO, ProcessEvent::Hail);
    }

    pub(crate) fn process_dies(&mut self, place: Place) {
        if let Some(process) = self.nodes[place].process.take() {
            self.ledger.publishes_no_more(place);
            self.tell(place, || format!("process dies, life {}", process.life));
        }
    }

    /// An event for the process that lives now.
    pub(crate) fn process_event(&mut self, place: Place, after: Span, what: ProcessEvent) {
        if let Some(process) = &self.nodes[place].process {
            let life = process.life;
            self.after(
                after,
                Happening::Process {
                    node: place,
                    life,
                    what,
                },
            );
        }
    }

    pub(crate) fn happens_to_process(&mut self, place: Place, what: ProcessEvent) {
        match what {
            ProcessEvent::Wake => {
                if let Some(process) = &mut self.nodes[place].process {
                    process.wake = None;
                }
                self.with_heart(place, Supervisor::tick);
            }
            ProcessEvent::Prepared(grant, result) => {
                self.with_heart(place, |heart, now| heart.prepared(now, &grant, result));
            }
            ProcessEvent::Started(attempt, at) => {
                self.confirmed(place, &attempt);
                self.with_heart(place, |heart, _| heart.started(at, &attempt));
            }
            ProcessEvent::Ended(attempt, end) => {
                self.confirmed(place, &attempt);
                if self.policy == Policy::PublishesUnasked && !end.files.is_empty() {
                    self.ledger.publishes(place, &attempt, true);
                    self.ledger.renamed(place, &attempt);
                }
                self.with_heart(place, |heart, now| heart.ended(now, &attempt, *end));
            }
            ProcessEvent::Rename(attempt) => self.rename(place, &attempt),
            ProcessEvent::NewKeeper => self.find_keeper(place),
            ProcessEvent::DrainOver => self.leave(place),
            ProcessEvent::Beat | ProcessEvent::Speak => self.speak(place, what),
            ProcessEvent::Hail => self.hail(place),
            ProcessEvent::Listen => self.listen(place),
        }
    }

    /// Calls a verb of the supervisor and performs what follows.
    pub(crate) fn with_heart(
        &mut self,
        place: Place,
        verb: impl FnOnce(&mut Supervisor, Time) -> Vec<Action>,
    ) {
        let now = self.local(place);
        let Some(process) = &mut self.nodes[place].process else {
            return;
        };
        for action in verb(&mut process.heart, now) {
            self.perform(place, action);
        }
        self.look_after(place);
    }

    fn perform(&mut self, place: Place, action: Action) {
        match action {
            Action::Prepare { grant } => {
                let fails = self.chance.happens(self.weather.preparation);
                let result = match fails {
                    true => Err(Outcome::StartFailed {
                        step: "stage".to_owned(),
                    }),
                    false => Ok(()),
                };
                let takes = self.chance.millis(1, 300);
                self.process_event(place, takes, ProcessEvent::Prepared(grant.id, result));
            }
            Action::Start { attempt, grant } => {
                let node = &mut self.nodes[place];
                let Some(process) = &mut node.process else {
                    return;
                };
                if node.keeper.is_none() {
                    process.to_order.push((attempt, *grant));
                    return;
                }
                process.ordered.insert(attempt.clone());
                self.order_start(place, &attempt, *grant);
            }
            Action::Kill { attempt, why } => self.kill(place, &attempt, &why),
            Action::Publish { attempt, .. } => {
                let has_files = self.nodes[place].disk.files.contains(&attempt);
                self.ledger.publishes(place, &attempt, has_files);
                // Most are short, some outlive a lease.
                let most = if self.chance.happens(100) { 5_000 } else { 800 };
                let takes = self.chance.millis(1, most);
                self.process_event(place, takes, ProcessEvent::Rename(attempt));
            }
            Action::Discard { attempt } | Action::Forget { attempt } => {
                self.order_discard(place, &attempt);
            }
            Action::Release { .. } => {}
        }
    }

    fn kill(&mut self, place: Place, attempt: &AttemptId, why: &Outcome) {
        let at = self.local(place);
        let Some(process) = &mut self.nodes[place].process else {
            return;
        };
        let waits = process
            .to_order
            .iter()
            .position(|(waits, _)| waits == attempt);
        if let Some(waits) = waits {
            // No keeper ever heard of it.
            process.to_order.remove(waits);
            let end = Box::new(AttemptEnd::without_run(why.clone(), at));
            let what = ProcessEvent::Ended(attempt.clone(), end);
            self.process_event(place, Span::ZERO, what);
        } else {
            self.order_kill(place, attempt, why);
        }
    }

    /// What the supervisor asked for without an action: to be woken, and to be heard.
    fn look_after(&mut self, place: Place) {
        let clock = self.nodes[place].clock;
        let now = self.now;
        let late = self.chance.millis(0, 5);
        let Some(process) = &mut self.nodes[place].process else {
            return;
        };
        let wake = process
            .heart
            .next_wake()
            .map(|wake| clock.when(wake).max(now) + late);
        let sooner = wake.filter(|wake| process.wake.is_none_or(|before| *wake < before));
        let speaks = process.heart.unsaid_bytes() > 0 && !process.is_to_speak;
        process.is_to_speak |= speaks;
        let is_done = process.is_draining && process.heart.is_idle();
        if let Some(wake) = sooner {
            process.wake = Some(wake);
            self.process_event(place, wake.since(now), ProcessEvent::Wake);
        }
        if speaks {
            let soon = self.chance.millis(0, 5);
            self.process_event(place, soon, ProcessEvent::Speak);
        }
        if is_done {
            self.process_event(place, Span::ZERO, ProcessEvent::DrainOver);
        }
    }

    fn confirmed(&mut self, place: Place, attempt: &AttemptId) {
        if let Some(process) = &mut self.nodes[place].process {
            process.ordered.remove(attempt);
        }
    }

    /// Puts the files of an attempt into their place, if they may still go there.
    fn rename(&mut self, place: Place, attempt: &AttemptId) {
        let mut may = self.policy == Policy::PublishesAcrossLeases;
        if !may {
            self.with_heart(place, |heart, now| {
                let asked = heart.may_publish(now, attempt);
                may = asked.is_ok();
                asked.err().unwrap_or_default()
            });
        }
        if !may {
            self.ledger.gives_up(attempt);
            return;
        }
        self.ledger.renamed(place, attempt);
        self.tell(place, || format!("published {attempt}"));
        self.with_heart(place, |heart, now| heart.published(now, attempt, Ok(())));
    }

    /// Another keeper took the place of one that died.
    fn find_keeper(&mut self, place: Place) {
        if self.nodes[place].keeper.is_none() {
            return;
        }
        let Some(process) = &mut self.nodes[place].process else {
            return;
        };
        // What the last keeper never confirmed may have run: it is not ordered again.
        let lost: Vec<AttemptId> = std::mem::take(&mut process.ordered).into_iter().collect();
        let to_order = std::mem::take(&mut process.to_order);
        for attempt in std::mem::take(&mut process.to_discard) {
            self.order_discard(place, &attempt);
        }
        let kept = self.kept(place);
        let kept_ids: Vec<AttemptId> = kept.iter().map(|kept| kept.attempt.clone()).collect();
        self.with_heart(place, |heart, now| heart.kept(now, kept));
        for attempt in lost.into_iter().filter(|lost| !kept_ids.contains(lost)) {
            let step = "the keeper died".to_owned();
            self.with_heart(place, |heart, now| {
                let end = AttemptEnd::without_run(Outcome::StartFailed { step }, now);
                heart.ended(now, &attempt, end)
            });
        }
        self.give_lease(place);
        for (attempt, grant) in to_order {
            if let Some(process) = &mut self.nodes[place].process {
                process.ordered.insert(attempt.clone());
            }
            self.order_start(place, &attempt, grant);
        }
    }

    /// The node is asked to go down.
    pub(crate) fn drain(&mut self, place: Place) {
        let Some(process) = &mut self.nodes[place].process else {
            return;
        };
        process.is_draining = true;
        self.tell(place, || "drains".to_owned());
        self.with_heart(place, Supervisor::drain);
        self.process_event(place, DRAIN_MAX, ProcessEvent::DrainOver);
    }

    fn leave(&mut self, place: Place) {
        self.process_dies(place);
        self.keeper_dies(place);
        let soon = self.chance.millis(10, 2_000);
        self.after(soon, Happening::KeeperUp(place));
        self.after(soon + Span::from_millis(1), Happening::ProcessUp(place));
    }
}
