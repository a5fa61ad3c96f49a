//! JSON that people wrote: what is wrong with it is said by field, with the
//! nearest name when one was misspelt.

use serde::de::DeserializeOwned;
use stint_api::problem::nearest;

use super::problem::ApiError;

/// Deepest nesting of a body: what we read is four deep.
const DEPTH_MAX: usize = 32;
/// Longest piece of a foreign text that an error repeats.
const EXCERPT_CHARS_MAX: usize = 300;

/// Why JSON is not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonError {
    #[error("the body is nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    #[error("the body is not JSON: {0}")]
    Syntax(String),
    #[error("the body is not a JSON object")]
    NotAnObject,
    #[error("`{field}` is not a field{}", near.as_ref().map_or(String::new(), |near| format!("; did you mean `{near}`?")))]
    UnknownField {
        field: String,
        near: Option<String>,
        known: Vec<String>,
    },
    #[error("`{0}` is there twice")]
    DuplicateField(String),
    #[error("`{0}` is missing")]
    MissingField(String),
    #[error("{}{what}", field.as_ref().map_or(String::new(), |field| format!("`{field}`: ")))]
    WrongType { field: Option<String>, what: String },
}

/// Reads an object.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    Ok(parse(body)?)
}

/// Reads what a machine wrote: fields that another version added are let pass.
pub(crate) fn read_message<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| explain(".", &error).into())
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, JsonError> {
    if depth(body) > DEPTH_MAX {
        return Err(JsonError::TooDeep);
    }
    // A struct may also be read from an array, which nobody means.
    match body.trim_ascii_start().first() {
        Some(b'{') | None => {}
        Some(_) if serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok() => {
            return Err(JsonError::NotAnObject);
        }
        Some(_) => {}
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        explain(&path, error.inner())
    })?;
    reader.end().map_err(|error| explain(".", &error))?;
    Ok(value)
}

/// How deep brackets nest; those within strings do not count.
fn depth(body: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Serde says these in fixed words, with names in backticks; the tests below hold them to it.
fn explain(path: &str, error: &serde_json::Error) -> JsonError {
    let text: String = error
        .to_string()
        .chars()
        .take(EXCERPT_CHARS_MAX * 4)
        .collect();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let said = text.strip_suffix(&place).unwrap_or(&text);
    // Said of a number that fits into nothing; where it stands is known.
    let is_number = said == "number out of range" && path != ".";
    if !error.is_data() && !is_number {
        return JsonError::Syntax(text.chars().take(EXCERPT_CHARS_MAX).collect());
    }
    let mut names = said.split('`').skip(1).step_by(2).map(str::to_owned);
    if said.starts_with("unknown field") {
        let field = names.next().unwrap_or_default();
        let known: Vec<String> = names.collect();
        let near = nearest(&field, known.iter().map(String::as_str)).map(str::to_owned);
        let field = field.chars().take(80).collect();
        return JsonError::UnknownField { field, near, known };
    }
    if said.starts_with("duplicate field") {
        return JsonError::DuplicateField(names.next().unwrap_or_default());
    }
    if said.starts_with("missing field") {
        let field = names.next().unwrap_or_default();
        let within = Some(path).filter(|path| *path != ".");
        let field = within.map_or_else(|| field.clone(), |path| format!("{path}.{field}"));
        return JsonError::MissingField(field);
    }
    JsonError::WrongType {
        field: Some(path).filter(|path| *path != ".").map(str::to_owned),
        what: said.chars().take(EXCERPT_CHARS_MAX).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stint_api::job::JobSpec;

    const MODULE: &str =
        r#""module": "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa""#;

    fn error(fields: &str) -> JsonError {
        parse::<JobSpec>(format!("{{{MODULE}{fields}}}").as_bytes()).unwrap_err()
    }

    #[test]
    fn a_wrong_field_is_named_and_the_nearest_offered() {
        assert!(matches!(
            error(r#", "memroy": 1"#),
            JsonError::UnknownField { field, near: Some(near), .. }
                if field == "memroy" && near == "memory"
        ));
        assert!(matches!(
            error(r#", "inputs": [{"name": "a", "ulr": "x"}]"#),
            JsonError::UnknownField { field, near: Some(near), .. } if field == "ulr" && near == "url"
        ));
        assert!(matches!(
            error(r#", "colour": 1"#),
            JsonError::UnknownField { near: None, known, .. } if known.contains(&"retries".to_owned())
        ));
        assert_eq!(
            error(r#", "tasks": 1, "tasks": 2"#),
            JsonError::DuplicateField("tasks".to_owned())
        );
        assert_eq!(
            error(r#", "script": {"name": "a"}"#),
            JsonError::MissingField("script.digest".to_owned())
        );
        assert_eq!(
            error(r#", "inputs": [{"name": "a"}]"#),
            JsonError::MissingField("inputs[0].url".to_owned())
        );
        for (fields, named) in [
            (r#", "tasks": "many""#, "tasks"),
            (r#", "tasks": -1"#, "tasks"),
            (r#", "tasks": 1e999"#, "tasks"),
            (r#", "memory": "lots""#, "memory"),
            (r#", "args": {"a": 1}"#, "args"),
            (r#", "env": {"A": 1}"#, "env.A"),
        ] {
            let error = error(fields);
            assert!(
                matches!(&error, JsonError::WrongType { field: Some(field), .. } if field == named),
                "{error:?}"
            );
        }
    }

    #[test]
    fn what_is_not_json_or_no_object_is_said() {
        for text in ["", "{", "nul", &format!("{{{MODULE}}} x"), "\u{feff}{}"] {
            let error = parse::<JobSpec>(text.as_bytes()).unwrap_err();
            assert!(matches!(error, JsonError::Syntax(_)), "{text}: {error:?}");
        }
        for text in ["[]", "[1,2]", "\"x\"", " 7", "null"] {
            let error = parse::<JobSpec>(text.as_bytes()).unwrap_err();
            assert_eq!(error, JsonError::NotAnObject, "{text}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(error(&format!(", \"args\": {deep}")), JsonError::TooDeep);
        let brackets = "[".repeat(100);
        parse::<JobSpec>(format!("{{{MODULE}, \"args\": [\"\\\"{brackets}\"]}}").as_bytes())
            .unwrap();
    }
}
