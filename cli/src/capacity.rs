//! `--capacity cpu=2,memory=4Gi,scratch=10Gi`: what a node gives to jobs; what is
//! left out is what the machine has.

use std::path::Path;
use std::str::FromStr;

use stint_api::problem::nearest;
use stint_api::quantity::{Bytes, Millicores, Resources};
use stint_runtime::node::capacity_detected;

/// The amounts that can be named.
const NAMES: [&str; 3] = ["cpu", "memory", "scratch"];

/// The amounts that were named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Capacity {
    cpu: Option<Millicores>,
    memory: Option<Bytes>,
    scratch: Option<Bytes>,
}

impl Capacity {
    /// With what this machine has, on the disk of `dir`, where nothing was named.
    pub(crate) fn or_detected(self, dir: &Path) -> Resources {
        let machine = capacity_detected(dir);
        Resources {
            cpu: self.cpu.unwrap_or(machine.cpu),
            memory: self.memory.unwrap_or(machine.memory),
            scratch: self.scratch.unwrap_or(machine.scratch),
        }
    }
}

impl FromStr for Capacity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut capacity = Self::default();
        for part in text.split(',') {
            let (name, amount) = part
                .split_once('=')
                .ok_or("write it as cpu=2,memory=4Gi,scratch=10Gi, or some of these")?;
            let (name, again) = match name.trim() {
                "cpu" => ("cpu", capacity.cpu.replace(read(amount)?).is_some()),
                "memory" => ("memory", capacity.memory.replace(read(amount)?).is_some()),
                "scratch" => ("scratch", capacity.scratch.replace(read(amount)?).is_some()),
                other => return Err(unknown(other)),
            };
            if again {
                return Err(format!("`{name}` is there twice"));
            }
        }
        let none = [
            ("cpu", capacity.cpu == Some(Millicores(0))),
            ("memory", capacity.memory == Some(Bytes(0))),
        ];
        match none.into_iter().find(|(_, zero)| *zero) {
            Some((name, _)) => Err(format!("no job fits without any {name}")),
            None => Ok(capacity),
        }
    }
}

fn read<T: FromStr<Err: ToString>>(amount: &str) -> Result<T, String> {
    amount.parse().map_err(|error: T::Err| error.to_string())
}

fn unknown(name: &str) -> String {
    match nearest(name, NAMES) {
        Some(near) => format!("`{name}` is no amount of a node; did you mean `{near}`?"),
        None => format!(
            "`{name}` is no amount of a node; they are {}",
            NAMES.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_is_what_the_machine_has() {
        let capacity: Capacity = "memory=1Gi,cpu=500m".parse().unwrap();
        let dir = std::env::temp_dir();
        let all = capacity.or_detected(&dir);
        assert_eq!((all.cpu, all.memory), (Millicores(500), Bytes::mebi(1024)));
        assert_eq!(all.scratch, capacity_detected(&dir).scratch);
    }

    #[test]
    fn what_is_no_capacity_is_refused_with_the_nearest_name() {
        let refused = |text: &str| text.parse::<Capacity>().unwrap_err();
        assert!(refused("memroy=1Gi").contains("did you mean `memory`?"));
        assert!(refused("disk=1Gi").contains("cpu, memory, scratch"));
        assert!(refused("2").contains("write it as"));
        assert!(refused("cpu=1,cpu=2").contains("twice"));
        assert!(refused("cpu=0").contains("without any cpu"));
        assert!(refused("memory=lots").contains("lots"));
    }
}
