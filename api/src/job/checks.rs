//! What a valid job is: each field by itself, and together where they depend on one another.

use std::collections::BTreeMap;

use super::{
    AFTER_MAX, ENTRIES_MAX, ENTRY_BYTES_MAX, INPUTS_MAX, InvalidSpec, Isolation, JobSpec,
    LINES_DEFAULT, RETRIES_MAX, STALL_MIN, Split, TASKS_MAX, TIMEOUT_MAX,
};
use crate::constraint::{CONSTRAINTS_MAX, LABEL_BYTES_MAX};
use crate::id::is_name;
use crate::retry::RULES_MAX;
use crate::time::Span;

/// Longest URL.
const URL_BYTES_MAX: usize = 4_096;

impl JobSpec {
    /// Checks every field against the limits of a job.
    ///
    /// # Errors
    /// The first field, in the order of the struct, that no cluster could accept.
    pub fn validate(&self) -> Result<(), InvalidSpec> {
        if let Some(name) = &self.name {
            check("name", is_name(name), || {
                format!("`{name}` is not a name; use at most 63 of a-z, 0-9 and inner hyphens")
            })?;
        }
        self.validate_program()?;
        self.validate_entries()?;
        check("tasks", (1..=TASKS_MAX).contains(&self.tasks), || {
            format!(
                "{} is out of range; a job has 1 to {TASKS_MAX} tasks",
                self.tasks
            )
        })?;
        if let Some(only) = &self.only {
            check("only", !only.is_empty(), || {
                "an empty list would run nothing; leave it out for all tasks".to_owned()
            })?;
            let last = only.last().unwrap_or_default();
            // How many tasks a split makes is not known before its input was listed.
            let is_listed = self
                .inputs
                .iter()
                .all(|input| input.split.is_none() || input.listing.is_some());
            check("only", last < self.tasks || !is_listed, || {
                let most = self.tasks - 1;
                format!("there is no task {last}; the last one is {most}")
            })?;
        }
        self.validate_amounts()?;
        self.validate_policies()?;
        self.validate_inputs()?;
        if let Some(url) = &self.output {
            check_output_url("output", url)?;
        }
        Ok(())
    }

    fn validate_amounts(&self) -> Result<(), InvalidSpec> {
        check("parallelism", self.parallelism != Some(0), || {
            "0 would run nothing; leave it out for as many as fit".to_owned()
        })?;
        check("cpu", self.cpu.0 >= 10, || {
            format!("{} is too little; ask for at least 10m", self.cpu)
        })?;
        check("memory", self.memory.0 >= 64 << 10, || {
            format!(
                "{} is too little; one Wasm page is 64Ki, most programs need 16Mi",
                self.memory
            )
        })?;
        check("scratch", self.scratch.0 >= 4 << 10, || {
            format!("{} is too little; ask for at least 4Ki", self.scratch)
        })?;
        for (field, timeout) in [
            ("timeout", Some(self.timeout)),
            ("task_timeout", self.task_timeout),
            ("job_timeout", self.job_timeout),
            ("queue_timeout", self.queue_timeout),
        ] {
            let timeout = timeout.unwrap_or(TIMEOUT_MAX);
            check(
                field,
                timeout > Span::ZERO && timeout <= TIMEOUT_MAX,
                || format!("{timeout} is out of range; use more than 0s and at most 720h"),
            )?;
        }
        let stall = self.stall.unwrap_or(STALL_MIN);
        check("stall", stall >= STALL_MIN && stall <= TIMEOUT_MAX, || {
            format!("{stall} is out of range; use at least {STALL_MIN} and at most 720h")
        })?;
        check("retries", self.retries <= RETRIES_MAX, || {
            format!("{} is too many; at most {RETRIES_MAX}", self.retries)
        })
    }

    /// A module, or a kit and a script.
    fn validate_program(&self) -> Result<(), InvalidSpec> {
        let Some(kit) = &self.kit else {
            check("script", self.script.is_none(), || {
                "a script needs the `kit` that runs it".to_owned()
            })?;
            return check("module", self.names_module(), || {
                "missing: name a module, or a `kit` and a `script`".to_owned()
            });
        };
        check("kit", is_name(kit), || {
            format!(
                "`{kit}` is not the name of a kit; use at most 63 of a-z, 0-9 and inner hyphens"
            )
        })?;
        match &self.script {
            Some(script) => script.validate(),
            None => check("script", false, || {
                format!("missing: say which script the kit `{kit}` runs")
            }),
        }
    }

    fn validate_entries(&self) -> Result<(), InvalidSpec> {
        let size = |bytes: usize| format!("{bytes} bytes; at most {ENTRY_BYTES_MAX}");
        check("args", self.args.len() <= ENTRIES_MAX, || {
            format!("{} entries; at most {ENTRIES_MAX}", self.args.len())
        })?;
        let bytes = self.args.iter().map(String::len).sum();
        check("args", bytes <= ENTRY_BYTES_MAX, || size(bytes))?;
        check(
            "args",
            !self.args.iter().any(|arg| arg.contains('\0')),
            || "an argument holds a NUL byte".to_owned(),
        )?;
        check_variables(&self.env)
    }

    fn validate_policies(&self) -> Result<(), InvalidSpec> {
        let most = |field: &'static str, count: usize, most: usize| {
            check(field, count <= most, || {
                format!("{count} entries; at most {most}")
            })
        };
        most("retry", self.retry.len(), RULES_MAX)?;
        for (index, rule) in self.retry.iter().enumerate() {
            rule.validate(index, self.retries, self.memory)?;
        }
        most("after", self.after.len(), AFTER_MAX)?;
        for (index, job) in self.after.iter().enumerate() {
            let field = format!("after[{index}]");
            check(&field, job.namespace == self.namespace, || {
                format!("`{job}` is of another namespace than `{}`", self.namespace)
            })?;
            check(&field, !self.after[..index].contains(job), || {
                format!("`{job}` is there twice")
            })?;
        }
        most("constraints", self.constraints.len(), CONSTRAINTS_MAX)?;
        most("prefer", self.prefer.len(), CONSTRAINTS_MAX)?;
        let spread = self.spread.as_deref().unwrap_or("a");
        let is_label = (1..=LABEL_BYTES_MAX).contains(&spread.len())
            && !spread.contains(|c: char| c == '=' || c == '!' || c.is_whitespace());
        check("spread", is_label, || {
            format!("`{spread}` is not the name of a label; write for example `zone`")
        })
    }

    fn validate_inputs(&self) -> Result<(), InvalidSpec> {
        check("inputs", self.inputs.len() <= INPUTS_MAX, || {
            format!("{} inputs; at most {INPUTS_MAX}", self.inputs.len())
        })?;
        for (index, input) in self.inputs.iter().enumerate() {
            let name = &input.name;
            check(&format!("inputs[{index}].name"), is_file_name(name), || {
                format!(
                    "`{name}` is not a file name; use at most 63 letters, digits, `-`, `_`, `.`"
                )
            })?;
            let twice = self.inputs[..index].iter().any(|other| other.name == *name);
            check(&format!("inputs[{index}].name"), !twice, || {
                format!("`{name}` is there twice; give each input its own name")
            })?;
            check_input_url(&format!("inputs[{index}].url"), &input.url)?;
            let is_many = input.url.contains('*') && !input.url.starts_with("http")
                || input.url.starts_with("s3://") && input.url.ends_with('/');
            check(
                &format!("inputs[{index}].sha256"),
                input.sha256.is_none() || !is_many,
                || "one object has a digest; this URL stands for many".to_owned(),
            )?;
            self.validate_split(index)?;
        }
        Ok(())
    }
}

impl JobSpec {
    fn validate_split(&self, index: usize) -> Result<(), InvalidSpec> {
        let input = &self.inputs[index];
        let field = |name: &str| format!("inputs[{index}].{name}");
        check(
            &field("lines"),
            input.lines.is_none() || input.split == Some(Split::Lines),
            || "lines are counted with `split = \"lines\"` only".to_owned(),
        )?;
        check(&field("lines"), input.lines != Some(0), || {
            format!("0 lines are no task; leave it out for {LINES_DEFAULT}")
        })?;
        check(
            &field("listing"),
            input.listing.is_none() || input.split.is_some(),
            || "the scheduler makes it; leave it out".to_owned(),
        )?;
        if input.split.is_none() {
            return Ok(());
        }
        check(&field("sha256"), input.sha256.is_none(), || {
            "what is split is known by the versions in its list; leave the digest out".to_owned()
        })?;
        let earlier = &self.inputs[..index];
        check(
            &field("split"),
            earlier.iter().all(|input| input.split.is_none()),
            || "another input is split already; one of a job can be".to_owned(),
        )?;
        check("isolation", self.isolation != Some(Isolation::Job), || {
            "tasks of an input that is split have a process each; leave it out".to_owned()
        })
    }
}

/// Checks environment variables that somebody other than a node sets.
pub(crate) fn check_variables(env: &BTreeMap<String, String>) -> Result<(), InvalidSpec> {
    check("env", env.len() <= ENTRIES_MAX, || {
        format!("{} entries; at most {ENTRIES_MAX}", env.len())
    })?;
    let bytes: usize = env.iter().map(|(key, value)| key.len() + value.len()).sum();
    check("env", bytes <= ENTRY_BYTES_MAX, || {
        format!("{bytes} bytes; at most {ENTRY_BYTES_MAX}")
    })?;
    for (key, value) in env {
        check("env", !key.is_empty() && !key.contains(['=', '\0']), || {
            format!("`{key}` is not the name of a variable")
        })?;
        check("env", !value.contains('\0'), || {
            format!("the value of `{key}` holds a NUL byte")
        })?;
        check("env", !key.starts_with("STINT_"), || {
            format!("`{key}`: names that start with STINT_ are set by the node")
        })?;
    }
    Ok(())
}

/// Whether `text` names a file as people do, in one directory and not hidden there.
pub(crate) fn is_file_name(text: &str) -> bool {
    text.len() <= 63
        && !text.starts_with('.')
        && !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

pub(crate) fn check(
    field: &str,
    holds: bool,
    why: impl FnOnce() -> String,
) -> Result<(), InvalidSpec> {
    if holds {
        Ok(())
    } else {
        Err(InvalidSpec {
            field: field.to_owned(),
            why: why(),
        })
    }
}

/// Where inputs are, as far as the text tells. What of it a node reads is its operator's word.
fn check_input_url(field: &str, url: &str) -> Result<(), InvalidSpec> {
    let shown = match url.split_once("://") {
        // What stands before an `@` may be a password, after a `?` a signature.
        Some((scheme, _)) if !is_path(url) => format!("{scheme}://…"),
        _ => url.to_owned(),
    };
    let web = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    let other = web.or_else(|| url.strip_prefix("s3://"));
    let authority = other.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    check(
        field,
        !authority.is_some_and(|authority| authority.contains('@')),
        || {
            format!(
                "`{shown}` holds a user name or password, which a job must not; nodes have credentials of their own"
            )
        },
    )?;
    check(
        field,
        is_path(url) || authority.is_some_and(|authority| !authority.is_empty()),
        || {
            format!(
                "`{shown}` is not a URL that nodes can open; write file:///an/absolute/path, https://host/path or s3://bucket/key"
            )
        },
    )?;
    check(field, url.len() <= URL_BYTES_MAX, || {
        format!("{} bytes; at most {URL_BYTES_MAX}", url.len())
    })
}

/// Whether a URL names an absolute path.
fn is_path(url: &str) -> bool {
    url.strip_prefix("file://")
        .is_some_and(|path| path.starts_with('/'))
}

fn check_output_url(field: &str, url: &str) -> Result<(), InvalidSpec> {
    let bucket = url
        .strip_prefix("s3://")
        .and_then(|rest| rest.split('/').next());
    let is_bucket = bucket.is_some_and(|name| !name.is_empty() && !name.contains('@'));
    let is_one = (is_path(url) || is_bucket) && !url.contains('*');
    check(field, is_one && url.len() <= URL_BYTES_MAX, || {
        // What stands before an `@` may be a password.
        let shown = if url.contains('@') { "that" } else { url };
        format!(
            "`{shown}` is not a URL that nodes can write to; write file:///an/absolute/path or s3://bucket/prefix"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Digest;
    use crate::job::{Input, NO_MODULE};
    use crate::quantity::{Bytes, Millicores};

    fn invalid(change: impl FnOnce(&mut JobSpec)) -> String {
        let mut spec = JobSpec::new(Digest([1; 32]));
        change(&mut spec);
        spec.validate().unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_are_a_valid_job() {
        JobSpec::new(Digest([1; 32])).validate().unwrap();
    }

    #[test]
    fn a_wrong_field_is_named() {
        assert!(invalid(|spec| spec.module = NO_MODULE).starts_with("`module`"));
        assert!(invalid(|spec| spec.kit = Some("a".into())).starts_with("`script`"));
        assert!(invalid(|spec| spec.tasks = 0).starts_with("`tasks`"));
        assert!(invalid(|spec| spec.only = "0-1".parse().ok()).starts_with("`only`"));
        assert!(invalid(|spec| spec.memory = Bytes(0)).starts_with("`memory`"));
        assert!(invalid(|spec| spec.cpu = Millicores(0)).starts_with("`cpu`"));
        assert!(invalid(|spec| spec.timeout = Span::ZERO).starts_with("`timeout`"));
        let short = invalid(|spec| spec.stall = Some(Span::from_millis(999)));
        assert!(short.starts_with("`stall`") && short.contains("at least 1s"));
        assert!(invalid(|spec| spec.name = Some("A b".into())).starts_with("`name`"));
        assert!(invalid(|spec| spec.output = Some("ftp://x".into())).starts_with("`output`"));
        let input = || Input {
            name: "a".into(),
            url: "file:///a".into(),
            ..Input::default()
        };
        assert!(
            invalid(|spec| spec.inputs = vec![input(), input()]).starts_with("`inputs[1].name`")
        );
        assert!(
            invalid(|spec| {
                spec.env.insert("STINT_X".into(), String::new());
            })
            .starts_with("`env`")
        );
    }

    #[test]
    fn an_input_is_a_url_that_nodes_read_and_may_make_tasks() {
        let input = || Input {
            name: "a".into(),
            url: "file:///a".into(),
            ..Input::default()
        };
        for url in [
            "https://h/x",
            "http://h",
            "s3://bucket/a/*.csv",
            "file:///a/*",
        ] {
            let mut spec = JobSpec::new(Digest([1; 32]));
            spec.inputs = vec![Input {
                url: url.into(),
                ..input()
            }];
            assert_eq!(spec.validate(), Ok(()), "{url}");
        }
        for url in [
            "ftp://x",
            "file://host/a",
            "https://",
            "https://me:pw@h/x",
            "s3://k@b/x",
            "/a",
        ] {
            let refused = invalid(|spec| {
                spec.inputs = vec![Input {
                    url: url.into(),
                    ..input()
                }]
            });
            assert!(
                refused.starts_with("`inputs[0].url`") && !refused.contains("pw"),
                "{refused}"
            );
        }
        let pinned = |url: &str| Input {
            url: url.into(),
            sha256: Some(Digest([2; 32])),
            ..input()
        };
        assert!(
            invalid(|spec| spec.inputs = vec![pinned("s3://bucket/a/")])
                .starts_with("`inputs[0].sha256`")
        );
        let split = |split, lines| Input {
            split,
            lines,
            ..input()
        };
        let many = |spec: &mut JobSpec| {
            spec.only = "7".parse().ok();
            spec.inputs = vec![split(Some(Split::Lines), Some(5))];
        };
        let mut spec = JobSpec::new(Digest([1; 32]));
        many(&mut spec);
        assert_eq!(spec.validate(), Ok(()));
        for wrong in [split(None, Some(5)), split(Some(Split::Lines), Some(0))] {
            let refused = invalid(|spec| spec.inputs = vec![wrong]);
            assert!(refused.starts_with("`inputs[0].lines`"), "{refused}");
        }
        let together = |spec: &mut JobSpec| {
            many(spec);
            spec.isolation = Some(Isolation::Job);
        };
        assert!(invalid(together).starts_with("`isolation`"));
    }
}
