//! Steps that need logic: demo, test, bench, guests.
fn main() {}
