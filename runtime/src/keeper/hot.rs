//! Which modules are in demand, so that workers which wait have them loaded already:
//! machine code that is mapped and linked, and of which nothing has run. Pure: what
//! was started and when, in; what is to be loaded next, out.

use stint_api::kit::Entry;
use stint_api::time::Span;
use stint_sandbox::Plan;

use super::clock::BootTime;

/// So many starts make a module one to be loaded beforehand, of which none is longer than
/// [`COOL`] after the one before: the first has it compared, and one that is started once or twice is not worth a berth.
const HOT_AFTER: u32 = 3;
/// After so long without a start nobody waits with a module any more.
const COOL: Span = Span::from_secs(10);
/// Modules that are told apart. More than these at once have no use of berths, of
/// which there are not many more.
const MODULES_MAX: usize = 32;
/// Starts that are counted of one: those of long ago are not to outweigh the others.
const STARTS_MAX: u32 = 256;

/// What a worker has loaded: an artifact, linked as it is entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Module {
    /// The artifact's sha-256.
    pub(crate) artifact: [u8; 32],
    /// How it is entered.
    pub(crate) entry: Entry,
}

impl Module {
    /// That of an attempt at `plan`.
    pub(crate) fn of(plan: &Plan) -> Self {
        Self {
            artifact: plan.artifact_sha256,
            entry: plan.entry.clone(),
        }
    }
}

/// A module that was started of late.
#[derive(Debug)]
struct Recent {
    module: Module,
    starts: u32,
    last: BootTime,
}

/// The modules of late.
#[derive(Debug, Default)]
pub(crate) struct Hot(Vec<Recent>);

impl Hot {
    /// A start of `module`.
    pub(crate) fn started(&mut self, module: &Module, now: BootTime) {
        self.tick(now);
        if let Some(recent) = self.0.iter_mut().find(|it| it.module == *module) {
            recent.starts += 1;
            recent.last = now;
            if recent.starts >= STARTS_MAX {
                self.0.iter_mut().for_each(|it| it.starts /= 2);
            }
            return;
        }
        if self.0.len() >= MODULES_MAX {
            let oldest = (0..self.0.len()).min_by_key(|at| self.0[*at].last);
            oldest.map(|at| self.0.swap_remove(at));
        }
        self.0.push(Recent {
            module: module.clone(),
            starts: 1,
            last: now,
        });
    }

    /// It could not be loaded beforehand: whoever starts it is told why.
    pub(crate) fn forget(&mut self, module: &Module) {
        self.0.retain(|it| it.module != *module);
    }

    /// Whether it is in demand.
    pub(crate) fn is_hot(&self, module: &Module) -> bool {
        self.all().any(|it| it.module == *module)
    }

    /// The module that lacks the most of its part of `berths`, of which `loaded` are with it now.
    pub(crate) fn next(&self, berths: usize, loaded: impl Fn(&Module) -> usize) -> Option<&Module> {
        let all: u32 = self.all().map(|it| it.starts).sum();
        let lacking = self.all().filter_map(|it| {
            let part = berths as u64 * u64::from(it.starts) / u64::from(all.max(1));
            let part = usize::try_from(part).unwrap_or(berths).max(1);
            let lacks = part.saturating_sub(loaded(&it.module));
            (lacks > 0).then_some((lacks, &it.module))
        });
        lacking.max_by_key(|(lacks, _)| *lacks).map(|(_, it)| it)
    }

    /// Forgets what has cooled down.
    pub(crate) fn tick(&mut self, now: BootTime) {
        self.0.retain(|it| now < it.last.after(COOL));
    }

    /// When it wants [`Hot::tick`]: when the next one that is hot no longer is.
    pub(crate) fn wake(&self) -> Option<BootTime> {
        self.all().map(|it| it.last.after(COOL)).min()
    }

    fn all(&self) -> impl Iterator<Item = &Recent> {
        self.0.iter().filter(|it| it.starts >= HOT_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(number: u8) -> Module {
        Module {
            artifact: [number; 32],
            entry: Entry::default(),
        }
    }

    #[test]
    fn a_module_is_hot_after_some_starts_and_cools_down() {
        let mut hot = Hot::default();
        let mut now = BootTime::now();
        for starts in 1..=HOT_AFTER {
            assert_eq!((hot.is_hot(&module(1)), hot.wake()), (false, None));
            hot.started(&module(1), now);
            assert_eq!(hot.next(8, |_| 0).is_some(), starts == HOT_AFTER);
            now = now.after(Span::from_secs(1));
        }
        let wake = hot.wake().unwrap();
        hot.tick(wake);
        assert!(!hot.is_hot(&module(1)));
        hot.started(&module(1), wake);
        assert!(!hot.is_hot(&module(1)), "it begins anew");
    }

    #[test]
    fn berths_are_shared_out_by_starts_and_each_that_is_hot_has_one() {
        let mut hot = Hot::default();
        let now = BootTime::now();
        for _ in 0..27 {
            hot.started(&module(1), now);
        }
        for _ in 0..3 {
            hot.started(&module(2), now);
        }
        let mut loaded = [0, 0];
        while let Some(next) = hot.next(10, |it| loaded[usize::from(it.artifact[0]) - 1]) {
            loaded[usize::from(next.artifact[0]) - 1] += 1;
        }
        assert_eq!(loaded, [9, 1]);
        assert_eq!(hot.next(0, |it| usize::from(it.artifact[0])), None);
        hot.forget(&module(1));
        assert_eq!(hot.next(10, |_| 0), Some(&module(2)));
    }

    #[test]
    fn only_so_many_are_told_apart() {
        let mut hot = Hot::default();
        let now = BootTime::now();
        for number in 0..=255 {
            hot.started(&module(number), now);
        }
        assert_eq!(hot.0.len(), MODULES_MAX);
        for _ in 0..1_000 {
            hot.started(&module(255), now);
        }
        assert!(hot.0.iter().all(|it| it.starts < STARTS_MAX));
    }
}
