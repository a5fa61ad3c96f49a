//! What a file is when it is not a module: people submit the wrong file, and
//! its first bytes tell which, so that the answer can name the right one.

use crate::{Kind, Rejection};

const WASM_MAGIC: &[u8] = b"\0asm";
/// Version 1, layer 0.
const CORE_VERSION: &[u8] = &[1, 0, 0, 0];
/// Version 13, layer 1.
const COMPONENT_VERSION: &[u8] = &[13, 0, 1, 0];
const ELF_MAGIC: &[u8] = b"\x7fELF";
/// Where an ELF header names the system that a file is for.
const ELF_OSABI_AT: usize = 7;
/// The value there that marks what wasmtime compiled.
const ELF_OSABI_WASMTIME: u8 = 200;
/// How far to look for the opening parenthesis of a text module: licence headers fit.
const TEXT_PREFIX_MAX: usize = 16 << 10;

/// Other files that are mistaken for a module: how they start, what they are, what to do.
const OTHERS: [(&[u8], &str, &str); 7] = [
    (b"\x1f\x8b", "a gzip file", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd file", "unpack it first"),
    (
        b"PK\x03\x04",
        "a zip file or wheel",
        "submit the .wasm inside",
    ),
    (
        b"BC\xc0\xde",
        "LLVM bitcode",
        "compile and link it for wasm32-wasip1",
    ),
    (
        b"!<arch>",
        "a static library",
        "link it into a program for wasm32-wasip1",
    ),
    (b"#!", "a script", "only WebAssembly modules run today"),
    (b"MZ", "a Windows program", "build it for wasm32-wasip1"),
];

/// What starts as a core module or a component does.
pub(crate) fn check(bytes: &[u8]) -> Result<Kind, Rejection> {
    if bytes.is_empty() {
        return Err(Rejection::Empty);
    }
    if let Some(rest) = bytes.strip_prefix(WASM_MAGIC) {
        return check_version(rest);
    }
    if WASM_MAGIC.starts_with(bytes) {
        return Err(truncated(bytes));
    }
    if bytes.starts_with(ELF_MAGIC) {
        return Err(if bytes.get(ELF_OSABI_AT) == Some(&ELF_OSABI_WASMTIME) {
            Rejection::Precompiled
        } else {
            Rejection::Elf
        });
    }
    if is_text_format(bytes) {
        return Err(Rejection::TextFormat);
    }
    let other = OTHERS.iter().find(|(magic, _, _)| bytes.starts_with(magic));
    let (found, next) = match other {
        Some((_, found, next)) => ((*found).to_owned(), *next),
        None => (
            starts_with(bytes),
            "submit a .wasm file built for wasm32-wasip1",
        ),
    };
    Err(Rejection::NotWasm {
        found,
        next: next.to_owned(),
    })
}

fn check_version(rest: &[u8]) -> Result<Kind, Rejection> {
    let Some(version) = rest.first_chunk::<4>() else {
        return Err(Rejection::Truncated {
            offset: (WASM_MAGIC.len() + rest.len()) as u64,
        });
    };
    if version == CORE_VERSION {
        Ok(Kind::Core)
    } else if version == COMPONENT_VERSION {
        Ok(Kind::Component)
    } else {
        Err(Rejection::Malformed {
            offset: WASM_MAGIC.len() as u64,
            message: format!("unknown version {}", u32::from_le_bytes(*version)),
        })
    }
}

fn truncated(bytes: &[u8]) -> Rejection {
    Rejection::Truncated {
        offset: bytes.len() as u64,
    }
}

/// Whether the first thing after white space and comments opens a form of the text format.
fn is_text_format(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(TEXT_PREFIX_MAX)];
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let head = head.trim_ascii_start();
    if head.starts_with(b";;") || head.starts_with(b"(;") {
        return true;
    }
    let Some(form) = head.strip_prefix(b"(") else {
        return false;
    };
    let form = form.trim_ascii_start();
    [
        &b"module"[..],
        b"component",
        b"func",
        b"type",
        b"import",
        b"memory",
    ]
    .iter()
    .any(|word| form.starts_with(word))
}

fn starts_with(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(8)];
    let printable = |b: &u8| b.is_ascii_graphic() || *b == b' ';
    if head.iter().all(printable) {
        format!(
            "a file that starts with `{}`",
            String::from_utf8_lossy(head)
        )
    } else {
        let hex: Vec<String> = head.iter().map(|b| format!("{b:02x}")).collect();
        format!("a file that starts with {}", hex.join(" "))
    }
}
