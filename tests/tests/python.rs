//! Python scripts: that they run as Python runs them, and that their ends are told
//! as truthfully as those of any other program.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stint_tests::kit::{artifacts, python, stint, with_python};
use stint_tests::leftovers::{self, TAG};
use stint_tests::site::{Finished, Site, run};

/// Writes a script and gives its path.
fn script(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// Runs `stint run FLAGS SCRIPT ARGS` without a scheduler.
fn embedded(dir: &Path, flags: &[&str], script: &Path, args: &[&str]) -> Finished {
    let mut command = stint(&["run"]);
    command.args(flags).arg(script).args(args);
    command.env(TAG, dir).current_dir(dir);
    run(with_python(&mut command))
}

/// A site whose one node has the kit compiled, as it is on nodes that ran before.
fn site() -> Site {
    python();
    let mut site = Site::start();
    let dir = site.node_dir("a");
    std::fs::create_dir(&dir).unwrap();
    std::os::unix::fs::symlink(artifacts(), dir.join("artifacts")).unwrap();
    site.start_node("a", &[]);
    let mut add = site.command(["kit", "add", "python"]);
    let added = run(with_python(&mut add));
    assert_eq!(added.code, 0, "{added:#?}");
    site
}

/// Runs a script on a site with `--json`; what the job came to beside.
fn on(site: &Site, flags: &[&str], text: &str) -> (Finished, Value) {
    let path = script(site.dir(), "job.py", text);
    let mut args = vec!["run", "--json"];
    args.extend(flags);
    args.push(path.to_str().unwrap());
    let finished = site.stint(args);
    let json = finished.json();
    (finished, json)
}

#[test]
fn without_the_kit_a_script_is_told_how_to_get_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = script(dir.path(), "a.py", "print(1)");
    let mut command = stint(&["run", "--json"]);
    command.arg(&path).env(TAG, dir.path());
    command.env("XDG_DATA_HOME", dir.path().join("data"));
    let finished = run(command.env("XDG_CACHE_HOME", dir.path().join("cache")));
    assert_eq!(finished.code, 125, "{finished:#?}");
    let error = &finished.json()["error"];
    assert!(
        error["message"].as_str().unwrap().contains("`.py`"),
        "{error}"
    );
    assert!(
        error["hint"]
            .as_str()
            .unwrap()
            .contains("stint kit add python"),
        "{error}"
    );
}

#[test]
fn a_script_runs_without_a_scheduler_with_arguments_and_environment() {
    python();
    let dir = tempfile::tempdir().unwrap();
    let text = "import os, sys\n\
                print(sys.argv, os.environ['COLOUR'], os.environ['STINT_TASK_INDEX'])\n\
                print(repr(sys.stdin.read()))\n";
    let path = script(dir.path(), "hello.py", text);
    let args = ["a b", "--fast"];
    let finished = embedded(dir.path(), &["--env", "COLOUR=blue"], &path, &args);
    assert_eq!(finished.code, 0, "{finished:#?}");
    assert_eq!(
        finished.stdout,
        "['/job/hello.py', 'a b', '--fast'] blue 0\n''\n"
    );
    leftovers::assert_none(&dir.path().display().to_string(), dir.path());
}

/// A wheel of one file that needs nothing.
fn wheel(dir: &Path, name: &str, file: &str, text: &str) -> PathBuf {
    let code = "import sys, zipfile\n\
                path, file, text = sys.argv[1:]\n\
                with zipfile.ZipFile(path, 'w') as wheel:\n\
                \x20   wheel.writestr(file, text)\n";
    let path = dir.join(name);
    let made = std::process::Command::new("python3")
        .args(["-c", code])
        .arg(&path)
        .args([file, text])
        .status();
    assert!(made.unwrap().success());
    path
}

#[test]
fn a_package_comes_along_with_a_script_or_is_refused_with_the_reason() {
    python();
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    wheel(
        dir,
        "leaf-1.0-py3-none-any.whl",
        "leaf.py",
        "NAME = 'leaf'\n",
    );
    let path = script(
        dir,
        "a.py",
        "import leaf\nprint(leaf.NAME, leaf.__file__)\n",
    );
    let job = script(
        dir,
        "job.toml",
        "script = \"a.py\"\nwith = [\"leaf-1.0-py3-none-any.whl\"]\n",
    );
    let finished = embedded(dir, &[], &job, &[]);
    assert_eq!(finished.code, 0, "{finished:#?}");
    assert_eq!(finished.stdout, "leaf /job/leaf-1.0.whl/leaf.py\n");
    assert!(finished.stderr.contains("comes along: leaf-1.0.whl"));

    let fast = wheel(dir, "fast-1.0-py3-none-any.whl", "fast/core.so", "");
    let refused = |with: &str, path: &Path| {
        let finished = embedded(dir, &["--with", with], path, &[]);
        assert_eq!(finished.code, 125, "{finished:#?}");
        assert!(finished.stderr.contains("hint: "), "{finished:#?}");
        finished.stderr
    };
    let said = refused(fast.to_str().unwrap(), &path);
    assert!(said.contains("has native code (fast/core.so)"), "{said}");
    let said = refused("no such name", &path);
    assert!(said.contains("names no package"), "{said}");
    let said = refused("leaf", &script(dir, "x.wasm", ""));
    assert!(said.contains("is a module"), "{said}");
}

#[test]
fn a_script_ends_on_a_cluster_as_it_says_itself() {
    let site = site();
    let kits = site.stint(["kit", "ls", "--json"]).json();
    assert_eq!(kits["kits"][0]["spec"]["suffix"], "py", "{kits}");

    let (finished, job) = on(&site, &[], "import sys\nprint('bye')\nsys.exit(3)\n");
    assert_eq!((finished.code, &job["reason"]), (3, &json!("exited")));
    assert!(finished.stderr.contains("bye"), "{finished:#?}");

    let (finished, job) = on(&site, &[], "def f(x):\n    return 1 / x\nf(0)\n");
    assert_eq!((finished.code, &job["reason"]), (1, &json!("exited")));
    let error = &job["error"];
    assert_eq!(
        error["message"],
        "exited with code 1: ZeroDivisionError: division by zero"
    );
    let traceback = error["detail"].as_str().unwrap();
    assert!(
        traceback.contains("line 2, in f\n    return 1 / x"),
        "{traceback}"
    );

    let (_, job) = on(&site, &[], "import torch\n");
    let hint = job["error"]["hint"].as_str().unwrap();
    assert!(
        hint.contains("`torch`") && hint.contains("pandas") && hint.contains("--with torch"),
        "{hint}"
    );

    for text in [
        "x = bytearray(1 << 30)\n",
        "x = []\nwhile True:\n    x.append(bytearray(1 << 20))\n",
    ] {
        let (finished, job) = on(&site, &["--memory", "128Mi"], text);
        assert_eq!(finished.code, 125, "{finished:#?}");
        assert_eq!(job["reason"], "guest-memory-limit", "{job:#}");
        let detail = job["error"]["detail"].as_str().unwrap();
        assert!(detail.contains("MemoryError"), "{detail}");
    }
    let (finished, _) = on(&site, &["--timeout", "2s"], "while True:\n    pass\n");
    assert_eq!(finished.code, 124, "{finished:#?}");
    site.stop_and_check();
}

#[test]
fn an_array_of_scripts_reads_an_input_with_pandas() {
    let site = site();
    let table = "month,delay\n1,10\n1,20\n2,5\n3,0\n";
    std::fs::write(site.dir().join("table.csv"), table).unwrap();
    let text = "import stint\n\
                import numpy as np, pandas as pd\n\
                table = pd.read_csv(stint.input('table'))\n\
                month = stint.task_index() + 1\n\
                stint.progress(0.5, 'read')\n\
                mean = table[table.month == month].delay.mean()\n\
                stint.result({'month': np.int64(month), 'mean': np.round(mean, 1)})\n";
    let path = script(site.dir(), "mean.py", text);
    let id = site.stint([
        "submit",
        "--tasks",
        "3",
        "--input",
        "table=table.csv",
        path.to_str().unwrap(),
    ]);
    assert_eq!(id.code, 0, "{id:#?}");
    let job = site.wait_until_over(id.stdout.trim());
    assert_eq!(job["state"], "succeeded", "{job:#}");
    let results = site.stint(["results", id.stdout.trim()]);
    let means: Vec<Value> = results
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["result"]["mean"].clone())
        .collect();
    assert_eq!(means, [15.0, 5.0, 0.0]);
    let last = format!("/v1/jobs/{}/results?from=2", id.stdout.trim());
    let (_, last) = site.get(&last).unwrap();
    assert_eq!(
        (&last["task"], &last["result"]["month"]),
        (&json!(2), &json!(3))
    );
    site.stop_and_check();
}

/// 18 MB of component are compiled within the budget that any module has, and what comes
/// of it runs. What it was compiled to stays for the next run of the tests.
#[test]
fn a_component_that_holds_all_of_python_is_compiled_and_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let component = root.join("target/guests/python-component.wasm");
    if !component.exists() {
        let why = "SKIPPED: the large component, which `cargo xtask guests` could not build\n";
        std::io::stderr().write_all(why.as_bytes()).unwrap();
        return;
    }
    assert!(component.metadata().unwrap().len() > 16 << 20);
    let dir = tempfile::tempdir().unwrap();
    let ran = embedded(dir.path(), &["--memory", "256Mi"], &component, &[]);
    let said = r#"{"python": 3, "sum": 499500}"#;
    assert_eq!((ran.code, ran.stdout.trim()), (0, said), "{ran:#?}");
    leftovers::assert_none(&dir.path().display().to_string(), dir.path());
}
