//! Small texts, counted by hand.

use wordcount::Counts;

#[test]
fn words_are_runs_of_letters() {
    let mut counts = Counts::default();
    counts.add_text("The end. \"THE END\" isn't 2 ends; naïve");
    let expected = [("end", 2), ("the", 2), ("ends", 1), ("isn", 1)];
    assert_eq!(counts.top(4), expected);
    assert_eq!((counts.different(), counts.all()), (6, 8));
}

#[test]
fn the_parts_of_several_texts_add_up_to_all_of_them() {
    let texts = ["a b c d e f g", "a a h", "c"];
    let mut whole = Counts::default();
    let mut parts = [const { Vec::new() }; 3];
    for text in texts {
        whole.add_text(text);
        let mut one = Counts::default();
        one.add_text(text);
        for (number, part) in (0..).zip(&mut parts) {
            one.write_part(number, 3, part).expect("memory takes it");
        }
    }
    let mut summed = Counts::default();
    for part in &parts {
        let mut alone = Counts::default();
        alone.add_part(&part[..]).expect("what was written");
        assert!(alone.different() < whole.different(), "one part has it all");
        summed.add_part(&part[..]).expect("what was written");
    }
    assert_eq!(summed, whole);
}

#[test]
fn what_is_no_count_is_refused_by_name() {
    let error = Counts::default().add_part(&b"word\tmany\n"[..]);
    let error = error.expect_err("not a number").to_string();
    assert!(error.contains("`word\tmany`"), "{error}");
}
