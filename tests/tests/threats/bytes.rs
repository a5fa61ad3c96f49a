//! Modules that no text format makes, or only at a length that nobody wants in a file.

use stint_tests::guest::jobs_dir;

/// The types, the one function and the export that make a program.
const HEADER: &[u8] = b"\0asm\x01\0\0\0";
const ONE_TYPE: &[u8] = b"\x01\x60\0\0";
const ENTRY: &[u8] = b"\x01\x06_start\0\0";

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).unwrap();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [vec![id], leb(content.len()), content.to_vec()].concat()
}

/// A program with these types, the first of which is its entry's, so many `i32` locals, and this code.
fn program(types: &[u8], locals: usize, code: &[u8]) -> Vec<u8> {
    let body = [&[1][..], &leb(locals), &[0x7f], code, &[0x0b]].concat();
    let bodies = [vec![1], leb(body.len()), body].concat();
    [
        HEADER.to_vec(),
        section(1, types),
        section(3, &[1, 0]),
        section(7, ENTRY),
        section(10, &bodies),
    ]
    .concat()
}

fn text(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

fn with(parts: &str) -> Vec<u8> {
    text(&format!("(module (func (export \"_start\")) {parts})"))
}

/// 4 MB: a million functions that do nothing.
pub(crate) fn a_million_functions() -> Vec<u8> {
    let count = leb(1_000_000);
    let functions = [count.clone(), vec![0; 1_000_000]].concat();
    let bodies = [count, b"\x02\0\x0b".repeat(1_000_000)].concat();
    [
        HEADER.to_vec(),
        section(1, ONE_TYPE),
        section(3, &functions),
        section(7, ENTRY),
        section(10, &bodies),
    ]
    .concat()
}

/// 25 KB: 1,500 loops in each other, and 1,500 locals that all of them change.
pub(crate) fn loops_in_loops() -> Vec<u8> {
    const MANY: usize = 1_500;
    let mut code = b"\x03\x40".repeat(MANY);
    for local in 0..MANY {
        let local = leb(local);
        code.extend([&b"\x20"[..], &local, b"\x41\x01\x6a\x21", &local].concat());
    }
    code.extend(b"\x20\0\x0d\0\x0b".repeat(MANY));
    program(ONE_TYPE, MANY, &code)
}

/// 330 KB: 2,000 locals that are asked for only after 45,000 loops.
pub(crate) fn loops_after_loops() -> Vec<u8> {
    const LOCALS: usize = 2_000;
    let mut code = Vec::new();
    for local in 0..LOCALS {
        code.extend([&b"\x41\x07\x21"[..], &leb(local)].concat());
    }
    code.extend(b"\x03\x40\x20\0\x0d\0\x0b".repeat(45_000));
    for local in 0..LOCALS {
        code.extend([&b"\x20"[..], &leb(local), b"\x1a"].concat());
    }
    program(ONE_TYPE, LOCALS, &code)
}

/// 1.1 MB: 300 branches to any of 1,000 blocks, each of which takes 900 values along.
/// Nothing in it is a local, so that its shape says nothing. `flavour` makes it another module.
pub(crate) fn branches_with_luggage(flavour: u8) -> Vec<u8> {
    const BLOCKS: usize = 1_000;
    const VALUES: usize = 900;
    let luggage = [0x41, flavour & 0x3f].repeat(VALUES);
    let targets: Vec<u8> = (1..=BLOCKS).flat_map(leb).collect();
    let mut code = b"\x02\x01".repeat(BLOCKS);
    for _ in 0..300 {
        code.extend(b"\x20\0\x04\x40");
        code.extend(&luggage);
        code.extend([&b"\x20\0\x0e"[..], &leb(BLOCKS), &targets, b"\x01\x0b"].concat());
    }
    code.extend(&luggage);
    code.extend(b"\x0b".repeat(BLOCKS));
    code.extend(b"\x1a".repeat(VALUES));
    let luggage = [&b"\x60\0"[..], &leb(VALUES), &[0x7f; VALUES]].concat();
    program(&[&b"\x02\x60\0\0"[..], &luggage].concat(), 1, &code)
}

pub(crate) fn fifty_thousand_locals() -> Vec<u8> {
    program(ONE_TYPE, 50_000, b"")
}

/// One function of 7.6 MB.
pub(crate) fn a_function_without_end() -> Vec<u8> {
    program(ONE_TYPE, 0, &b"\x01".repeat(7_600_000))
}

pub(crate) fn too_many_globals() -> Vec<u8> {
    with(&"(global i32 (i32.const 0))".repeat(60_000))
}

pub(crate) fn too_many_exports() -> Vec<u8> {
    let exports: String = (0..30_000)
        .map(|n| format!("(export \"e{n}\" (func 0))"))
        .collect();
    with(&exports)
}

pub(crate) fn imports_that_nobody_gives() -> Vec<u8> {
    let imports: String = (0..900)
        .map(|n| format!("(import \"env\" \"f{n}\" (func))"))
        .collect();
    text(&format!("(module {imports} (func (export \"_start\")))"))
}

pub(crate) fn four_gibibytes_from_the_start() -> Vec<u8> {
    with("(memory (export \"memory\") 65536)")
}

pub(crate) fn a_table_of_billions() -> Vec<u8> {
    with("(table 4000000000 funcref)")
}

pub(crate) fn shared_memory() -> Vec<u8> {
    with("(memory (export \"memory\") 1 1 shared)")
}

pub(crate) fn waits_on_an_atomic() -> Vec<u8> {
    text(
        "(module (memory (export \"memory\") 1)
           (func (export \"_start\")
             (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))))",
    )
}

pub(crate) fn a_component_of_components() -> Vec<u8> {
    text(&format!("{}{}", "(component ".repeat(100), ")".repeat(100)))
}

/// Each makes two of the one before it: two to the twelfth in all.
pub(crate) fn components_that_double() -> Vec<u8> {
    let one = "(component $c0 (core module $M) (core instance (instantiate $M)))".to_owned();
    let doubled = (1..=12).fold(one, |inner, n| {
        let before = n - 1;
        format!(
            "{inner} (component $c{n} (alias outer 1 $c{before} (component $c))
               (instance (instantiate $c)) (instance (instantiate $c)))"
        )
    });
    text(&format!("(component {doubled})"))
}

pub(crate) fn nothing() -> Vec<u8> {
    Vec::new()
}

pub(crate) fn text_format() -> Vec<u8> {
    std::fs::read(jobs_dir().join("hello.wat")).unwrap()
}

pub(crate) fn cut_off() -> Vec<u8> {
    let whole = hello();
    whole[..whole.len() - 9].to_vec()
}

pub(crate) fn native() -> Vec<u8> {
    b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0".to_vec()
}

pub(crate) fn precompiled() -> Vec<u8> {
    b"\x7fELF\x02\x01\x01\xc8\0\0\0\0\0\0\0\0\x01\0\x3e\0".to_vec()
}

/// A compiled module that claims to be none.
pub(crate) fn precompiled_in_disguise() -> Vec<u8> {
    [HEADER, &precompiled()].concat()
}

fn hello() -> Vec<u8> {
    wat::parse_file(jobs_dir().join("hello.wat")).unwrap()
}
