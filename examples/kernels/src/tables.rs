//! Kernels over bytes and text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::{Chance, Run};

/// Rows of the table: 12 MB of text.
const ROWS: usize = 500_000;
/// Objects of the document: 7 MB of text.
const OBJECTS: usize = 50_000;
/// Bytes that are hashed.
const HASHED_BYTES: usize = 16 << 20;

/// Count and sum of a column by the groups of another, parsed from text.
pub(crate) fn csv_group_by() -> Run {
    let mut chance = Chance::new(1);
    let mut text = String::from("id,carrier,delay,distance\n");
    for id in 0..ROWS {
        let carrier = CARRIERS[chance.below(CARRIERS.len() as u64) as usize];
        let delay = chance.below(2_000) as f64 / 10.0 - 50.0;
        let distance = 80 + chance.below(4_900);
        // Text in memory takes whatever is written to it.
        let _ = writeln!(text, "{id},{carrier},{delay:.1},{distance}");
    }
    Box::new(move || {
        let mut groups: BTreeMap<&str, (u64, f64, u64)> = BTreeMap::new();
        for line in text.lines().skip(1) {
            let mut fields = line.split(',').skip(1);
            let (Some(carrier), Some(delay), Some(distance)) =
                (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let group = groups.entry(carrier).or_default();
            group.0 += 1;
            group.1 += delay.parse::<f64>().unwrap_or(f64::NAN);
            group.2 += distance.parse::<u64>().unwrap_or_default();
        }
        groups.values().fold(0, |sum, (count, delay, distance)| {
            sum.rotate_left(7) ^ count ^ delay.to_bits() ^ distance
        })
    })
}

/// A document to a tree of values.
pub(crate) fn json_parse() -> Run {
    let mut chance = Chance::new(2);
    let mut text = String::from("[");
    for id in 0..OBJECTS {
        let comma = if id == 0 { "" } else { "," };
        let (x, y) = (chance.unit(), chance.below(1 << 40));
        let flag = chance.below(2) == 0;
        let _ = write!(
            text,
            r#"{comma}{{"id":{id},"name":"station {y:x}","at":[{x},{}],"open":{flag},"tags":["a","b\n","é"],"note":null}}"#,
            x * 180.0,
        );
    }
    text.push(']');
    Box::new(move || {
        let Ok(serde_json::Value::Array(all)) = serde_json::from_str(&text) else {
            return 0;
        };
        all.iter().fold(1, |sum: u64, object| {
            let id = object["id"].as_u64().unwrap_or_default();
            let x = object["at"][1].as_f64().unwrap_or_default();
            sum.rotate_left(5) ^ id ^ x.to_bits()
        })
    })
}

/// The hash of a long message, in portable code on both sides: no instructions for it.
pub(crate) fn sha_256() -> Run {
    let mut chance = Chance::new(3);
    let message: Vec<u8> = (0..HASHED_BYTES / 8)
        .flat_map(|_| chance.next_u64().to_le_bytes())
        .collect();
    Box::new(move || {
        let hash = Sha256::digest(&message);
        hash.iter()
            .take(8)
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    })
}

const CARRIERS: [&str; 16] = [
    "9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV",
];
