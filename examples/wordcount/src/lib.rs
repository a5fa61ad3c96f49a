//! Words and how often they occur, in parts: all occurrences of a word are in the same
//! part, whichever text they come from, so that each part can be summed up alone.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

/// How often each word occurs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<String, u64>);

impl Counts {
    /// Counts the words of a text: runs of letters, capital or not.
    pub fn add_text(&mut self, text: &str) {
        let words = text.split(|c: char| !c.is_alphabetic());
        for word in words.filter(|word| !word.is_empty()) {
            self.add(word.to_lowercase(), 1);
        }
    }

    /// Adds what [`write_part`](Self::write_part) wrote.
    ///
    /// # Errors
    /// It cannot be read, or is nothing of the kind.
    pub fn add_part(&mut self, part: impl BufRead) -> io::Result<()> {
        for line in part.lines() {
            let line = line?;
            let counted = line
                .split_once('\t')
                .and_then(|(word, times)| Some((word.to_owned(), times.parse().ok()?)));
            let (word, times) = counted.ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("`{line}` is no word and its count"),
                )
            })?;
            self.add(word, times);
        }
        Ok(())
    }

    fn add(&mut self, word: String, times: u64) {
        *self.0.entry(word).or_default() += times;
    }

    /// Writes the words of one of `parts`, a line each, in alphabetical order.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_part(&self, part: u32, parts: u32, to: &mut impl Write) -> io::Result<()> {
        let words = self.0.iter();
        for (word, times) in words.filter(|(word, _)| part_of(word, parts) == part) {
            writeln!(to, "{word}\t{times}")?;
        }
        Ok(())
    }

    /// Different words.
    pub fn different(&self) -> usize {
        self.0.len()
    }

    /// All words.
    pub fn all(&self) -> u64 {
        self.0.values().sum()
    }

    /// The `most` words that occur most often, and of those that occur as often the first.
    pub fn top(&self, most: usize) -> Vec<(&str, u64)> {
        let words = self.0.iter();
        let mut words: Vec<(&str, u64)> = words.map(|(word, times)| (&**word, *times)).collect();
        words.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
        words.truncate(most);
        words
    }
}

/// The part of a word: the same in every task and on every machine (FNV-1a).
fn part_of(word: &str, parts: u32) -> u32 {
    let hash = word.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    hash % parts
}
