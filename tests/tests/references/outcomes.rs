//! `docs/outcomes.md` has every reason, and what to do.

use std::collections::BTreeSet;
use std::path::Path;

use stint_api::outcome::Outcome;

/// Reasons after which there is nothing to do.
const WELL: [&str; 2] = ["succeeded", "cancelled"];

/// The reasons of the type that is served.
fn reasons() -> BTreeSet<String> {
    let schema = schemars::schema_for!(Outcome).to_value();
    let variants = schema["anyOf"]
        .as_array()
        .or_else(|| schema["oneOf"].as_array());
    let mut reasons = BTreeSet::new();
    collect(&mut reasons, variants.unwrap());
    reasons
}

fn collect(reasons: &mut BTreeSet<String>, variants: &[serde_json::Value]) {
    for variant in variants {
        if let Some(inner) = variant["oneOf"].as_array() {
            collect(reasons, inner);
        }
        // One that a newer version adds has no name here.
        let name = variant["properties"]["reason"]["const"].as_str();
        reasons.extend(name.map(str::to_owned));
    }
}

#[test]
fn the_table_of_outcomes_has_every_reason_and_what_to_do() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/outcomes.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let mut told = BTreeSet::new();
    for row in rows {
        let (reason, rest) = row.split_once("` |").unwrap();
        let cells: Vec<&str> = rest.split('|').map(str::trim).collect();
        let [what, _, todo, ""] = cells[..] else {
            panic!("`{reason}` has not three more cells: {cells:?}");
        };
        assert!(!what.is_empty(), "what is `{reason}`?");
        assert!(
            WELL.contains(&reason) || !todo.is_empty(),
            "what to do after `{reason}`?"
        );
        told.insert(reason.to_owned());
    }
    let reasons = reasons();
    assert!(reasons.len() > 20, "{reasons:?}");
    assert_eq!(told, reasons, "told (left), and what there is (right)");
}
