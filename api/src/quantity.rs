//! Amounts of CPU, memory and disk, each with its unit in its type.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::time::{Span, decimal_times};

/// A number of bytes. Text form: `512`, `64Ki`, `256Mi`, `4Gi`, `1Ti`, or decimal `k M G T`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

/// A share of CPU time: 1000 is one core. Text form: `0.5`, `2` (cores) or `500m` (millicores).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millicores(pub u32);

/// A factor in thousandths. Text form: `2`, `1.5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Factor(pub u32);

impl Factor {
    /// The largest that anybody may name.
    const MAX: Self = Self(64_000);

    /// So many times `amount`, rounded up.
    pub fn times(self, amount: u64) -> u64 {
        let product = u128::from(amount) * u128::from(self.0);
        u64::try_from(product.div_ceil(1_000)).unwrap_or(u64::MAX)
    }

    /// Whether it makes more of something, within reason.
    pub fn grows(self) -> bool {
        self.0 > 1_000 && self <= Self::MAX
    }
}

/// What a slot takes from a node, and what a node has.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// CPU time.
    pub cpu: Millicores,
    /// Memory of the guest, engine allowance apart.
    pub memory: Bytes,
    /// Disk for `/scratch` and `/out`.
    pub scratch: Bytes,
}

impl Resources {
    /// Whether all three amounts of `self` are at most those of `room`.
    pub fn fits_in(&self, room: &Self) -> bool {
        self.cpu <= room.cpu && self.memory <= room.memory && self.scratch <= room.scratch
    }

    /// How many of `self` fit in `room`.
    pub fn times_in(&self, room: &Self) -> u64 {
        let part = |have: u64, need: u64| have.checked_div(need).unwrap_or(u64::MAX);
        part(u64::from(room.cpu.0), u64::from(self.cpu.0))
            .min(part(room.memory.0, self.memory.0))
            .min(part(room.scratch.0, self.scratch.0))
    }
}

impl Add for Resources {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            cpu: Millicores(self.cpu.0.saturating_add(other.cpu.0)),
            memory: Bytes(self.memory.0.saturating_add(other.memory.0)),
            scratch: Bytes(self.scratch.0.saturating_add(other.scratch.0)),
        }
    }
}

impl Sub for Resources {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self {
            cpu: Millicores(self.cpu.0.saturating_sub(other.cpu.0)),
            memory: Bytes(self.memory.0.saturating_sub(other.memory.0)),
            scratch: Bytes(self.scratch.0.saturating_sub(other.scratch.0)),
        }
    }
}

impl Bytes {
    /// `n` mebibytes.
    pub const fn mebi(n: u64) -> Self {
        Self(n << 20)
    }
}

const BYTE_UNITS: [(&str, u64); 8] = [
    ("Ti", 1 << 40),
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
    ("T", 1_000_000_000_000),
    ("G", 1_000_000_000),
    ("M", 1_000_000),
    ("k", 1_000),
];

/// Exact, so that it can be read back; `{:#}` is for people: up to a tenth of the
/// unit, rounded upwards, so that "more than that" is enough.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = &BYTE_UNITS[..4];
        for (unit, size) in binary {
            if self.0 >= *size && self.0.is_multiple_of(*size) {
                return write!(f, "{}{unit}", self.0 / size);
            }
        }
        let nearest = binary.iter().find(|(_, size)| self.0 >= *size);
        match nearest {
            Some((unit, size)) if f.alternate() => {
                let tenths = (u128::from(self.0) * 10).div_ceil(u128::from(*size));
                write!(f, "{}.{}{unit}", tenths / 10, tenths % 10)
            }
            _ => write!(f, "{}", self.0),
        }
    }
}

/// The text is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseQuantityError {
    /// Not a number of bytes.
    #[error("`{0}` is not an amount of bytes; write for example `256Mi`, `4Gi` or `1000000`")]
    Bytes(String),
    /// Not an amount of CPU.
    #[error("`{0}` is not an amount of CPU; write for example `0.5`, `2` or `250m`")]
    Cpu(String),
    /// Not a factor.
    #[error("`{0}` is not a factor; write for example `2` or `1.5`")]
    Factor(String),
}

impl FromStr for Bytes {
    type Err = ParseQuantityError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let trimmed = text.trim();
        let (number, unit) = BYTE_UNITS
            .iter()
            .find_map(|(name, size)| trimmed.strip_suffix(name).map(|number| (number, *size)))
            .unwrap_or((trimmed, 1));
        decimal_times(number, unit)
            .map(Self)
            .ok_or_else(|| ParseQuantityError::Bytes(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Millicores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1000) {
            write!(f, "{}", self.0 / 1000)
        } else {
            write!(f, "{}m", self.0)
        }
    }
}

impl FromStr for Millicores {
    type Err = ParseQuantityError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let trimmed = text.trim();
        let millicores = match trimmed.strip_suffix('m') {
            Some(number) => number.parse().ok(),
            None => decimal_times(trimmed, 1000).and_then(|m| u32::try_from(m).ok()),
        };
        millicores
            .map(Self)
            .ok_or_else(|| ParseQuantityError::Cpu(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, thousandths) = (self.0 / 1_000, self.0 % 1_000);
        match format!(".{thousandths:03}").trim_end_matches(['0', '.']) {
            "" => write!(f, "{whole}"),
            fraction => write!(f, "{whole}{fraction}"),
        }
    }
}

impl FromStr for Factor {
    type Err = ParseQuantityError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let thousandths = decimal_times(text.trim(), 1_000);
        thousandths
            .and_then(|thousandths| u32::try_from(thousandths).ok())
            .map(Self)
            .ok_or_else(|| ParseQuantityError::Factor(text.chars().take(40).collect()))
    }
}

/// Serde and JSON Schema for a quantity whose wire form is its text; a plain
/// JSON number is read as the same text, so `memory: 1048576` and `cpu: 0.5` work.
macro_rules! text_quantity {
    ($type:ty, $name:literal, $description:literal) => {
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl serde::de::Visitor<'_> for Visitor {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($description)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                    fn visit_u64<E: serde::de::Error>(self, n: u64) -> Result<$type, E> {
                        self.visit_str(&n.to_string())
                    }
                    fn visit_i64<E: serde::de::Error>(self, n: i64) -> Result<$type, E> {
                        self.visit_str(&n.to_string())
                    }
                    fn visit_f64<E: serde::de::Error>(self, n: f64) -> Result<$type, E> {
                        self.visit_str(&n.to_string())
                    }
                }
                deserializer.deserialize_any(Visitor)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": ["string", "number"], "description": $description })
            }
        }
    };
}

text_quantity!(
    Bytes,
    "Bytes",
    "bytes, for example \"256Mi\", \"4Gi\" or 1048576"
);
text_quantity!(
    Millicores,
    "Cpu",
    "cores, for example \"0.5\", 2 or \"250m\""
);
text_quantity!(Factor, "Factor", "a factor, for example 2 or 1.5");
text_quantity!(
    Span,
    "Span",
    "a length of time, for example \"250ms\", \"10s\" or \"1h30m\""
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_in_the_units_people_write() {
        assert_eq!("256Mi".parse(), Ok(Bytes::mebi(256)));
        assert_eq!("1.5Gi".parse(), Ok(Bytes::mebi(1536)));
        assert_eq!("2k".parse(), Ok(Bytes(2000)));
        assert_eq!("0.5".parse(), Ok(Millicores(500)));
        assert_eq!("250m".parse(), Ok(Millicores(250)));
        assert_eq!(
            serde_json::from_str::<Millicores>("0.5").unwrap(),
            Millicores(500)
        );
        for text in ["2", "1.5", "0.001", "10"] {
            assert_eq!(text.parse::<Factor>().unwrap().to_string(), text);
        }
        assert_eq!(
            serde_json::from_str::<Factor>("1.5").unwrap(),
            Factor(1_500)
        );
        assert_eq!(Factor(1_500).times(3), 5);
        assert_eq!(
            serde_json::to_string(&Bytes::mebi(256)).unwrap(),
            "\"256Mi\""
        );
    }

    #[test]
    fn people_read_a_tenth_of_a_unit_and_never_too_little() {
        assert_eq!(format!("{:#}", Bytes(68_288_872)), "65.2Mi");
        assert_eq!(format!("{:#}", Bytes::mebi(64)), "64Mi");
        assert_eq!(format!("{:#}", Bytes(1023)), "1023");
        assert_eq!(Bytes(68_288_872).to_string(), "68288872");
    }

    #[test]
    fn what_is_not_an_amount_is_refused() {
        for text in [
            "",
            "Mi",
            "-1",
            "1e9",
            "0x10",
            "12 Mi",
            "99999999999Ti",
            "NaN",
        ] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
            assert!(text.parse::<Millicores>().is_err(), "{text}");
        }
    }
}
