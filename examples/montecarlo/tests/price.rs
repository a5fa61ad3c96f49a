//! The price, and that it does not depend on where its computation was cut.

use montecarlo::Sum;

#[test]
fn the_price_is_near_the_one_of_the_geometric_mean() {
    let mut sum = Sum::default();
    for _ in 0..4 {
        sum.add_chunk(0);
    }
    // Closed form for the geometric mean of these days: 1.43; the arithmetic is little more.
    let (price, error) = sum.price();
    assert!(error < 0.01, "{error}");
    assert!((1.40..1.50).contains(&price), "{price}");
}

#[test]
fn what_was_saved_continues_to_the_same_price() {
    let mut whole = Sum::default();
    whole.add_chunk(3);
    let saved = whole.to_string();
    whole.add_chunk(3);
    let mut resumed: Sum = saved.parse().expect("what was saved");
    resumed.add_chunk(3);
    assert_eq!(resumed, whole);
}
