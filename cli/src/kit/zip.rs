//! Reads zip archives, as wheels are: the directory at the end, and members that are
//! stored or deflated. What a size claims is never believed beyond its limit.

use std::io::{self, Read, Seek, SeekFrom};

use flate2::read::DeflateDecoder;

/// Longest tail in which the end of the directory is looked for: its record with
/// the longest comment.
const END_BYTES_MAX: u64 = 22 + 65_535;
/// Bytes of that record without its comment.
const END_BYTES: usize = 22;
/// Bytes of a member in the directory, its names apart.
const ENTRY_BYTES: usize = 46;
/// Bytes of a member's own head, its names apart.
const HEAD_BYTES: usize = 30;
/// Most bytes of a directory: a hundred thousand members.
const DIRECTORY_BYTES_MAX: u64 = 16 << 20;
const END: [u8; 4] = *b"PK\x05\x06";
const ENTRY: [u8; 4] = *b"PK\x01\x02";
const HEAD: [u8; 4] = *b"PK\x03\x04";
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// The archive is not one, or has what this does not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ZipError {
    #[error("this is not a zip archive, or it is cut off")]
    NotZip,
    #[error("there is no `{0}` in it")]
    Missing(String),
    #[error("`{0}` is packed in a way that is not known here")]
    Method(String),
    #[error("`{0}` is damaged")]
    Damaged(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A member, as the directory has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: String,
    method: u16,
    crc: u32,
    packed: u64,
    pub(crate) bytes: u64,
    at: u64,
}

/// An archive that is open.
#[derive(Debug)]
pub(crate) struct Zip<R> {
    source: R,
    members: Vec<Member>,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

impl<R: Read + Seek> Zip<R> {
    /// Reads the directory.
    pub(crate) fn open(mut source: R) -> Result<Self, ZipError> {
        let length = source.seek(SeekFrom::End(0))?;
        source.seek(SeekFrom::Start(length.saturating_sub(END_BYTES_MAX)))?;
        let mut tail = Vec::new();
        source.by_ref().take(END_BYTES_MAX).read_to_end(&mut tail)?;
        let end = tail.windows(END_BYTES).rposition(|at| at.starts_with(&END));
        let end = end.ok_or(ZipError::NotZip)?;
        let (bytes, at) = u32_at(&tail, end + 12)
            .zip(u32_at(&tail, end + 16))
            .ok_or(ZipError::NotZip)?;
        if u64::from(bytes) > DIRECTORY_BYTES_MAX {
            return Err(ZipError::NotZip);
        }
        source.seek(SeekFrom::Start(at.into()))?;
        let mut directory = Vec::new();
        source
            .by_ref()
            .take(bytes.into())
            .read_to_end(&mut directory)?;
        let mut members = Vec::new();
        let mut rest = directory.as_slice();
        while rest.starts_with(&ENTRY) {
            let (member, taken) = member(rest).ok_or(ZipError::NotZip)?;
            members.push(member);
            rest = rest.get(taken..).ok_or(ZipError::NotZip)?;
        }
        Ok(Self { source, members })
    }

    /// Every member, in the directory's order.
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The first member that `wanted` is true for; `named` says what was looked for.
    pub(crate) fn find(
        &self,
        named: &str,
        wanted: impl Fn(&Member) -> bool,
    ) -> Result<Member, ZipError> {
        let found = self.members.iter().find(|member| wanted(member)).cloned();
        found.ok_or_else(|| ZipError::Missing(named.to_owned()))
    }

    /// What is in a member; an error at its end when that is not what was packed.
    pub(crate) fn read(&mut self, member: &Member) -> Result<impl Read, ZipError> {
        let damaged = || ZipError::Damaged(member.name.clone());
        self.source.seek(SeekFrom::Start(member.at))?;
        let mut head = [0; HEAD_BYTES];
        self.source.read_exact(&mut head)?;
        if !head.starts_with(&HEAD) {
            return Err(damaged());
        }
        let names = u16_at(&head, 26)
            .zip(u16_at(&head, 28))
            .ok_or_else(damaged)?;
        let names = i64::from(names.0) + i64::from(names.1);
        self.source.seek(SeekFrom::Current(names))?;
        let packed = self.source.by_ref().take(member.packed);
        let unpacked: Box<dyn Read + '_> = match member.method {
            STORED => Box::new(packed),
            DEFLATED => Box::new(DeflateDecoder::new(packed)),
            _ => return Err(ZipError::Method(member.name.clone())),
        };
        Ok(Checked {
            // One more byte would show that there is more than there should be.
            source: unpacked.take(member.bytes + 1),
            crc: flate2::Crc::new(),
            expected: (member.crc, member.bytes),
        })
    }
}

fn member(bytes: &[u8]) -> Option<(Member, usize)> {
    let length = |at| u16_at(bytes, at).map(usize::from);
    let name = bytes.get(ENTRY_BYTES..ENTRY_BYTES + length(28)?)?;
    let member = Member {
        name: String::from_utf8_lossy(name).into_owned(),
        method: u16_at(bytes, 10)?,
        crc: u32_at(bytes, 16)?,
        packed: u32_at(bytes, 20)?.into(),
        bytes: u32_at(bytes, 24)?.into(),
        at: u32_at(bytes, 42)?.into(),
    };
    Some((
        member,
        ENTRY_BYTES + length(28)? + length(30)? + length(32)?,
    ))
}

/// Reads to the end, and looks there whether it was all and nothing else.
struct Checked<R> {
    source: R,
    crc: flate2::Crc,
    expected: (u32, u64),
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.crc.update(&buffer[..count]);
        // The checksum counts bytes to 32 bits, as the directory does.
        let amount = u64::from(self.crc.amount());
        if count == 0 && !buffer.is_empty() && (self.crc.sum(), amount) != self.expected {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it is not what was packed",
            ));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use super::*;

    /// A zip of one member.
    fn archive(name: &str, bytes: &[u8], deflate: bool) -> Vec<u8> {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        let packed = if deflate {
            let mut encoder =
                flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        } else {
            bytes.to_vec()
        };
        let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let name_length = u16::try_from(name.len()).unwrap().to_le_bytes();
        let method = if deflate { DEFLATED } else { STORED }.to_le_bytes();
        let fields = [
            [0; 2].as_slice(),
            &[0; 4],
            &method,
            &[0; 4],
            &crc.sum().to_le_bytes(),
            &size(&packed),
            &size(bytes),
            &name_length,
            &[0; 2],
        ];
        let (of_head, of_entry) = (fields[1..].concat(), fields.concat());
        let mut zip = [&HEAD, of_head.as_slice(), name.as_bytes(), &packed].concat();
        let directory = size(&zip);
        let entry = [&ENTRY, of_entry.as_slice(), &[0; 14], name.as_bytes()].concat();
        zip.extend_from_slice(&entry);
        zip.extend([&END, [0; 8].as_slice(), &size(&entry), &directory, &[0; 2]].concat());
        zip
    }

    fn unpack(zip: Vec<u8>) -> Result<(String, Vec<u8>), ZipError> {
        let mut zip = Zip::open(Cursor::new(zip))?;
        let member = zip.find("a", |_| true)?;
        let mut bytes = Vec::new();
        zip.read(&member)?.read_to_end(&mut bytes)?;
        Ok((member.name, bytes))
    }

    #[test]
    fn members_are_read_stored_and_deflated() {
        for deflate in [false, true] {
            let (name, bytes) = unpack(archive("a/b", b"to be packed", deflate)).unwrap();
            assert_eq!(
                (name.as_str(), bytes.as_slice()),
                ("a/b", b"to be packed".as_slice())
            );
        }
    }

    #[test]
    fn what_is_damaged_or_no_archive_is_refused() {
        let whole = archive("a", b"to be packed", false);
        let mut wrong = whole.clone();
        let at = wrong.windows(2).position(|two| two == b"to").unwrap();
        wrong[at] = b'T';
        assert!(
            unpack(wrong)
                .unwrap_err()
                .to_string()
                .contains("not what was packed")
        );
        for cut in [0, 10, whole.len() - 1] {
            assert!(unpack(whole[..cut].to_vec()).is_err(), "{cut}");
        }
        assert!(matches!(unpack(b"hello".to_vec()), Err(ZipError::NotZip)));
    }
}
