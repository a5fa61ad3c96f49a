//! What arming costs, stage by stage and layer by layer.

use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use stint_jail::{Access, Assignment, Layer, LayerSet, Source};

use crate::inside;
use crate::{bits, set};

/// First argument of this test when it is to measure.
pub(crate) const ARGUMENT: &str = "cost";
/// First argument of a process that is measured.
pub(crate) const CHILD: &str = "__cost";
/// Rounds, each of one process for every figure: what else the machine does in
/// the meantime disturbs all of them alike.
const ROUNDS: usize = 61;

/// Stage one, stage two, and all from start to reaped.
type Figures = [Duration; 3];

/// Prints the median cost of both stages, and what each layer has in it.
pub(crate) fn measure() -> ExitCode {
    if !rustix::process::geteuid().is_root() {
        println!("only root has all layers of the jail, and this is not root");
        return ExitCode::FAILURE;
    }
    let dir = tempfile::tempdir().unwrap();
    let jails: Vec<LayerSet> = Layer::ALL
        .into_iter()
        .map(|layer| LayerSet::ALL.without(layer))
        .chain([LayerSet::ALL, LayerSet::NONE])
        .collect();
    let mut rounds: Vec<Vec<Figures>> = Vec::new();
    for _ in 0..ROUNDS {
        let round = jails.iter().map(|layers| once(*layers, dir.path()));
        rounds.push(round.collect());
    }
    let whole = Layer::ALL.len();
    println!(
        "{:<22} {:>8} {:>8} {:>10}",
        "µs, median", "berth", "arm", "to reaped"
    );
    for (name, jail) in [("whole jail", whole), ("no jail", whole + 1)] {
        let [berth, arm, all] =
            [0, 1, 2].map(|figure| median(&rounds, |round| micros(round[jail][figure])));
        println!("{name:<22} {berth:>8.0} {arm:>8.0} {all:>10.0}");
    }
    for (at, layer) in Layer::ALL.into_iter().enumerate() {
        let [berth, arm, all] = [0, 1, 2].map(|figure| {
            median(&rounds, |round| {
                micros(round[whole][figure]) - micros(round[at][figure])
            })
        });
        println!("{layer:<22} {berth:>8.0} {arm:>8.0} {all:>10.0}");
    }
    ExitCode::SUCCESS
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn median(rounds: &[Vec<Figures>], of: impl Fn(&[Figures]) -> f64) -> f64 {
    let mut all: Vec<f64> = rounds.iter().map(|round| of(round)).collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// One process that arms itself.
fn once(layers: LayerSet, dir: &Path) -> Figures {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let began = Instant::now();
    let mut child = Command::new("/proc/self/exe")
        .arg(CHILD)
        .arg(bits(layers).to_string())
        .arg(dir)
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = [0; 16];
    ours.read_exact(&mut said).unwrap();
    child.wait().unwrap();
    let whole = began.elapsed();
    let (berth, arm) = said.split_at(8);
    let nanos = |bytes: &[u8]| Duration::from_nanos(u64::from_le_bytes(bytes.try_into().unwrap()));
    [nanos(berth), nanos(arm), whole]
}

/// A process that arms itself and says how long each stage took.
pub(crate) fn child(mut args: impl Iterator<Item = String>) -> ExitCode {
    let layers = set(args.next().unwrap().parse().unwrap());
    let dir = args.next().unwrap();
    let source = Source {
        path: dir.as_ref(),
        access: Access::Write,
    };
    let began = Instant::now();
    let berthed = inside::berth(layers, &[source, source, source]);
    let berth = began.elapsed();
    let began = Instant::now();
    let armed = berthed.arm(Assignment::default()).unwrap();
    let arm = began.elapsed();
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap().to_le_bytes();
    let said = [nanos(berth), nanos(arm)].concat();
    rustix::io::write(rustix::stdio::stdin(), &said).unwrap();
    drop(armed);
    ExitCode::SUCCESS
}
