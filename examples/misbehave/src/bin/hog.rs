//! Wants ever more memory, until it gets no more.

fn main() {
    const STEP_BYTES: usize = 8 << 20;
    let mut held: Vec<Vec<u8>> = Vec::new();
    loop {
        held.push(vec![1; STEP_BYTES]);
        println!("holding {} MiB", held.len() * (STEP_BYTES >> 20));
    }
}
