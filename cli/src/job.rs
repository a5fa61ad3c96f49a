//! What `run` and `submit` send: a job file and flags made into one job.

use std::path::{Path, PathBuf};

use stint_api::client::Client;
use stint_api::id::{Digest, Namespace};
use stint_api::job::{Input, JobSpec};
use stint_api::view::ModuleView;
use url::Url;

use crate::failure::{hinted, hinted_because};
use crate::job_args::JobArgs;
use crate::job_file::{self, JobFile};

/// A job that waits for its module's digest.
#[derive(Debug)]
pub(crate) struct Draft {
    /// The file of the module.
    pub(crate) module: PathBuf,
    /// The rest; its digest is not the module's yet.
    spec: JobSpec,
}

impl Draft {
    /// Reads the file that the flags name, and lays the flags over it.
    pub(crate) fn new(args: &JobArgs) -> anyhow::Result<Self> {
        let file = &args.file;
        let extension = file.extension().and_then(|extension| extension.to_str());
        let (job, beside) = match extension {
            Some("toml") => (job_file::read(file)?, file.parent()),
            Some("py") => {
                return Err(hinted(
                    format!("`{}` is a Python script", file.display()),
                    "Python needs the python kit, which comes later; run a module (x.wasm)",
                ));
            }
            _ => {
                let job = JobFile {
                    module: file.clone(),
                    ..JobFile::default()
                };
                (job, None)
            }
        };
        let beside = beside.unwrap_or_else(|| Path::new(""));
        let module = beside.join(&job.module);
        let spec = merge(job, args, beside)?;
        spec.validate().map_err(|error| {
            hinted_because(
                "the job is not valid",
                "change the field in the job file, or its flag; see `stint run --help`",
                error,
            )
        })?;
        require_module(&module)?;
        Ok(Self { module, spec })
    }

    /// Who the job belongs to.
    pub(crate) fn namespace(&self) -> &Namespace {
        &self.spec.namespace
    }

    /// Pushes the module, then submits the job.
    pub(crate) async fn push(mut self, client: &Client) -> anyhow::Result<JobSpec> {
        let module = push(client, self.namespace(), &self.module).await?;
        self.spec.module = module.digest;
        Ok(self.spec)
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
    let mut spec = JobSpec::new(Digest([0; 32]));
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
            Some(input) if !twice => input.url = url,
            _ => spec.inputs.push(Input { name, url }),
        }
    }
    spec.output = match (&flags.output, file.output) {
        (Some(output), _) => Some(output_url(output, Path::new(""))?),
        (None, Some(output)) => Some(output_url(&output, beside)?),
        (None, None) => None,
    };
    Ok(spec)
}

fn take<T>(field: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *field = given;
    }
}

/// A URL as it is; a path as the `file://` URL of what it names here.
fn input_url(name: &str, text: &str, beside: &Path) -> anyhow::Result<String> {
    if text.contains("://") {
        return Ok(text.to_owned());
    }
    let path = beside.join(text);
    let real = path.canonicalize().map_err(|error| {
        hinted_because(
            format!("input `{name}`: cannot find `{}`", path.display()),
            "give a path that is here, or file:///an/absolute/path for one on the nodes",
            error,
        )
    })?;
    file_url(&real)
}

/// The same for an output, which need not be there yet.
fn output_url(text: &str, beside: &Path) -> anyhow::Result<String> {
    if text.contains("://") {
        return Ok(text.to_owned());
    }
    file_url(&std::path::absolute(beside.join(text))?)
}

fn file_url(path: &Path) -> anyhow::Result<String> {
    Url::from_file_path(path)
        .map(String::from)
        .map_err(|()| anyhow::anyhow!("`{}` cannot be written as a URL", path.display()))
}

fn require_module(path: &Path) -> anyhow::Result<()> {
    let hint = "give the path of a module (x.wasm) or of a job file (job.toml)";
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
    use crate::job_args::Pair;

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
        assert_eq!(draft.module, root.join("x.wasm"));
        let base = root.display();
        assert_eq!(draft.spec.inputs[0].url, format!("file://{base}/my%20data"));
        assert_eq!(draft.spec.output.unwrap(), format!("file://{base}/out"));
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
        assert!(refused("analysis.py").contains("Python needs the python kit"));
        assert!(refused("/nowhere/x.wasm").contains("cannot read `/nowhere/x.wasm`"));
        assert!(refused("/nowhere/job.toml").contains("cannot read"));
        assert!(refused("/").contains("not a file"));
    }
}
