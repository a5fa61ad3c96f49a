//! An input in pieces, one for each task: an object each, or so many lines of one each.
//! The list is made once and kept, so that whoever runs a task again reads what it read.

use serde::{Deserialize, Serialize};

use crate::body::Opened;
use crate::error::ObjectError;
use crate::file;
use crate::location::Location;
use crate::objects::{Listed, OBJECTS_MAX, Objects};
use crate::selection::Selection;

/// Most bytes that are read to find where lines end; they pass through once.
const CUT_BYTES_MAX: u64 = 16 << 30;

/// What one task reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The object.
    #[serde(flatten)]
    pub object: Listed,
    /// Which bytes of it; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
}

/// Some bytes of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The first.
    pub from: u64,
    /// The one after the last.
    pub to: u64,
}

impl Objects {
    /// One piece for each object that is selected.
    ///
    /// # Errors
    /// As for [`Objects::list`].
    pub async fn pieces(&self, selection: &Selection) -> Result<Vec<Piece>, ObjectError> {
        let listed = self.list(selection).await?;
        let whole = |object| Piece { object, part: None };
        Ok(listed.into_iter().map(whole).collect())
    }

    /// One piece for each `lines` lines of each object that is selected; the last of an
    /// object may have fewer. Reads them all.
    ///
    /// # Errors
    /// As for [`Objects::list`], and when there are too many pieces or bytes.
    pub async fn pieces_of_lines(
        &self,
        selection: &Selection,
        lines: u64,
    ) -> Result<Vec<Piece>, ObjectError> {
        let mut pieces = Vec::new();
        let mut bytes: u64 = 0;
        for object in self.list(selection).await? {
            bytes = bytes.saturating_add(object.bytes);
            if bytes > CUT_BYTES_MAX {
                return Err(ObjectError::TooLong(CUT_BYTES_MAX));
            }
            for part in self.cut(&object, lines).await? {
                if pieces.len() >= OBJECTS_MAX {
                    return Err(ObjectError::TooMany(OBJECTS_MAX));
                }
                let object = object.clone();
                let part = Some(part);
                pieces.push(Piece { object, part });
            }
        }
        match pieces.is_empty() {
            true => Err(ObjectError::Empty),
            false => Ok(pieces),
        }
    }

    /// Where the pieces of an object begin and end.
    async fn cut(&self, object: &Listed, lines: u64) -> Result<Vec<Part>, ObjectError> {
        let mut cutter = Cutter::new(lines);
        match object.url.parse()? {
            Location::File(path) => {
                let objects = self.clone();
                let cut = tokio::task::spawn_blocking(move || {
                    file::read(objects.reach(), &path, |chunk| cutter.take(chunk)).map(|()| cutter)
                });
                cutter = cut
                    .await
                    .map_err(|error| ObjectError::Broken(Box::new(error)))??;
            }
            location => {
                let mut opened: Opened = self.open(&location).await?;
                if opened.version != object.version {
                    return Err(ObjectError::Replaced);
                }
                while let Some(chunk) = opened.next().await? {
                    if cutter.at > CUT_BYTES_MAX {
                        return Err(ObjectError::TooLong(CUT_BYTES_MAX));
                    }
                    cutter.take(&chunk);
                }
            }
        }
        Ok(cutter.end())
    }
}

/// Counts lines as bytes pass.
#[derive(Debug)]
struct Cutter {
    lines: u64,
    /// Lines of the piece that is not full.
    has: u64,
    from: u64,
    at: u64,
    parts: Vec<Part>,
}

impl Cutter {
    const fn new(lines: u64) -> Self {
        Self {
            lines,
            has: 0,
            from: 0,
            at: 0,
            parts: Vec::new(),
        }
    }

    fn take(&mut self, chunk: &[u8]) {
        for (index, byte) in chunk.iter().enumerate() {
            if *byte != b'\n' {
                continue;
            }
            self.has += 1;
            // Too many pieces are refused when they are counted; no more are kept than that.
            if self.has == self.lines && self.parts.len() <= OBJECTS_MAX {
                let to = self.at + index as u64 + 1;
                self.parts.push(Part {
                    from: self.from,
                    to,
                });
                (self.from, self.has) = (to, 0);
            }
        }
        self.at += chunk.len() as u64;
    }

    fn end(mut self) -> Vec<Part> {
        if self.at > self.from {
            let (from, to) = (self.from, self.at);
            self.parts.push(Part { from, to });
        }
        self.parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, lines: u64, chunk: usize) -> Vec<String> {
        let mut cutter = Cutter::new(lines);
        text.as_bytes()
            .chunks(chunk)
            .for_each(|chunk| cutter.take(chunk));
        let part = |part: Part| {
            let (from, to) = (
                usize::try_from(part.from).unwrap(),
                usize::try_from(part.to).unwrap(),
            );
            text[from..to].to_owned()
        };
        cutter.end().into_iter().map(part).collect()
    }

    #[test]
    fn pieces_end_where_lines_do_however_the_bytes_come() {
        for chunk in [1, 3, 100] {
            assert_eq!(cut("a\nb\nc\n", 2, chunk), ["a\nb\n", "c\n"]);
            assert_eq!(cut("a\nb\nc", 1, chunk), ["a\n", "b\n", "c"]);
            assert_eq!(cut("\n\n\n", 2, chunk), ["\n\n", "\n"]);
            assert_eq!(cut("no line", 5, chunk), ["no line"]);
            assert_eq!(cut("", 5, chunk), [] as [&str; 0]);
        }
    }

    #[test]
    fn a_piece_is_the_same_after_it_was_kept() {
        let object = Listed {
            url: "s3://bucket/a".into(),
            name: "a".into(),
            bytes: 3,
            version: Some("\"1\"".into()),
        };
        let part = Some(Part { from: 1, to: 2 });
        let piece = Piece { object, part };
        let kept = serde_json::to_string(&piece).unwrap();
        assert_eq!(serde_json::from_str::<Piece>(&kept).unwrap(), piece);
    }
}
