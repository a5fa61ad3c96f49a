//! From a grant to the order that starts one of its attempts. Pure: the files
//! exist, the module is compiled, nothing is left to fail.

use stint_api::id::AttemptId;
use stint_api::kit::Entry;
use stint_api::link::{Grant, LOG_STREAM_BYTES_MAX};
use stint_sandbox::{Access, Dir, Plan};

use super::artifacts::Artifact;
use super::kits::Beside;
use super::slot::{CHECKPOINT, EVENTS, Slot};
use super::staging::Staged;
use crate::TASK_INDEX;
use crate::keeper::protocol::StartOrder;

/// The program's name: the first of its arguments, under every WASI runtime
/// something that a program may print but nothing depends on.
const PROGRAM: &str = "program.wasm";

/// The order that starts `attempt` of `grant`.
pub(crate) fn start_order(
    attempt: &AttemptId,
    grant: Grant,
    artifact: &Artifact,
    slot: &Slot,
    inputs: &[Staged],
    beside: Option<&Beside>,
) -> StartOrder {
    let mut args = grant.plan.args.clone();
    let mut entry = Entry::default();
    match &grant.plan.kit {
        // A kit's arguments have a program's name already.
        Some(kit) => entry = kit.entry.clone(),
        None => args.insert(0, PROGRAM.to_owned()),
    }
    let plan = Plan {
        artifact: artifact.path.clone(),
        artifact_sha256: artifact.sha256.0,
        profile: artifact.profile,
        entry,
        args,
        env: environment(attempt, &grant),
        memory_limit_bytes: grant.plan.limits.memory.0,
        dirs: dirs(slot, inputs, beside),
        stdout: slot.stdout(),
        stderr: slot.stderr(),
        log_bytes_max: LOG_STREAM_BYTES_MAX,
    };
    StartOrder {
        attempt: attempt.clone(),
        limits: grant.plan.limits,
        timeout: grant.plan.timeout,
        grant,
        plan,
    }
}

/// The user's variables and ours. Names that start with `STINT_` are refused at
/// submit, so neither hides the other.
fn environment(attempt: &AttemptId, grant: &Grant) -> Vec<(String, String)> {
    let ours = [
        ("STINT_JOB_ID", attempt.job.to_string()),
        (TASK_INDEX, attempt.task.to_string()),
        ("STINT_TASK_COUNT", grant.plan.task_count.to_string()),
        ("STINT_TRY", attempt.try_number.to_string()),
        ("STINT_IN", "/in".to_owned()),
        ("STINT_OUT", "/out".to_owned()),
        ("STINT_SCRATCH", "/scratch".to_owned()),
        ("STINT_EVENTS", format!("/scratch/{EVENTS}")),
        ("STINT_CHECKPOINT", format!("/scratch/{CHECKPOINT}")),
    ];
    let theirs = grant.plan.env.iter();
    theirs
        .map(|(name, value)| (name.clone(), value.clone()))
        .chain(ours.map(|(name, value)| (name.to_owned(), value)))
        .collect()
}

fn dirs(slot: &Slot, inputs: &[Staged], beside: Option<&Beside>) -> Vec<Dir> {
    let dir = |host, guest: &str, access| Dir {
        host,
        guest: guest.to_owned(),
        access,
    };
    let mut dirs = vec![
        dir(slot.inputs(), "/in", Access::Read),
        dir(slot.out(), "/out", Access::Write),
        dir(slot.scratch(), "/scratch", Access::Write),
    ];
    for input in inputs {
        if let Staged::Directory { name, path, .. } = input {
            dirs.push(dir(path.clone(), &format!("/in/{name}"), Access::Read));
        }
    }
    if let Some(beside) = beside {
        dirs.push(dir(slot.scripts(), &beside.scripts, Access::Read));
        let kit = beside.dirs.iter();
        dirs.extend(kit.map(|kit| dir(kit.host.clone(), &kit.guest, Access::Read)));
    }
    dirs
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use stint_api::id::Digest;
    use stint_api::quantity::Bytes;
    use stint_sandbox::Profile;

    use super::super::tests::grant;
    use super::*;

    fn order(inputs: &[Staged]) -> StartOrder {
        let attempt: AttemptId = "team.7.t3.g2.2".parse().unwrap();
        let mut grant = grant(&attempt);
        grant.plan.args = vec!["--fast".into()];
        grant.plan.env.insert("COLOUR".into(), "blue".into());
        grant.plan.task_count = 9;
        let artifact = Artifact {
            path: "/artifacts/a".into(),
            sha256: Digest([5; 32]),
            profile: Profile::Plain,
        };
        let slot = Slot::at(PathBuf::from("/slots/x"));
        start_order(&attempt, grant, &artifact, &slot, inputs, None)
    }

    #[test]
    fn a_guest_is_told_which_task_it_is_beside_the_users_variables() {
        let env = order(&[]).plan.env;
        let value = |name: &str| {
            let found = env.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(value("COLOUR"), Some("blue"));
        assert_eq!(value("STINT_JOB_ID"), Some("team.7"));
        assert_eq!(value("STINT_TASK_INDEX"), Some("3"));
        assert_eq!(value("STINT_TASK_COUNT"), Some("9"));
        assert_eq!(value("STINT_TRY"), Some("2"));
        assert_eq!(value("STINT_OUT"), Some("/out"));
        let checkpoint = value("STINT_CHECKPOINT").unwrap();
        assert!(checkpoint.starts_with("/scratch/"), "{checkpoint}");
    }

    #[test]
    fn arguments_follow_the_programs_name_and_limits_are_the_grants() {
        let order = order(&[]);
        assert_eq!(order.plan.args, [PROGRAM, "--fast"]);
        assert_eq!(Bytes(order.plan.memory_limit_bytes), order.limits.memory);
        assert_eq!(order.grant.plan.limits, order.limits);
    }

    #[test]
    fn a_guest_writes_to_out_and_scratch_and_nowhere_else() {
        let input = Staged::Directory {
            name: "models".into(),
            path: "/data/models".into(),
            is_cached: false,
        };
        let dirs = order(&[input]).plan.dirs;
        let told: Vec<(&str, Access)> = dirs
            .iter()
            .map(|dir| (dir.guest.as_str(), dir.access))
            .collect();
        assert_eq!(
            told,
            [
                ("/in", Access::Read),
                ("/out", Access::Write),
                ("/scratch", Access::Write),
                ("/in/models", Access::Read),
            ]
        );
        assert_eq!(dirs[3].host, PathBuf::from("/data/models"));
    }
}
