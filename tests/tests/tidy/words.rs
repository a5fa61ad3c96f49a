//! One noun for one thing, in code, API, command line and documents.

use crate::source::{self, Source};
use crate::text;

/// Words for what has a name already: job, slot, worker, node.
const SYNONYMS: [&str; 4] = ["workload", "pod", "container", "executor"];
/// What we are held beside, in the words of those who know that.
const COMPARISON: &str = "the way Kubernetes runs containers";

/// Names that others gave to what is theirs.
const FOREIGN: [&str; 1] = ["TokioExecutor"];

/// The synonyms among the words of a text, names of several words taken apart.
fn synonyms(text: &str) -> Vec<String> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.replace(COMPARISON, "");
    let mut found: Vec<String> = words(&text)
        .map(|word| word.to_lowercase())
        .filter(|word| {
            let singular = word.strip_suffix('s').unwrap_or(word);
            SYNONYMS.contains(&singular)
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The words of a text: `ContainerRuntime` and `container_runtime` have two.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).flat_map(|name| {
        let starts: Vec<usize> = name
            .char_indices()
            .filter(|(at, c)| *at > 0 && c.is_uppercase())
            .map(|(at, _)| at)
            .chain([name.len()])
            .collect();
        let mut from = 0;
        starts.into_iter().map(move |to| {
            let word = &name[from..to];
            from = to;
            word
        })
    })
}

fn named(path: &str, words: &[String]) -> Vec<String> {
    words
        .iter()
        .map(|word| format!("{path}: `{word}`"))
        .collect()
}

/// Names and texts of code; comments may speak of the world as it is.
fn in_code(source: &Source) -> Vec<String> {
    let foreign = |code: String, name: &&str| code.replace(*name, "");
    let code = FOREIGN.iter().fold(source.code(), foreign) + &source.literals().join(" ");
    named(&source.path, &synonyms(&code))
}

#[test]
fn code_and_what_it_says_have_one_word_for_one_thing() {
    let breaches: Vec<String> = source::rust()
        .iter()
        .filter(|source| !source.is_test())
        .flat_map(in_code)
        .collect();
    crate::assert_none("synonyms", &breaches);
}

#[test]
fn documents_have_one_word_for_one_thing() {
    let breaches: Vec<String> = source::all(&[".md", ".toml"])
        .iter()
        .flat_map(|source| named(&source.path, &synonyms(&source.text)))
        .collect();
    crate::assert_none("synonyms", &breaches);
}

#[test]
fn a_synonym_is_found_in_names_and_texts() {
    let found = |text| in_code(&Source::made_up("a.rs", text)).len();
    assert_eq!(found("struct PodSpec; fn run_workloads() {}"), 2);
    assert_eq!(found("bail!(\"no such container\")"), 1);
    assert_eq!(found("// as in a container\nlet tripod = 1;"), 0);
    assert_eq!(
        synonyms("It runs jobs the way Kubernetes\nruns containers.").len(),
        0
    );
    assert_eq!(synonyms("It runs containers.").len(), 1);
}

#[test]
fn text_is_taken_apart_as_this_rule_needs() {
    let all: Vec<&str> = words("RunPod a_pod")
        .filter(|word| !word.is_empty())
        .collect();
    assert_eq!(all, ["Run", "Pod", "a", "pod"]);
    assert_eq!(text::names("a b").count(), 2);
}
