//! `docs/job-file.md`, written from the types that are served, so that it cannot lie, with
//! examples that the command line takes.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;
use stint_api::job::JobSpec;
use stint_tests::kit::stint;
use stint_tests::leftovers::TAG;
use stint_tests::site::run;

use crate::groups::{GROUPS, Group, HEAD, INPUT, JOB, PATHS, VALUES, bounds};

/// The served types.
struct Types(Value);

impl Types {
    fn new() -> Self {
        let mut root = schemars::schema_for!(JobSpec).to_value();
        let defs = root["$defs"].take();
        let mut types = Self(defs);
        types.0[JOB] = root;
        types
    }

    /// The fields of a type.
    fn fields(&self, of: &str) -> &serde_json::Map<String, Value> {
        self.0[of]["properties"].as_object().unwrap()
    }

    /// A type in words.
    fn words(&self, schema: &Value) -> String {
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.rsplit('/').next().unwrap();
            let value = VALUES.iter().find(|(known, _)| *known == name);
            return match (value, self.0[name]["oneOf"].as_array()) {
                (Some((_, value)), _) => format!("[{value}](#how-values-are-written)"),
                (None, Some(choices)) => {
                    let choices = choices
                        .iter()
                        .map(|choice| format!("`{}`", choice["const"].as_str().unwrap()));
                    choices.collect::<Vec<_>>().join(" or ")
                }
                (None, None) if self.0[name]["type"] == "object" => "table".to_owned(),
                (None, None) => "text".to_owned(),
            };
        }
        if let Some(choices) = schema["anyOf"].as_array() {
            return self.words(&choices[0]);
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => &kinds[0],
            kind => kind,
        };
        match kind.as_str().unwrap() {
            "array" => format!("list of {}", self.words(&schema["items"])),
            "object" => format!("table of {}", self.words(&schema["additionalProperties"])),
            "integer" => "number".to_owned(),
            _ => "text".to_owned(),
        }
    }
}

/// As one line; a bar would end its cell.
fn line(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}

fn default(schema: &Value) -> String {
    match &schema["default"] {
        Value::Null => String::new(),
        Value::Array(list) if list.is_empty() => String::new(),
        Value::Object(table) if table.is_empty() => String::new(),
        default => format!("`{default}`"),
    }
}

/// The flag of a field, if `stint run` has one.
fn flag(field: &str, help: &str) -> Option<String> {
    let name = match field {
        "inputs" => "input".to_owned(),
        "constraints" => "constraint".to_owned(),
        field => field.replace('_', "-"),
    };
    let flag = format!("--{name}");
    help.split_whitespace()
        .any(|word| word == flag)
        .then_some(flag)
}

fn write_group(page: &mut String, group: &Group, types: &Types, help: &str) {
    let fields = types.fields(group.of);
    write!(
        page,
        "\n## {}\n\n| field, flag | type | default | meaning |\n|---|---|---|---|\n",
        group.title
    )
    .unwrap();
    for field in group.fields {
        let schema = &fields[*field];
        let path = PATHS
            .iter()
            .find(|(name, _)| group.of == JOB && name == field);
        let (kind, mut meaning) = match path {
            Some((_, meaning)) => ("path".to_owned(), (*meaning).to_owned()),
            None => (
                types.words(schema),
                line(schema["description"].as_str().unwrap()),
            ),
        };
        if let Some(bounds) = bounds(field).filter(|_| group.of == JOB) {
            meaning = format!("{meaning} {bounds}.");
        }
        let default = default(schema);
        match flag(field, help).filter(|_| group.of == JOB) {
            Some(flag) => writeln!(
                page,
                "| `{field}`, `{flag}` | {kind} | {default} | {meaning} |"
            ),
            None => writeln!(page, "| `{field}` | {kind} | {default} | {meaning} |"),
        }
        .unwrap();
    }
    if !group.example.is_empty() {
        write!(page, "\n```toml\n{}```\n", group.example).unwrap();
    }
}

/// The whole page.
fn page(help: &str) -> String {
    let types = Types::new();
    let mut page = HEAD.to_owned();
    for group in GROUPS.iter().chain([&INPUT]) {
        write_group(&mut page, group, &types, help);
    }
    page.push_str("\n## How values are written\n\n| value | written |\n|---|---|\n");
    for (name, value) in VALUES {
        let schema = &types.0[name];
        let said = schema["description"].as_str().map(line);
        let examples = schema["examples"].as_array().cloned().unwrap_or_default();
        let examples: Vec<String> = examples
            .iter()
            .map(|example| format!("`{}`", line(&example.to_string())))
            .collect();
        let said = said
            .into_iter()
            .chain((!examples.is_empty()).then(|| examples.join(", ")));
        writeln!(
            page,
            "| {value} | {} |",
            said.collect::<Vec<_>>().join(": ")
        )
        .unwrap();
    }
    page.push_str(
        "\nHow an attempt may end, for `on`: [outcomes.md](outcomes.md). What the policies do: [steering.md](steering.md).\nWhere data may be: [data.md](data.md).\n",
    );
    page
}

#[test]
fn the_reference_of_the_job_file_is_what_the_types_say() {
    let help = run(&mut stint(&["run", "--help"])).stdout;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/job-file.md");
    let page = page(&help);
    if std::env::var_os("STINT_UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        page, kept,
        "write it anew with STINT_UPDATE_GOLDEN=1, and read it"
    );
}

#[test]
fn every_field_has_its_place_and_an_example() {
    let types = Types::new();
    for (of, whole) in [
        (JOB, ""),
        ("RetryRule", GROUPS[4].example),
        ("Input", GROUPS[6].example),
    ] {
        let groups: Vec<&Group> = GROUPS
            .iter()
            .chain([&INPUT])
            .filter(|group| group.of == of)
            .collect();
        // The scheduler makes the list of a split, and nobody writes one.
        let written = types.fields(of).keys().filter(|field| *field != "listing");
        for field in written {
            let group = groups
                .iter()
                .find(|group| group.fields.contains(&field.as_str()));
            let group =
                group.unwrap_or_else(|| panic!("`{field}` of {of} is in no group of this file"));
            let example = if whole.is_empty() {
                group.example
            } else {
                whole
            };
            let starts = [format!("{field} = "), format!("[[{field}]]")];
            let shown = example
                .lines()
                .any(|line| starts.iter().any(|start| line.starts_with(start.as_str())));
            // Either the one or the other runs.
            assert!(
                shown || field == "module",
                "`{field}` of {of} has no example"
            );
        }
    }
}

#[test]
fn the_command_line_takes_every_example() {
    let dir = tempfile::tempdir().unwrap();
    for file in ["x.wasm", "analysis.py", "table.csv"] {
        std::fs::write(dir.path().join(file), "").unwrap();
    }
    for Group { title, example, .. } in GROUPS.iter().filter(|group| !group.example.is_empty()) {
        let program = if example.contains("script = ") {
            ""
        } else {
            "module = \"x.wasm\"\n"
        };
        std::fs::write(dir.path().join("job.toml"), format!("{program}{example}")).unwrap();
        let mut submit = stint(&["submit", "job.toml"]);
        let finished = run(submit.current_dir(dir.path()).env(TAG, dir.path()));
        // It has read the file to its end, and only then asks to whom it goes.
        assert!(
            finished.stderr.contains("no scheduler is named"),
            "{title}: {finished:#?}"
        );
    }
}
