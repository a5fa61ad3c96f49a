//! What a person sees while a job runs: a bar on a terminal, and lines only
//! for what is worth one.

use std::cell::RefCell;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use stint_api::id::TaskIndex;
use stint_api::outcome::Outcome;
use stint_api::view::{Event, EventKind};

use crate::show;

/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(100);

/// The bar of one job.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Which tasks are done: a restarted scheduler may tell again what it told before.
    done: RefCell<Vec<bool>>,
    /// What a node does before the job can start, if it was not told yet.
    preparing: RefCell<Option<String>>,
}

impl Progress {
    /// A bar for `tasks` tasks; invisible unless stderr is a terminal.
    pub(crate) fn new(tasks: u32) -> Self {
        let done = RefCell::new(vec![false; tasks as usize]);
        if !io::stderr().is_terminal() {
            return Self {
                bar: ProgressBar::hidden(),
                done,
                preparing: RefCell::default(),
            };
        }
        let target = ProgressDrawTarget::stderr();
        let bar = ProgressBar::with_draw_target(Some(u64::from(tasks)), target);
        let template = if tasks > 1 {
            "{spinner} [{bar:30}] {pos}/{len} {wide_msg}"
        } else {
            "{spinner} {wide_msg}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(TICK);
        Self {
            bar,
            done,
            preparing: RefCell::default(),
        }
    }

    /// Shows what happens.
    pub(crate) fn event(&self, event: &Event) {
        match &event.what {
            EventKind::Preparing { .. } => *self.preparing.borrow_mut() = Some(line(event)),
            EventKind::Started { .. } | EventKind::Ended { .. } => {
                self.preparing.borrow_mut().take();
            }
            _ => {}
        }
        match &event.what {
            EventKind::Submitted => self.bar.set_message("waiting for a place"),
            EventKind::Granted { node, .. } => self.bar.set_message(format!("placed on {node}")),
            EventKind::Preparing { node, step } => self.bar.set_message(format!("{node}: {step}")),
            EventKind::Started { node, .. } => self.bar.set_message(format!("running on {node}")),
            EventKind::Said { .. } => self.bar.set_message(line(event)),
            EventKind::Ended {
                attempt,
                tasks,
                outcome,
                is_final,
                ..
            } => {
                if *is_final {
                    self.bar.inc(self.newly_done(attempt.task, *tasks));
                }
                if *outcome != Outcome::Succeeded && !*is_final {
                    self.note(&line(event));
                }
            }
            EventKind::NodeLost { .. } | EventKind::Returned { .. } => self.note(&line(event)),
            EventKind::Suspended | EventKind::Resumed => self.note(&line(event)),
            EventKind::Done { .. } => self.bar.set_message("done"),
        }
    }

    /// How many of `count` tasks from `first` on were not known to be done.
    fn newly_done(&self, first: TaskIndex, count: u32) -> u64 {
        let mut done = self.done.borrow_mut();
        let tasks = done
            .iter_mut()
            .skip(first as usize)
            .take(count as usize)
            .filter(|done| !**done);
        tasks.fold(0, |newly, done| {
            *done = true;
            newly + 1
        })
    }

    /// Says what a node has been doing for a while, to who sees no bar; once each.
    pub(crate) fn still_preparing(&self) {
        let preparing = self.preparing.borrow_mut().take();
        if let Some(text) = preparing.filter(|_| self.bar.is_hidden()) {
            self.note(&text);
        }
    }

    /// Says why the job waits.
    pub(crate) fn waiting(&self, why: &str) {
        self.note(&format!("waiting: {why}"));
    }

    /// Writes a line to stderr, above the bar.
    pub(crate) fn note(&self, text: &str) {
        self.bar.suspend(|| show::note(text));
    }

    /// Lets `write` write to the terminal while the bar is away.
    pub(crate) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// An event as a line for people.
pub(crate) fn line(event: &Event) -> String {
    match &event.what {
        EventKind::Submitted => "submitted".to_owned(),
        EventKind::Granted { tasks, node } => format!("task {tasks}: granted to {node}"),
        EventKind::Preparing { node, step } => format!("{node}: {step}"),
        EventKind::Started { attempt, node } => {
            format!("task {}: attempt {attempt} runs on {node}", attempt.task)
        }
        EventKind::Said { attempt, said } => {
            format!("task {}: {}", attempt.task, show::said(said))
        }
        EventKind::Ended {
            attempt,
            tasks,
            node,
            outcome,
            usage,
            retry_in_seconds,
            is_final: _,
        } => {
            let last = attempt.task + tasks.saturating_sub(1);
            let which = match tasks {
                0 | 1 => format!("task {}", attempt.task),
                _ => format!("tasks {}-{last}", attempt.task),
            };
            let next = match retry_in_seconds {
                Some(seconds) => format!("; tries again in {}", show::seconds(*seconds)),
                None => String::new(),
            };
            let usage = show::usage(usage);
            format!("{which}: {outcome} on {node} ({usage}){next}")
        }
        EventKind::NodeLost { node, tasks } => {
            format!("{node} is lost; task {tasks} waits for another node")
        }
        EventKind::Returned { node, tasks } => {
            format!("{node} gave task {tasks} back; it waits for another node")
        }
        EventKind::Suspended => "suspended: nothing more of it is started".to_owned(),
        EventKind::Resumed => "resumed".to_owned(),
        EventKind::Done { state } => format!("the job {}", show::job_state(*state)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_is_told_twice_counts_once() {
        let progress = Progress::new(5);
        assert_eq!(progress.newly_done(0, 3), 3);
        assert_eq!(progress.newly_done(2, 2), 1);
        assert_eq!(progress.newly_done(4, 100), 1);
        assert_eq!(progress.newly_done(4, 1), 0);
    }
}
