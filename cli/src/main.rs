//! The one binary: parses, wires, prints.
fn main() {}
