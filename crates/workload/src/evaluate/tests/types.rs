//! Ids, clusters and labels of any type are told apart, or refused by name.

use super::*;
use crate::table::tests::write_parquet;
use arrow_array::*;
use std::sync::Arc;

/// The rows with ids and customers of other types, as Parquet.
fn rewritten(files: &Files, name: &str, ids: ArrayRef, customers: ArrayRef) -> PathBuf {
    let path = files.path(name);
    let numbers = |column: usize| -> ArrayRef {
        let values = rows()
            .into_iter()
            .map(|row| row[column].parse::<f64>().unwrap());
        Arc::new(Float64Array::from_iter_values(values))
    };
    write_parquet(
        &path,
        vec![
            ("id", ids),
            ("customer", customers),
            ("y", numbers(1)),
            ("score", numbers(4)),
        ],
    );
    path
}

fn ids_of<T>(id: impl Fn(usize) -> T) -> Vec<T> {
    (0..ROWS).map(id).collect()
}

fn two(champion: PathBuf, challenger: PathBuf, files: &Files) -> Request {
    Request {
        source: Source::TwoFiles {
            champion,
            challenger,
            score: "score".into(),
        },
        ..files.request()
    }
}

#[test]
fn numbers_beyond_63_bits_are_clusters_and_ids_like_any_other() {
    let files = Files::new();
    let big = |row: usize| (1_u64 << 63) + row as u64;
    let ids = || Arc::new(UInt64Array::from(ids_of(big)));
    let customers = || Arc::new(UInt64Array::from(ids_of(|row| big(row % 50))));
    let path = rewritten(&files, "big.parquet", ids(), customers());
    let request = two(path.clone(), path, &files);
    let statistics = files.evaluate(&request).comparison.statistics;
    assert_eq!((statistics.rows, statistics.clusters), (ROWS, Some(50)));
}

#[test]
fn ids_of_other_types_are_joined_where_they_are_the_same_numbers() {
    let files = Files::new();
    let customers = || Arc::new(Int64Array::from(ids_of(|row| row as i64 % 50))) as ArrayRef;
    let decimals = Decimal128Array::from(ids_of(|row| row as i128));
    let same: Vec<ArrayRef> = vec![
        Arc::new(Float64Array::from(ids_of(|row| row as f64))),
        Arc::new(Int16Array::from(ids_of(|row| row as i16))),
        Arc::new(decimals.with_precision_and_scale(20, 0).unwrap()),
        // A CSV file does not say that its digits are no texts.
        Arc::new(StringArray::from(ids_of(|row| row.to_string()))),
    ];
    for ids in same {
        let kind = ids.data_type().clone();
        let path = rewritten(&files, "other.parquet", ids, customers());
        for (champion, challenger) in [
            (files.path("champion.csv"), path.clone()),
            (path, files.path("champion.csv")),
        ] {
            let found = files
                .evaluate(&two(champion, challenger, &files))
                .comparison;
            assert_eq!(found.statistics.rows, ROWS, "{kind}");
        }
    }
    let integers = Arc::new(Int64Array::from(ids_of(|row| row as i64)));
    let texts = Arc::new(StringArray::from(ids_of(|row| row.to_string())));
    let integers = rewritten(&files, "integers.parquet", integers, customers());
    let texts = rewritten(&files, "texts.parquet", texts, customers());
    assert_eq!(
        files.refusal(&two(integers, texts, &files)),
        "texts.parquet: `id` must hold whole numbers, as in integers.parquet; it holds texts. Write both files with the same type"
    );
}

#[test]
fn a_row_without_a_name_or_a_cluster_is_refused() {
    let files = Files::new();
    let present = |row: usize| (row != 4).then(|| row.to_string());
    let ids = || Arc::new(StringArray::from(ids_of(|row| row.to_string()))) as ArrayRef;
    let with_gap: [ArrayRef; 2] = [
        Arc::new(StringArray::from(ids_of(present))),
        Arc::new(Int64Array::from(ids_of(|row| {
            (row != 4).then_some(row as i64)
        }))),
    ];
    for gap in with_gap {
        let path = rewritten(&files, "gap.parquet", gap.clone(), ids());
        assert_eq!(
            files.refusal(&two(path.clone(), path, &files)),
            "gap.parquet: row 5: `id` must not be missing, since it names the row"
        );
        let path = rewritten(&files, "gap.parquet", ids(), gap);
        assert_eq!(
            files.refusal(&two(path.clone(), path, &files)),
            "gap.parquet: row 5: `customer` must not be missing: all rows without a cluster would be one. \
             Give each a cluster of its own, or leave it out"
        );
    }
}

#[test]
fn padded_texts_are_shown_with_their_spaces() {
    let files = Files::new();
    let ids = Arc::new(StringArray::from(ids_of(|row| row.to_string())));
    let padded = Arc::new(StringArray::from(ids_of(|_| "gold  ")));
    let path = rewritten(&files, "padded.parquet", ids, padded);
    let request = Request {
        slices: vec![Slice {
            name: "best".into(),
            column: "customer".into(),
            equals: "gold".into(),
        }],
        cluster: None,
        ..two(path.clone(), path, &files)
    };
    assert_eq!(
        files.refusal(&request),
        "padded.parquet: slice `best`: `customer` must be `gold` in some row; it holds `gold  `"
    );
}

/// Pairs of columns that name the same rows, as programs write days and times.
#[test]
fn ids_that_are_times_are_joined_where_they_are_the_same_times() {
    let files = Files::new();
    let hour = 3_600_000_000;
    let micros = |row: usize| row as i64 * 24 * hour;
    let times = || TimestampMicrosecondArray::from(ids_of(micros));
    let utc = || Arc::new(times().with_timezone("UTC")) as ArrayRef;
    let zoned = || Arc::new(times().with_timezone("Europe/Berlin")) as ArrayRef;
    let naive = || Arc::new(times()) as ArrayRef;
    let days = || Arc::new(Date32Array::from(ids_of(|row| row as i32))) as ArrayRef;
    let text = |form: &str| {
        let texts = ids_of(|row| {
            let day = jiff::civil::date(1970, 1, 1) + jiff::Span::new().days(row as i64);
            form.replace("DAY", &day.to_string())
        });
        Arc::new(StringArray::from(texts)) as ArrayRef
    };
    let of_day = |row: usize| row as i64 * 1_000_500;
    let clock = || Arc::new(Time64MicrosecondArray::from(ids_of(of_day))) as ArrayRef;
    let clock_text = || {
        let texts = ids_of(|row| {
            let micros = of_day(row);
            let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
            format!(
                "{:02}:{:02}:{:02}.{rest:06}",
                seconds / 3600,
                seconds / 60 % 60,
                seconds % 60
            )
        });
        Arc::new(StringArray::from(texts)) as ArrayRef
    };
    let pairs: Vec<(ArrayRef, ArrayRef)> = vec![
        (naive(), text("DAY 00:00:00")),
        (naive(), text("DAY")),
        (naive(), text("DAYT00:00:00.000")),
        (days(), text("DAY 00:00:00")),
        (days(), naive()),
        (naive(), utc()),
        (utc(), text("DAY 00:00:00+00:00")),
        (zoned(), text("DAY 01:00:00+01:00")),
        (zoned(), utc()),
        (clock(), clock_text()),
    ];
    let customers = || Arc::new(Int64Array::from(ids_of(|row| row as i64 % 50))) as ArrayRef;
    for (left, right) in pairs {
        let kinds = (left.data_type().clone(), right.data_type().clone());
        let left = rewritten(&files, "left.parquet", left, customers());
        let right = rewritten(&files, "right.parquet", right, customers());
        for (champion, challenger) in [(left.clone(), right.clone()), (right, left)] {
            let evidence = files.evidence(&two(champion, challenger, &files));
            assert_eq!(evidence.ids.len(), ROWS, "{kinds:?}");
        }
    }
}

#[test]
fn ids_that_are_no_such_times_are_shown_as_they_stand_in_both_files() {
    let files = Files::new();
    let customers = || Arc::new(Int64Array::from(ids_of(|row| row as i64 % 50))) as ArrayRef;
    let write = |name: &str, ids: ArrayRef| rewritten(&files, name, ids, customers());
    let days = write(
        "days.parquet",
        Arc::new(Date32Array::from(ids_of(|row| row as i32))),
    );
    let texts = write(
        "texts.parquet",
        Arc::new(StringArray::from(ids_of(|row| format!("day {row}")))),
    );
    let numbers = write(
        "numbers.parquet",
        Arc::new(Int64Array::from(ids_of(|row| row as i64))),
    );
    assert_eq!(
        files.refusal(&two(days.clone(), texts, &files)),
        "texts.parquet: `id` must hold the same ids as days.parquet; it lacks 400 of them: 1970-01-01, 1970-01-02, 1970-01-03, …; \
         it holds day 0, day 1, day 2, …"
    );
    assert_eq!(
        files.refusal(&two(days.clone(), numbers.clone(), &files)),
        "numbers.parquet: `id` must hold dates, as in days.parquet; it holds whole numbers. Write both files with the same type"
    );
    assert_eq!(
        files.refusal(&two(numbers, days.clone(), &files)),
        "days.parquet: `id` must hold whole numbers, as in numbers.parquet; it holds dates. Write both files with the same type"
    );
    // As texts these two are different rows, as times they are one.
    let same = |row: usize| match row {
        1 => "1970-01-01 00:00:00".to_string(),
        row => (jiff::civil::date(1970, 1, 1) + jiff::Span::new().days(row as i64)).to_string(),
    };
    let twice = write("twice.parquet", Arc::new(StringArray::from(ids_of(same))));
    assert_eq!(
        files.refusal(&two(days, twice, &files)),
        "twice.parquet: `id` must be unique; 1970-01-01 and 1970-01-01 00:00:00 are the same time"
    );
}
