//! Limits against fixtures: the arithmetic, and what happens when the kernel
//! keeps another value than the one written.

use super::*;

const SMALL: Limits = Limits {
    cpu_millicores: 100,
    memory_bytes: 32 << 20,
    pids: 8,
};

fn v1_fixture(dir: &Path) -> (Place, Cgroup) {
    let dirs = Controller::needed(Version::V1)
        .iter()
        .map(|c| (*c, dir.join(c.name())))
        .collect();
    let place = Place::v1(dirs);
    let group = place.make("leaf").unwrap();
    (place.below("leaf"), group)
}

#[test]
fn a_quota_is_the_share_of_a_short_period() {
    let quota = |cpu_millicores| {
        let limits = Limits {
            cpu_millicores,
            ..SMALL
        };
        let Quota { quota, period } = limits.quota();
        (quota, period)
    };
    assert_eq!(quota(1_000), (20_000, 20_000));
    assert_eq!(quota(2_500), (50_000, 20_000));
    assert_eq!(quota(100), (2_000, 20_000));
    assert_eq!(quota(50), (1_000, 20_000));
    assert_eq!(quota(10), (1_000, 100_000));
    assert_eq!(quota(1), (1_000, 1_000_000));
    assert_eq!(quota(7), (1_000, 142_858));
}

#[test]
fn a_core_has_the_default_weight_of_each_version() {
    let core = Limits {
        cpu_millicores: 1_000,
        ..SMALL
    };
    assert_eq!(core.weight(Version::V1), 1_024);
    assert_eq!(core.weight(Version::V2), 100);
    let tiny = Limits {
        cpu_millicores: 1,
        ..SMALL
    };
    assert_eq!(tiny.weight(Version::V1), 2);
    assert_eq!(tiny.weight(Version::V2), 1);
}

#[test]
fn a_limit_of_nothing_or_of_everything_is_refused() {
    let wrong = [
        Limits {
            cpu_millicores: 0,
            ..SMALL
        },
        Limits {
            cpu_millicores: u32::MAX,
            ..SMALL
        },
        Limits {
            memory_bytes: 4_096,
            ..SMALL
        },
        Limits {
            memory_bytes: u64::MAX,
            ..SMALL
        },
        Limits { pids: 0, ..SMALL },
    ];
    for limits in wrong {
        let refused = limits.checked();
        assert!(
            matches!(refused, Err(LimitError::OutOfRange { .. })),
            "{limits:?}"
        );
    }
}

#[test]
fn every_limit_lands_in_its_v1_file() {
    let temp = tempfile::tempdir().unwrap();
    let (place, group) = v1_fixture(temp.path());
    fs::write(
        place
            .dir(Controller::Memory)
            .join("memory.memsw.limit_in_bytes"),
        "",
    )
    .unwrap();
    let odd = Limits {
        memory_bytes: (32 << 20) + 5,
        ..SMALL
    };
    hold(&group, &place, None, &odd).unwrap();
    let read =
        |controller, file: &str| fs::read_to_string(place.dir(controller).join(file)).unwrap();
    assert_eq!(
        read(Controller::Memory, "memory.limit_in_bytes"),
        "33554432"
    );
    assert_eq!(
        read(Controller::Memory, "memory.memsw.limit_in_bytes"),
        "33554432"
    );
    assert_eq!(read(Controller::Cpu, "cpu.cfs_quota_us"), "2000");
    assert_eq!(read(Controller::Cpu, "cpu.cfs_period_us"), "20000");
    assert_eq!(read(Controller::Cpu, "cpu.shares"), "102");
    assert_eq!(read(Controller::Pids, "pids.max"), "8");
}

#[test]
fn every_limit_lands_in_its_v2_file() {
    let temp = tempfile::tempdir().unwrap();
    let place = Place::v2(temp.path());
    let group = place.group("");
    fs::write(temp.path().join("memory.swap.max"), "max").unwrap();
    fs::write(temp.path().join("cpu.max"), "max 100000").unwrap();
    hold(&group, &place, None, &SMALL).unwrap();
    let read = |file: &str| fs::read_to_string(temp.path().join(file)).unwrap();
    assert_eq!(read("memory.max"), "33554432");
    assert_eq!(read("memory.swap.max"), "0");
    assert_eq!(read("memory.oom.group"), "1");
    assert_eq!(read("cpu.max"), "2000 20000");
    assert_eq!(read("cpu.weight"), "10");
    assert_eq!(read("pids.max"), "8");
}

#[test]
fn a_limit_that_did_not_take_names_file_and_both_values() {
    let temp = tempfile::tempdir().unwrap();
    let (place, group) = v1_fixture(temp.path());
    let file = place.dir(Controller::Pids).join("pids.max");
    std::os::unix::fs::symlink("/dev/null", &file).unwrap();
    match hold(&group, &place, None, &SMALL) {
        Err(LimitError::Differs {
            file: named,
            wrote,
            read,
        }) => {
            assert_eq!((named, wrote.as_str(), read.as_str()), (file, "8", ""));
        }
        other => panic!("{other:?}"),
    }
}
