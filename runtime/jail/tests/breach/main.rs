//! Assumes the breach: processes that are jailed as workers are make the system
//! calls of somebody who owns them, everything that was thought of, and none may
//! get anywhere.
//!
//! Each action is tried under the whole jail, under the jail without each single
//! layer, under that of a worker which runs several attempts without each single
//! layer, under each layer alone that is said to stop it, and without any jail.
//! So what is asserted of layers is asserted of each by itself; and that an action
//! succeeds without a jail shows that it is one. What honest guests do must work.
//!
//! Without the usual harness: each process is this program again, and has one
//! thread when it is jailed. `breach cost` measures what arming takes,
//! `breach report` says which layers whoever calls it can have.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "in place of the harness")]

mod action;
mod call;
mod cost;
mod files;
mod honest;
mod inside;
mod itself;
mod machine;
mod network;
mod processes;
mod site;
mod trial;
mod verdict;

use std::process::ExitCode;

use action::Action;
use site::Told;
use stint_jail::{Layer, LayerSet};

/// First argument of a process that is to be jailed.
const ACT: &str = "__act";

/// First argument when it is only to say what can be had here.
const REPORT: &str = "report";

/// Every action.
fn actions() -> Vec<&'static Action> {
    let all = [
        files::ACTIONS,
        network::ACTIONS,
        processes::ACTIONS,
        machine::ACTIONS,
        itself::ACTIONS,
    ];
    all.into_iter().flatten().collect()
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some(ACT) => {
            let number: usize = args.next().unwrap().parse().unwrap();
            let layers: u32 = args.next().unwrap().parse().unwrap();
            let actions = actions().into_iter().chain(honest::ACTIONS);
            let action = actions.into_iter().nth(number).unwrap();
            inside::act(action, set(layers), Told::from_args(args))
        }
        Some(REPORT) => inside::report(),
        Some(cost::ARGUMENT) => cost::measure(),
        Some(cost::CHILD) => cost::child(args),
        filter => trial::all(filter.filter(|filter| !filter.starts_with('-'))),
    }
}

/// Layers as the bits of a number, by their order.
fn set(bits: u32) -> LayerSet {
    let all = Layer::ALL.into_iter().enumerate();
    all.filter(|(at, _)| bits & (1 << at) != 0)
        .map(|(_, layer)| layer)
        .collect()
}

/// The other way round.
fn bits(layers: LayerSet) -> u32 {
    layers
        .iter()
        .fold(0, |bits, layer| bits | 1 << layer as u32)
}
