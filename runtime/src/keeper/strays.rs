//! Children that were born and died before anybody heard who they are: a zygote
//! that is killed between a birth and the newborn's first word leaves such a one.
//! Whoever is dead and unknown is reaped, lest it stay a zombie.

use std::fs;

use rustix::process::{Pid, WaitOptions, waitpid};
use stint_api::time::Span;

use super::clock::BootTime;

/// How long after a birth that failed one may turn up.
const FOR: Span = Span::from_secs(10);
/// How often it is looked for.
const EVERY: Span = Span::from_millis(500);
/// Where the kernel lists the children of this thread, of which there is one.
const CHILDREN: &str = "/proc/thread-self/children";

/// The search for them, while there is a reason to.
#[derive(Debug, Default)]
pub(crate) struct Strays(Option<Search>);

#[derive(Clone, Copy, Debug)]
struct Search {
    next: BootTime,
    until: BootTime,
}

impl Strays {
    /// There is a reason.
    pub(crate) fn look_for(&mut self, now: BootTime) {
        self.0 = Some(Search {
            next: now,
            until: now.after(FOR),
        });
    }

    /// When it wants [`Strays::tick`].
    pub(crate) fn wake(&self) -> Option<BootTime> {
        self.0.map(|search| search.next)
    }

    /// Looks, if it is time; who is `known` is waited for elsewhere.
    pub(crate) fn tick(&mut self, known: impl Iterator<Item = u32>, now: BootTime) {
        let Some(search) = self.0.filter(|search| now >= search.next) else {
            return;
        };
        let known: Vec<u32> = known.collect();
        let children = fs::read_to_string(CHILDREN).unwrap_or_default();
        let numbers = children.split_whitespace();
        let numbers = numbers.filter_map(|number| number.parse::<i32>().ok());
        for pid in numbers.filter_map(Pid::from_raw) {
            let is_known = known.contains(&pid.as_raw_pid().unsigned_abs());
            // Nothing for one that lives.
            if !is_known && matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(Some(_))) {
                tracing::debug!(%pid, "a child was reaped of which nobody had heard");
            }
        }
        self.0 = (now < search.until).then_some(Search {
            next: now.after(EVERY),
            ..search
        });
    }
}
