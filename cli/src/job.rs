//! What `run` and `submit` send: a job file and flags made into one job.

use std::path::{Path, PathBuf};

use stint_api::client::Client;
use stint_api::id::{Digest, Namespace};
use stint_api::job::{Input, JobSpec, Split};
use stint_api::kit::{Kit, Script, ScriptFile};
use stint_api::view::ModuleView;

use crate::failure::{hinted, hinted_because};
use crate::job_args::{JobArgs, Pair};
use crate::job_file::{self, JobFile};
use crate::urls::{input_url, output_url};
use crate::{kit, places, show};

/// Stands for what a job runs until that is known.
const UNNAMED: Digest = Digest([0xff; 32]);

/// A job that waits for the digest of what it runs.
#[derive(Debug)]
pub(crate) struct Draft {
    /// What it runs.
    program: Program,
    /// Packages that come along with a script.
    packages: Vec<String>,
    /// The rest; what it runs is not named yet.
    spec: JobSpec,
    /// Whether somebody said how much memory it has.
    names_memory: bool,
}

/// What a job runs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Program {
    /// The module in a file.
    Module(PathBuf),
    /// The script in a file, with the kit of that name or the one for its suffix.
    Script { file: PathBuf, kit: Option<String> },
    /// A file that is a script if there is a kit for its suffix, else hopefully a module.
    Either(PathBuf),
}

impl Draft {
    /// Reads the file that the flags name, and lays the flags over it.
    pub(crate) fn new(args: &JobArgs) -> anyhow::Result<Self> {
        let file = &args.file;
        let extension = file.extension().and_then(|extension| extension.to_str());
        let (job, beside) = match extension {
            Some("toml") => (job_file::read(file)?, file.parent()),
            _ => (JobFile::default(), None),
        };
        let is_job_file = beside.is_some();
        let beside = beside.unwrap_or_else(|| Path::new(""));
        let program = match (&job.module, &job.script, extension) {
            (_, Some(script), _) => Program::Script {
                file: beside.join(script),
                kit: job.kit.clone(),
            },
            (Some(module), None, _) => Program::Module(beside.join(module)),
            (None, None, _) if is_job_file => return Err(job_file::runs_nothing(file)),
            (None, None, None | Some("wasm")) => Program::Module(file.clone()),
            (None, None, Some(suffix)) if kit::is_made_here(suffix) => Program::Script {
                file: file.clone(),
                kit: None,
            },
            (None, None, Some(_)) => Program::Either(file.clone()),
        };
        let names_memory = args.memory.or(job.memory).is_some();
        let packages = packages(&job, args, beside);
        if let (Program::Module(file), [first, ..]) = (&program, packages.as_slice()) {
            return Err(hinted(
                format!(
                    "`{}` is a module: `{first}` cannot come along with it",
                    file.display()
                ),
                "packages come along with a script (x.py); link what a module needs into it",
            ));
        }
        let spec = merge(job, args, beside)?;
        spec.validate().map_err(|error| {
            hinted_because(
                "the job is not valid",
                "change the field in the job file, or its flag; see `stint run --help`",
                error,
            )
        })?;
        require_file(program.file())?;
        Ok(Self {
            program,
            packages,
            spec,
            names_memory,
        })
    }

    /// Whether it may be a script, which a kit runs.
    pub(crate) fn may_be_script(&self) -> bool {
        !matches!(self.program, Program::Module(_))
    }

    /// Who the job belongs to.
    pub(crate) fn namespace(&self) -> &Namespace {
        &self.spec.namespace
    }

    /// Sends what the job runs; the job then names it.
    pub(crate) async fn push(mut self, client: &Client) -> anyhow::Result<JobSpec> {
        let file = self.program.file();
        let suffix = file.extension().unwrap_or_default().to_string_lossy();
        let kit = match &self.program {
            Program::Module(_) => None,
            Program::Script { kit, .. } => {
                Some(kit::find(client, self.namespace(), kit.as_deref(), &suffix).await?)
            }
            Program::Either(_) => kit::of_suffix(client, self.namespace(), &suffix).await?,
        };
        let Some(kit) = kit else {
            if let Some(first) = self.packages.first() {
                return Err(hinted(
                    format!("no kit runs `.{suffix}` scripts, so that `{first}` cannot come along"),
                    "packages come along with a script (x.py)",
                ));
            }
            let module = push(client, self.namespace(), file).await?;
            self.spec.module = module.digest;
            return Ok(self.spec);
        };
        let digest = client.put_file(file).await?.digest;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let name = name.into_owned();
        let script = Script {
            files: bring(client, &self.packages, &kit).await?,
            ..Script::new(name, digest)
        };
        let named = JobSpec::of_script(kit.name, script);
        let memory = kit.spec.memory.filter(|_| !self.names_memory);
        Ok(JobSpec {
            module: named.module,
            kit: named.kit,
            script: named.script,
            memory: memory.unwrap_or(self.spec.memory),
            ..self.spec
        })
    }
}

/// Those of the file, then those of the flags; a wheel that the file names stands beside it.
fn packages(file: &JobFile, flags: &JobArgs, beside: &Path) -> Vec<String> {
    let of_file = file.with.iter().map(|package| {
        let is_wheel = Path::new(package).extension() == Some("whl".as_ref());
        match is_wheel {
            true => beside.join(package).to_string_lossy().into_owned(),
            false => package.clone(),
        }
    });
    of_file.chain(flags.with.iter().cloned()).collect()
}

/// Finds and sends the packages that come along.
async fn bring(client: &Client, packages: &[String], kit: &Kit) -> anyhow::Result<Vec<ScriptFile>> {
    if packages.is_empty() {
        return Ok(Vec::new());
    }
    let dir = tempfile::tempdir_in(places::temporary())?;
    let (wanted, kit, into) = (packages.to_vec(), kit.clone(), dir.path().to_owned());
    let found = tokio::task::spawn_blocking(move || kit::packages(&wanted, &kit, &into));
    let mut files = Vec::new();
    for (name, path) in found.await?? {
        let digest = client.put_file(&path).await?.digest;
        files.push(ScriptFile { name, digest });
    }
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    // Which version it is may be news.
    show::note(&format!("comes along: {}", names.join(", ")));
    Ok(files)
}

impl Program {
    fn file(&self) -> &Path {
        match self {
            Self::Module(file) | Self::Script { file, .. } | Self::Either(file) => file,
        }
    }
}

/// Pushes a module; a refusal names the file that it is about.
pub(crate) async fn push(
    client: &Client,
    namespace: &Namespace,
    file: &Path,
) -> anyhow::Result<ModuleView> {
    client.push_module(namespace, file).await.map_err(|error| {
        let about_the_file = error.problem().is_some();
        let error = anyhow::Error::new(error);
        match about_the_file {
            true => error.context(format!("`{}`", file.display())),
            false => error,
        }
    })
}

/// Flags win over the file; variables and inputs win one by one.
fn merge(file: JobFile, flags: &JobArgs, beside: &Path) -> anyhow::Result<JobSpec> {
    let mut spec = JobSpec::new(UNNAMED);
    merge_policies(&mut spec, &file, flags);
    spec.only = file.only;
    spec.name = flags.name.clone().or(file.name);
    take(
        &mut spec.namespace,
        flags.namespace.clone().or(file.namespace),
    );
    take(&mut spec.tasks, flags.tasks.or(file.tasks));
    spec.parallelism = flags.parallelism.or(file.parallelism);
    take(&mut spec.cpu, flags.cpu.or(file.cpu));
    take(&mut spec.memory, flags.memory.or(file.memory));
    take(&mut spec.scratch, flags.scratch.or(file.scratch));
    take(&mut spec.timeout, flags.timeout.or(file.timeout));
    take(&mut spec.retries, flags.retries.or(file.retries));
    take(&mut spec.priority, flags.priority.or(file.priority));
    spec.isolation = flags.isolation.or(file.isolation);
    spec.args = if flags.args.is_empty() {
        file.args.unwrap_or_default()
    } else {
        flags.args.clone()
    };
    spec.env = file.env;
    for pair in &flags.env {
        spec.env.insert(pair.key.clone(), pair.value.clone());
    }
    for input in file.inputs {
        let url = input_url(&input.name, &input.url, beside)?;
        spec.inputs.push(Input { url, ..input });
    }
    for (index, pair) in flags.inputs.iter().enumerate() {
        let url = input_url(&pair.key, &pair.value, Path::new(""))?;
        let name = pair.key.clone();
        let twice = flags.inputs[..index].iter().any(|other| other.key == name);
        match spec.inputs.iter_mut().find(|input| input.name == name) {
            // One of the file gives way; one of the flags is a mistake, and the job says so.
            Some(input) if !twice => {
                *input = Input {
                    name,
                    url,
                    ..Input::default()
                }
            }
            _ => spec.inputs.push(Input {
                name,
                url,
                ..Input::default()
            }),
        }
    }
    for pair in &flags.splits {
        split(&mut spec, pair)?;
    }
    spec.output = match (&flags.output, file.output) {
        (Some(output), _) => Some(output_url(output, Path::new(""))?),
        (None, Some(output)) => Some(output_url(&output, beside)?),
        (None, None) => None,
    };
    Ok(spec)
}

/// Makes an input make tasks.
fn split(spec: &mut JobSpec, pair: &Pair) -> anyhow::Result<()> {
    let Pair { key, value } = pair;
    let wrong = |what: String| {
        hinted(
            what,
            format!("write --split {key}=object, or --split {key}=lines:100000"),
        )
    };
    let Some(input) = spec.inputs.iter_mut().find(|input| input.name == *key) else {
        return Err(wrong(format!("--split: there is no input `{key}`")));
    };
    (input.split, input.lines) = match value.split_once(':') {
        None if value == "object" => (Some(Split::Object), None),
        None if value == "lines" => (Some(Split::Lines), None),
        Some(("lines", count)) => {
            let count = count
                .parse()
                .map_err(|_| wrong(format!("--split: `{count}` is no number of lines")))?;
            (Some(Split::Lines), Some(count))
        }
        _ => {
            return Err(wrong(format!(
                "--split: `{value}` is neither `object` nor `lines`"
            )));
        }
    };
    Ok(())
}

/// What the job says of failures, of time, and of where it may run.
fn merge_policies(spec: &mut JobSpec, file: &JobFile, flags: &JobArgs) {
    spec.task_timeout = flags.task_timeout.or(file.task_timeout);
    spec.job_timeout = flags.job_timeout.or(file.job_timeout);
    spec.queue_timeout = flags.queue_timeout.or(file.queue_timeout);
    spec.stall = flags.stall.or(file.stall);
    spec.max_failed = flags.max_failed.or(file.max_failed);
    spec.retry.clone_from(&file.retry);
    let after = file.after.iter().chain(&flags.after);
    spec.after = after.cloned().collect();
    let constraints = file.constraints.iter().chain(&flags.constraints);
    spec.constraints = constraints.cloned().collect();
    spec.prefer = file.prefer.iter().chain(&flags.prefer).cloned().collect();
    spec.spread = flags.spread.clone().or_else(|| file.spread.clone());
}

fn take<T>(field: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *field = given;
    }
}

fn require_file(path: &Path) -> anyhow::Result<()> {
    let hint = "give the path of a module (x.wasm), a script (x.py) or a job file (job.toml)";
    let shown = path.display();
    let metadata = std::fs::metadata(path)
        .map_err(|error| hinted_because(format!("cannot read `{shown}`"), hint, error))?;
    if metadata.is_file() {
        Ok(())
    } else {
        Err(hinted(format!("`{shown}` is not a file"), hint))
    }
}

#[cfg(test)]
mod tests {
    use stint_api::quantity::Bytes;

    use super::*;
    use crate::failure::Shown;

    fn pair(key: &str, value: &str) -> Pair {
        Pair {
            key: key.into(),
            value: value.into(),
        }
    }

    #[test]
    fn flags_win_over_the_file() {
        let file = JobFile {
            tasks: Some(12),
            memory: Some(Bytes::mebi(64)),
            args: Some(vec!["of the file".into()]),
            env: [("A", "1"), ("B", "1")]
                .map(|(key, value)| (key.into(), value.into()))
                .into(),
            inputs: vec![Input {
                name: "data".into(),
                url: "file:///old".into(),
                ..Input::default()
            }],
            ..JobFile::default()
        };
        let flags = JobArgs {
            tasks: Some(3),
            args: vec!["of the flags".into()],
            env: vec![pair("B", "2")],
            inputs: vec![pair("data", "file:///new"), pair("more", "file:///more")],
            ..JobArgs::default()
        };
        let spec = merge(file, &flags, Path::new("")).unwrap();
        assert_eq!(spec.tasks, 3);
        assert_eq!(spec.memory, Bytes::mebi(64));
        assert_eq!(spec.args, ["of the flags"]);
        assert_eq!(spec.env["A"], "1");
        assert_eq!(spec.env["B"], "2");
        let urls: Vec<_> = spec.inputs.iter().map(|input| input.url.as_str()).collect();
        assert_eq!(urls, ["file:///new", "file:///more"]);
        assert_eq!(spec.retries, JobSpec::new(Digest([0; 32])).retries);
    }

    #[test]
    fn an_input_given_twice_on_the_command_line_is_refused() {
        let flags = JobArgs {
            inputs: vec![pair("a", "file:///1"), pair("a", "file:///2")],
            ..JobArgs::default()
        };
        let spec = merge(JobFile::default(), &flags, Path::new("")).unwrap();
        assert!(spec.validate().unwrap_err().to_string().contains("twice"));
    }

    #[test]
    fn paths_of_a_job_file_stand_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::write(root.join("x.wasm"), "").unwrap();
        std::fs::write(root.join("my data"), "").unwrap();
        let text = "module = \"x.wasm\"\noutput = \"out\"\n\
                    [[inputs]]\nname = \"d\"\nurl = \"my data\"\n";
        std::fs::write(root.join("job.toml"), text).unwrap();
        let args = JobArgs {
            file: root.join("job.toml"),
            ..JobArgs::default()
        };
        let draft = Draft::new(&args).unwrap();
        assert_eq!(draft.program, Program::Module(root.join("x.wasm")));
        let base = root.display();
        assert_eq!(draft.spec.inputs[0].url, format!("file://{base}/my%20data"));
        assert_eq!(draft.spec.output.unwrap(), format!("file://{base}/out"));
    }

    #[test]
    fn a_script_is_run_by_a_kit_that_a_job_file_may_name() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("a.py");
        std::fs::write(&script, "").unwrap();
        let job = dir.path().join("job.toml");
        std::fs::write(
            &job,
            "script = \"a.py\"\nkit = \"snake\"\nmemory = \"1Gi\"\n",
        )
        .unwrap();
        for (file, kit, names_memory) in [(&script, None, false), (&job, Some("snake"), true)] {
            let args = JobArgs {
                file: file.clone(),
                ..JobArgs::default()
            };
            let draft = Draft::new(&args).unwrap();
            let program = Program::Script {
                file: script.clone(),
                kit: kit.map(str::to_owned),
            };
            assert_eq!((draft.program, draft.names_memory), (program, names_memory));
        }
    }

    #[test]
    fn what_cannot_be_run_is_said_before_anything_is_sent() {
        let refused = |file: &str| {
            let args = JobArgs {
                file: file.into(),
                ..JobArgs::default()
            };
            Shown::new(&Draft::new(&args).unwrap_err()).to_string()
        };
        assert!(refused("/nowhere/analysis.py").contains("cannot read `/nowhere/analysis.py`"));
        assert!(refused("/nowhere/x.wasm").contains("cannot read `/nowhere/x.wasm`"));
        assert!(refused("/nowhere/job.toml").contains("cannot read"));
        assert!(refused("/").contains("not a file"));
    }
}
