//! Tries every action in every way, and draws up the table.

use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use stint_jail::{Layer, LayerSet};
use syscalls::Sysno;

use crate::action::{Action, Bare, How, Reach};
use crate::honest;
use crate::site::{Node, Site};
use crate::verdict::Verdict;
use crate::{ACT, actions, bits};

/// The other call that is answered, where there is one.
#[cfg(target_arch = "x86_64")]
const SOFT: u32 = Sysno::open as u32;
#[cfg(not(target_arch = "x86_64"))]
const SOFT: u32 = Sysno::openat as u32;
/// Only a hang takes it whole.
const PATIENCE: Duration = Duration::from_secs(20);
/// Fewer actions are no test of a jail.
const ACTIONS_MIN: usize = 60;

/// What came out of one action.
struct Tried {
    action: &'static Action,
    whole: Verdict,
    bare: Verdict,
    breaches: Vec<String>,
}

/// How many, and what has got through.
#[derive(Default)]
struct Tally {
    actions: u32,
    processes: u32,
    breaches: Vec<String>,
}

/// Tries all actions whose name has `filter` in it.
pub(crate) fn all(filter: Option<&str>) -> ExitCode {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: only root has all layers of the jail, and this is not root");
        return ExitCode::SUCCESS;
    }
    let began = Instant::now();
    let mut tally = Tally::default();
    if actions().len() < ACTIONS_MIN {
        let few = format!("only {} actions", actions().len());
        tally.breaches.push(few);
    }
    let chosen = |action: &Action| filter.is_none_or(|filter| action.name.contains(filter));
    as_root(&chosen, &mut tally);
    as_user(&chosen, &mut tally);
    for breach in &tally.breaches {
        println!("BREACH: {breach}");
    }
    let took = began.elapsed().as_secs_f64();
    println!(
        "{} actions, {} processes, {took:.1} s",
        tally.actions, tally.processes
    );
    let failed = u8::from(!tally.breaches.is_empty());
    let result = ["ok", "FAILED"][usize::from(failed)];
    println!(
        "test result: {result}. {} passed; {failed} failed; 0 ignored",
        1 - failed
    );
    ExitCode::from(failed)
}

/// On a node of root's: every action in every way.
fn as_root(chosen: &dyn Fn(&Action) -> bool, tally: &mut Tally) {
    let mut site = Site::new(Node::OfRoot).unwrap();
    println!(
        "{:<42} {:<26} {:<9} alone",
        "action", "under the whole jail", "without"
    );
    let all = actions().into_iter().enumerate();
    for (number, action) in all.filter(|(_, action)| chosen(action)) {
        let one = one(number, action, &mut site, &mut tally.processes);
        println!("{}", row(&one));
        tally.breaches.extend(one.breaches);
        tally.actions += 1;
    }
    for (number, action) in honest().filter(|(_, action)| chosen(action)) {
        let whole = run(number, LayerSet::ALL, false, &mut site);
        println!("+{:<41} {whole}", action.name);
        if whole != Verdict::Reached {
            let breach = format!("{}: {whole}, although honest", action.name);
            tally.breaches.push(breach);
        }
        tally.actions += 1;
        tally.processes += 1;
    }
}

/// On a node of an ordinary user's: every action under what can be had there. What
/// belongs to that user is all open to it otherwise.
fn as_user(chosen: &dyn Fn(&Action) -> bool, tally: &mut Tally) {
    let mut site = Site::new(Node::OfUser).unwrap();
    let bad = actions().into_iter().enumerate().map(|one| (one, false));
    let good = honest().map(|one| (one, true));
    for ((number, action), reaches) in bad.chain(good).filter(|((_, one), _)| chosen(one)) {
        let whole = run(number, LayerSet::ALL, false, &mut site);
        let right = if reaches {
            whole == Verdict::Reached
        } else {
            whole.is_denied()
        };
        if !right {
            let breach = format!("{}: {whole} on a node that is not root's", action.name);
            tally.breaches.push(breach);
        }
        tally.processes += 1;
    }
}

fn row(
    Tried {
        action,
        whole,
        bare,
        ..
    }: &Tried,
) -> String {
    let reach = match action.reach {
        Reach::Outside => ' ',
        Reach::Itself => '*',
    };
    let by: Vec<&str> = action.by.iter().map(|layer| layer.name()).collect();
    let (name, by) = (action.name, by.join(" "));
    format!("{reach}{name:<41} {whole:<26} {bare:<9} {by}")
}

/// What must work in the whole jail, numbered after what must not.
fn honest() -> impl Iterator<Item = (usize, &'static Action)> {
    let before = actions().len();
    let all = honest::ACTIONS.iter().enumerate();
    all.map(move |(at, action)| (before + at, action))
}

/// One action, in all ways.
fn one(number: usize, action: &'static Action, site: &mut Site, runs: &mut u32) -> Tried {
    let mut breaches = Vec::new();
    let mut attempt = |layers: LayerSet, careful: bool| {
        *runs += 1;
        run(number, layers, careful, site)
    };
    let whole = attempt(LayerSet::ALL, false);
    if !whole.is_denied() {
        breaches.push(format!("{}: {whole} under the whole jail", action.name));
    }
    if let Some(other) = unnamed(action, &whole) {
        breaches.push(format!("{}: {other}, not the call itself", action.name));
    }
    for layer in Layer::ALL {
        // What closes descriptors stands beside whoever opened them with care.
        let careful = layer == Layer::ClosedDescriptors;
        let without = attempt(LayerSet::ALL.without(layer), careful);
        // What reaches no further than the process needs no second layer.
        let lone = action.reach == Reach::Itself && action.by == [layer];
        if !without.is_denied() && !lone {
            breaches.push(format!("{}: {without} without {layer}", action.name));
        }
    }
    // A process that runs one attempt after another has one layer less to begin with.
    let shared = LayerSet::ALL.without(Layer::LandlockFiles);
    for layer in shared.iter() {
        let careful = layer == Layer::ClosedDescriptors;
        let without = attempt(shared.without(layer), careful);
        let lone = action.reach == Reach::Itself && action.by == [layer];
        if !without.is_denied() && !lone {
            let name = action.name;
            breaches.push(format!("{name}: {without} without {layer}, when shared"));
        }
    }
    for layer in action.by {
        let alone = attempt(LayerSet::NONE.with(*layer), false);
        if !alone.is_denied() {
            breaches.push(format!("{}: {alone} under {layer} alone", action.name));
        }
    }
    // Who opened it and marked it so is the second layer there.
    let others = usize::from(action.by.contains(&Layer::ClosedDescriptors));
    if action.reach == Reach::Outside && action.by.len() + others < 2 {
        breaches.push(format!("{}: stopped by one layer only", action.name));
    }
    let bare = attempt(LayerSet::NONE, false);
    if action.bare == Bare::Succeeds && bare != Verdict::Reached {
        breaches.push(format!("{}: {bare} even without a jail", action.name));
    }
    Tried {
        action,
        whole,
        bare,
        breaches,
    }
}

/// What the jail says instead of naming the call that it stopped.
fn unnamed(action: &Action, whole: &Verdict) -> Option<String> {
    let How::Calls(steps) = action.how else {
        return None;
    };
    // Two calls are answered, not stopped.
    let answered = [Sysno::openat as u32, SOFT];
    let stops = action.by.contains(&Layer::SmallFilter)
        && !steps.iter().any(|step| answered.contains(&step.number));
    let named = steps
        .iter()
        .any(|step| *whole == Verdict::Stopped(step.number));
    (stops && !named).then(|| whole.to_string())
}

/// One action in a process of its own.
fn run(number: usize, layers: LayerSet, careful: bool, site: &mut Site) -> Verdict {
    let owner = site.node.owner();
    let told = site.told(careful).unwrap();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut child = Command::new("/proc/self/exe")
        .arg(ACT)
        .args([number.to_string(), bits(layers).to_string()])
        .args(told.to_args())
        .uid(owner.uid)
        .gid(owner.gid)
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = String::new();
    if ours.read_to_string(&mut said).is_err() {
        child.kill().unwrap();
    }
    Verdict::of(&said, child.wait().unwrap())
}
