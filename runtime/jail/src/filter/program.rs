//! A filter's rules as the program that the kernel runs before every call.
//!
//! The rules' conditions are `seccompiler`'s work; how the number of a call leads
//! to them is done here, because that library compares it with one number after
//! the other. When a filter is installed the kernel runs it for every number
//! there is, to know which calls it need never ask about again, and that takes
//! most of what arming a jail takes. Here the number is looked up in a tree: ten
//! times faster, and a test holds that both come to the same.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, SeccompAction, SeccompRule, sock_filter};

/// Calls, each with the forms that are allowed; none means any form.
pub(super) type Rules = BTreeMap<u32, Vec<SeccompRule>>;

/// Where the kernel puts a call's number and its architecture.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
/// The only one whose numbers the rules mean, as the kernel calls it.
const OWN_ARCHITECTURE: u32 = if cfg!(target_arch = "x86_64") {
    0xc000_003e
} else {
    0xc000_00b7
};

/// Instructions: load a word; return; jump, always, or if equal, or if not less.
const LOAD: u16 = 0x20;
const RETURN: u16 = 0x06;
const JUMP: u16 = 0x05;
const IF_EQUAL: u16 = 0x15;
const IF_NOT_LESS: u16 = 0x35;

/// Numbers that are compared one by one at the end of a way through the tree. More
/// make the program shorter, and each way through it longer.
const BUCKET_MAX: usize = 8;

/// The program for `rules`: a call by another architecture's conventions is the
/// end of the process, one that no rule allows is stopped by a signal.
pub(super) fn compile(rules: &Rules) -> BpfProgram {
    let mut program = vec![
        statement(LOAD, ARCHITECTURE),
        branch(IF_EQUAL, OWN_ARCHITECTURE, 1, 0),
        verdict(SeccompAction::KillProcess),
        statement(LOAD, NUMBER),
    ];
    program.extend(tree(&buckets(rules)));
    program
}

/// Calls whose numbers follow on each other.
#[derive(Debug)]
enum Bucket<'a> {
    /// These, in any form; at least one.
    Any(Vec<u32>),
    /// This one, in one of the forms.
    Ask(u32, &'a [SeccompRule]),
}

impl Bucket<'_> {
    fn first(&self) -> u32 {
        match self {
            Self::Any(numbers) => numbers.first().copied().unwrap_or_default(),
            Self::Ask(number, _) => *number,
        }
    }

    /// Compares the number that is loaded with each of its own.
    fn code(&self) -> BpfProgram {
        let mut program = BpfProgram::new();
        match self {
            Self::Any(numbers) => {
                // Over those that are left, and the verdict that follows them.
                let over = (1..=numbers.len())
                    .rev()
                    .map(|left| u8::try_from(left).ok());
                for (number, over) in numbers.iter().zip(over) {
                    program.push(branch(IF_EQUAL, *number, over.unwrap_or(u8::MAX), 0));
                }
                program.push(verdict(SeccompAction::Trap));
                program.push(verdict(SeccompAction::Allow));
            }
            Self::Ask(number, forms) => {
                program.push(branch(IF_EQUAL, *number, 1, 0));
                program.push(verdict(SeccompAction::Trap));
                for form in *forms {
                    // One that does not fit goes past the verdict that follows it.
                    program.extend(BpfProgram::from(form.clone()));
                    program.push(verdict(SeccompAction::Allow));
                }
                program.push(verdict(SeccompAction::Trap));
            }
        }
        program
    }
}

fn buckets(rules: &Rules) -> Vec<Bucket<'_>> {
    let mut buckets = Vec::new();
    for (number, forms) in rules {
        match buckets.last_mut() {
            _ if !forms.is_empty() => buckets.push(Bucket::Ask(*number, forms)),
            Some(Bucket::Any(numbers)) if numbers.len() < BUCKET_MAX => numbers.push(*number),
            _ => buckets.push(Bucket::Any(vec![*number])),
        }
    }
    buckets
}

/// Finds the bucket that the number that is loaded would be in.
fn tree(buckets: &[Bucket<'_>]) -> BpfProgram {
    let (low, high) = buckets.split_at(buckets.len() / 2);
    let Some(from) = high.first().map(Bucket::first) else {
        return vec![verdict(SeccompAction::Trap)];
    };
    if low.is_empty() {
        return high.iter().flat_map(Bucket::code).collect();
    }
    let low = tree(low);
    // A condition jumps 255 instructions at most, a jump any number.
    let mut program = match u8::try_from(low.len()) {
        Ok(over) => vec![branch(IF_NOT_LESS, from, over, 0)],
        Err(_) => {
            let over = u32::try_from(low.len()).unwrap_or(u32::MAX);
            vec![branch(IF_NOT_LESS, from, 0, 1), statement(JUMP, over)]
        }
    };
    program.extend(low);
    program.extend(tree(high));
    program
}

fn statement(code: u16, k: u32) -> sock_filter {
    branch(code, k, 0, 0)
}

fn branch(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

fn verdict(action: SeccompAction) -> sock_filter {
    statement(RETURN, action.into())
}

#[cfg(test)]
mod tests {
    use seccompiler::{SeccompFilter, TargetArch};

    use super::super::{small, wide};
    use super::*;

    /// What the kernel would make of a call.
    fn run(program: &BpfProgram, number: u32, architecture: u32, args: [u64; 6]) -> u32 {
        let mut data = [number, architecture, 0, 0].to_vec();
        for arg in args {
            let halves = [arg & u64::from(u32::MAX), arg >> 32];
            data.extend(halves.map(|half| u32::try_from(half).unwrap()));
        }
        let (mut at, mut a) = (0, 0_u32);
        loop {
            let sock_filter { code, jt, jf, k } = program[at].clone();
            at += 1;
            let either = |is: bool| usize::from(if is { jt } else { jf });
            match code {
                LOAD => a = data[k as usize / 4],
                RETURN => return k,
                JUMP => at += k as usize,
                IF_EQUAL => at += either(a == k),
                0x25 => at += either(a > k),
                IF_NOT_LESS => at += either(a >= k),
                0x54 => a &= k,
                other => panic!("{other:#x}"),
            }
        }
    }

    /// The program that the library makes of the same rules.
    fn library(rules: &Rules) -> BpfProgram {
        let arch: TargetArch = std::env::consts::ARCH.try_into().unwrap();
        let rules = rules
            .iter()
            .map(|(call, forms)| (i64::from(*call), forms.clone()));
        let (no, yes) = (SeccompAction::Trap, SeccompAction::Allow);
        let filter = SeccompFilter::new(rules.collect(), no, yes, arch).unwrap();
        filter.try_into().unwrap()
    }

    #[test]
    fn the_tree_comes_to_what_the_library_comes_to() {
        let values = [
            0,
            1,
            2,
            3,
            4,
            5,
            6,
            7,
            8,
            31,
            1024,
            1030,
            0x5401,
            1 << 33,
            u64::MAX,
        ];
        for rules in [small().unwrap(), wide().unwrap(), Rules::new()] {
            let (ours, theirs) = (compile(&rules), library(&rules));
            for number in (0..600).chain([0x4000_0000, 0x4000_0009, u32::MAX]) {
                for value in values {
                    let args = [value, value, value, value, 0, 0];
                    assert_eq!(
                        run(&ours, number, OWN_ARCHITECTURE, args),
                        run(&theirs, number, OWN_ARCHITECTURE, args),
                        "{number} {value}"
                    );
                }
            }
        }
    }

    #[test]
    fn another_architecture_is_the_end() {
        let program = compile(&small().unwrap());
        let kill = u32::from(SeccompAction::KillProcess);
        assert_eq!(run(&program, 0, 0x4000_0003, [0; 6]), kill);
    }

    #[test]
    fn a_program_is_far_from_the_kernels_limit() {
        for rules in [small().unwrap(), wide().unwrap()] {
            let program = compile(&rules);
            assert!(program.len() < 300, "{}", program.len());
        }
    }
}
