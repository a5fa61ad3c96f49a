//! Never ends and never waits.

fn main() {
    println!("spinning");
    let mut turns: u64 = 0;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}
