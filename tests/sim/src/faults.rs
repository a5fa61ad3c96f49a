//! What breaks: processes, keepers, machines, links, the scheduler and its disk.

use stint_api::id::{ClusterId, Incarnation};
use stint_api::time::Span;
use stint_store::PowerLoss;

use crate::happening::{Happening, Place};
use crate::world::World;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    SchedulerDies,
    /// In the middle of its next commit.
    PowerFails,
    SchedulerPaused,
    ProcessDies(Place),
    ProcessPaused(Place),
    KeeperDies(Place),
    /// Comes back as it was, or with part of its disk.
    MachineDies(Place),
    /// Comes back with an empty disk.
    MachineReplaced(Place),
    CutOff(Place),
    StreamBreaks(Place),
    Drained(Place),
}

impl World {
    /// Draws a fault and arranges for the next.
    pub(crate) fn next_fault(&mut self) {
        let most = self.weather.between_faults.as_nanos() / 500_000;
        let after = self.chance.micros(1_000, most * 1_000);
        let place = self.chance.index(self.nodes.len());
        let fault = match self.chance.below(16) {
            0 | 1 => Fault::SchedulerDies,
            2 | 3 => Fault::PowerFails,
            4 => Fault::SchedulerPaused,
            5 | 6 => Fault::ProcessDies(place),
            7 => Fault::ProcessPaused(place),
            8 => Fault::KeeperDies(place),
            9 => Fault::MachineDies(place),
            10 => Fault::MachineReplaced(place),
            11 | 12 => Fault::CutOff(place),
            13 | 14 => Fault::StreamBreaks(place),
            _ => Fault::Drained(place),
        };
        self.after(after, Happening::Fault(fault));
    }

    pub(crate) fn fault(&mut self, fault: Fault) {
        if self.is_calm {
            return;
        }
        self.trace(|| format!("FAULT {fault:?}"));
        let away = self.chance.millis(5, 5_000);
        match fault {
            Fault::SchedulerDies => self.scheduler_dies(),
            Fault::PowerFails => {
                let after_batches = self.chance.index(4);
                let store = &mut self.scheduler.store;
                store.fail_next_commit(PowerLoss { after_batches });
            }
            Fault::SchedulerPaused => self.scheduler.paused_until = self.now + away,
            Fault::ProcessDies(place) => {
                self.process_dies(place);
                self.after(away, Happening::ProcessUp(place));
            }
            Fault::ProcessPaused(place) => {
                let until = self.now + away;
                if let Some(process) = &mut self.nodes[place].process {
                    process.paused_until = until;
                }
            }
            Fault::KeeperDies(place) => {
                self.keeper_dies(place);
                let soon = self.chance.millis(1, 500);
                self.after(soon, Happening::KeeperUp(place));
            }
            Fault::MachineDies(place) => self.machine_dies(place, away),
            Fault::MachineReplaced(place) => {
                self.machine_dies(place, away);
                let incarnation = Incarnation(self.chance.seed());
                let disk = &mut self.nodes[place].disk;
                disk.incarnation = incarnation;
                disk.cluster = None::<ClusterId>;
                disk.spool.clear();
                disk.files.clear();
            }
            Fault::CutOff(place) => {
                self.nodes[place].cut_off_until = self.now + away;
                self.break_stream(place);
            }
            Fault::StreamBreaks(place) => self.break_stream(place),
            Fault::Drained(place) => self.drain(place),
        }
        self.next_fault();
    }

    /// Everything on the machine dies. What was written last may not be on its disk.
    fn machine_dies(&mut self, place: Place, away: Span) {
        self.process_dies(place);
        self.keeper_dies(place);
        let mut lost = Vec::new();
        for attempt in self.nodes[place].disk.spool.keys() {
            if self.chance.happens(300) {
                lost.push(attempt.clone());
            }
        }
        for attempt in lost {
            self.nodes[place].disk.spool.remove(&attempt);
            self.ledger.forgotten(&attempt);
            self.tell(place, || format!("loses the end of {attempt}"));
        }
        self.after(away, Happening::KeeperUp(place));
        self.after(away + Span::from_millis(1), Happening::ProcessUp(place));
    }

    /// The faults are over: whatever is down comes up, whatever is cut off is reached. What is
    /// stopped goes on in its time: cut short, what waits for it would be overtaken.
    pub(crate) fn calm(&mut self) {
        self.trace(|| "CALM".to_owned());
        self.is_calm = true;
        self.weather.loss = 0;
        self.weather.repeat = 0;
        self.weather.delay = 0;
        let now = self.now;
        self.after(Span::ZERO, Happening::SchedulerUp);
        for place in 0..self.nodes.len() {
            self.nodes[place].cut_off_until = now;
            self.after(Span::ZERO, Happening::KeeperUp(place));
            self.after(Span::from_millis(1), Happening::ProcessUp(place));
        }
    }
}
