//! A month of a small table, by hand.

use flights::{TableError, month};

const TABLE: &str = "\
year,month,dep_delay,carrier
2013,1,2,UA
2013,1,-4,UA
2013,1,NA,UA
2013,1,11,B6
2013,2,100,UA
2013,11,7,DL
";

#[test]
fn only_the_flights_of_the_month_count() {
    let january = month(TABLE.as_bytes(), 1).expect("a valid table");
    assert_eq!(january.flights(), 4);
    let united = january.carrier("UA").expect("UA flew");
    assert_eq!(
        (united.flights(), united.mean(), united.p95()),
        (3, Some(-1.0), Some(2))
    );
    assert!(january.carrier("DL").is_none());
}

#[test]
fn the_result_is_one_json_value() {
    let january = month(TABLE.as_bytes(), 1).expect("a valid table");
    assert_eq!(
        january.to_string(),
        r#"{"month":1,"carriers":{"B6":{"flights":1,"missing":0,"mean":11,"p95":11,"delays":[[11,1]]},"#
            .to_owned()
            + r#""UA":{"flights":3,"missing":1,"mean":-1,"p95":2,"delays":[[-4,1],[2,1]]}}}"#
    );
}

#[test]
fn the_percentile_is_the_nearest_rank() {
    let mut table = "month,dep_delay,carrier\n".to_owned();
    for delay in (1..=20).rev() {
        table += &format!("5,{delay},AA\n");
    }
    let may = month(table.as_bytes(), 5).expect("a valid table");
    assert_eq!(may.carrier("AA").expect("AA flew").p95(), Some(19));
    table += "5,21,AA\n";
    let may = month(table.as_bytes(), 5).expect("a valid table");
    assert_eq!(may.carrier("AA").expect("AA flew").p95(), Some(20));
}

#[test]
fn a_carrier_that_never_left_has_no_figures() {
    let table = "month,dep_delay,carrier\n3,NA,OO\n";
    let march = month(table.as_bytes(), 3).expect("a valid table");
    assert!(march.to_string().contains(r#""mean":null,"p95":null"#));
}

#[test]
fn a_malformed_line_is_named() {
    let error = month("month,dep_delay,carrier\n1,2\n".as_bytes(), 1);
    assert!(matches!(error, Err(TableError::Malformed { line: 2 })));
    let error = month("month,carrier\n".as_bytes(), 1);
    assert!(matches!(
        error,
        Err(TableError::NoColumn { name: "dep_delay" })
    ));
}
