//! A set of tasks within a chunk, one bit each. On disk it is text that an
//! operator can read: runs of offsets within the chunk, `0-3,7`.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

/// Most tasks of one chunk.
pub(crate) const CHUNK_TASKS_MAX: u32 = 4096;
const WORDS: usize = CHUNK_TASKS_MAX as usize / 64;

/// Which of a chunk's tasks; offsets are below [`CHUNK_TASKS`].
#[derive(Clone, Default)]
pub(crate) struct Bitmap {
    words: Words,
    count: u32,
}

/// Most jobs have few tasks, and many have one: those need no memory of their own.
#[derive(Clone)]
enum Words {
    /// The first 64; none beyond.
    Few(u64),
    /// As many as it takes; none beyond.
    Many(Box<[u64]>),
}

impl Default for Words {
    fn default() -> Self {
        Self::Few(0)
    }
}

impl Bitmap {
    /// Adds the task; whether it was absent. An offset beyond the chunk is never added.
    pub(crate) fn insert(&mut self, offset: u32) -> bool {
        let added = offset < CHUNK_TASKS_MAX && !self.contains(offset);
        if added {
            *self.word_mut(offset as usize / 64) |= 1 << (offset % 64);
            self.count += 1;
        }
        added
    }

    /// Takes the task out; whether it was there.
    pub(crate) fn remove(&mut self, offset: u32) -> bool {
        let removed = self.contains(offset);
        if removed {
            *self.word_mut(offset as usize / 64) &= !(1 << (offset % 64));
            self.count -= 1;
        }
        removed
    }

    pub(crate) fn contains(&self, offset: u32) -> bool {
        offset < CHUNK_TASKS_MAX && self.word(offset as usize / 64) & (1 << (offset % 64)) != 0
    }

    /// How many tasks are in it.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// The tasks, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let words = match &self.words {
            Words::Few(_) => 1,
            Words::Many(words) => words.len(),
        };
        (0..words).flat_map(|word| bits(word, self.word(word)))
    }

    /// Bits of the tasks `64 * word ..`, for scanning several sets at once.
    pub(crate) fn word(&self, word: usize) -> u64 {
        match &self.words {
            Words::Few(bits) if word == 0 => *bits,
            Words::Few(_) => 0,
            Words::Many(words) => words.get(word).copied().unwrap_or(0),
        }
    }

    fn word_mut(&mut self, word: usize) -> &mut u64 {
        let known: &[u64] = match &self.words {
            Words::Few(bits) => std::slice::from_ref(bits),
            Words::Many(words) => words,
        };
        if word >= known.len() {
            let mut words = known.to_vec();
            words.resize(word + 1, 0);
            self.words = Words::Many(words.into());
        }
        match &mut self.words {
            Words::Few(bits) => bits,
            Words::Many(words) => &mut words[word],
        }
    }
}

impl PartialEq for Bitmap {
    fn eq(&self, other: &Self) -> bool {
        (0..WORDS).all(|word| self.word(word) == other.word(word))
    }
}

/// Offsets of the bits of a word, ascending.
fn bits(word: usize, mut bits: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = bits.trailing_zeros();
        bits &= bits.checked_sub(1)?;
        // There are 64 words: far from the end of the type.
        Some(64 * u32::try_from(word).ok()? + bit)
    })
}

/// Offsets below `len` that are in none of `sets`, ascending.
pub(crate) fn absent<'a, const N: usize>(
    sets: [&'a Bitmap; N],
    len: u32,
) -> impl Iterator<Item = u32> + 'a {
    (0..len.div_ceil(64) as usize).flat_map(move |word| {
        let taken = sets.iter().fold(0, |bits, set| bits | set.word(word));
        bits(word, !taken).take_while(move |offset| *offset < len)
    })
}

impl fmt::Debug for Bitmap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text(self.iter()))
    }
}

/// Ascending task indices as people write them: `0-3,7`.
pub(crate) fn text(tasks: impl IntoIterator<Item = u32>) -> String {
    let mut text = String::new();
    let mut tasks = tasks.into_iter().peekable();
    while let Some(first) = tasks.next() {
        let mut last = first;
        while tasks.next_if_eq(&(last + 1)).is_some() {
            last += 1;
        }
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a string does not fail.
        let _ = match first == last {
            true => write!(text, "{comma}{first}"),
            false => write!(text, "{comma}{first}-{last}"),
        };
    }
    text
}

/// The runs of [`text`], as first and last index; nothing when it is not such a text.
pub(crate) fn parse(text: &str) -> Option<Vec<(u32, u32)>> {
    let run = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last).then_some((first, last))
    };
    match text {
        "" => Some(Vec::new()),
        _ => text.split(',').map(run).collect(),
    }
}

impl Serialize for Bitmap {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text(self.iter()))
    }
}

impl<'de> Deserialize<'de> for Bitmap {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let mut bitmap = Self::default();
        let runs = parse(&text)
            .filter(|runs| runs.iter().all(|(_, last)| *last < CHUNK_TASKS_MAX))
            .ok_or_else(|| serde::de::Error::custom("not runs of offsets below 4096"))?;
        for (first, last) in runs {
            for offset in first..=last {
                bitmap.insert(offset);
            }
        }
        Ok(bitmap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_read_as_it_is_written() {
        let mut set = Bitmap::default();
        for offset in [0, 1, 2, 3, 7, 64, 4095] {
            assert!(set.insert(offset));
        }
        assert!(!set.insert(7) && !set.insert(4096));
        let text = serde_json::to_string(&set).unwrap();
        assert_eq!(text, r#""0-3,7,64,4095""#);
        assert_eq!(serde_json::from_str::<Bitmap>(&text).unwrap(), set);
        assert!(set.remove(7) && !set.remove(7));
        assert_eq!(set.count(), 6);
    }

    #[test]
    fn what_is_in_no_set_is_found_in_order() {
        let (mut one, mut two) = (Bitmap::default(), Bitmap::default());
        for offset in 0..64 {
            one.insert(offset);
        }
        two.insert(65);
        let none = Bitmap::default();
        let found: Vec<u32> = absent([&one, &two, &none], 70).collect();
        assert_eq!(found, [64, 66, 67, 68, 69]);
    }

    #[test]
    fn runs_beyond_a_chunk_are_refused() {
        for text in [r#""4096""#, r#""5-3""#, r#""x""#, r#""0-4294967295""#] {
            assert!(serde_json::from_str::<Bitmap>(text).is_err(), "{text}");
        }
    }
}
