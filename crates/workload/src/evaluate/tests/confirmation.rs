//! With a share to confirm on, the other rows are as if they were not there.

use super::*;
use podium_core::comparison::WeightRole;

fn confirming(files: &Files, fraction: f64) -> Request {
    Request {
        confirm_fraction: Some(fraction),
        ..files.request()
    }
}

/// The rows whose key in `column` is kept at one half.
fn kept(column: usize) -> Vec<Row> {
    let is_kept = |row: &Row| is_confirmation_row(row[column].parse().unwrap(), 0.5);
    rows().into_iter().filter(is_kept).collect()
}

#[test]
fn only_the_rows_that_are_kept_are_compared() {
    let files = Files::new();
    let of_share = files.evaluate(&confirming(&files, 0.5));
    let of_all = files.evidence(&files.request());

    let (customers, ids) = (kept(2), kept(0));
    assert!(customers.len() > ROWS / 4 && customers.len() < ROWS * 3 / 4);
    let text = csv(&customers, ALL);
    files.write("champion.csv", &text);
    files.write("challenger.csv", &text);
    let of_kept = files.evaluate(&files.request());
    assert_eq!(of_share.comparison, of_kept.comparison);
    assert_eq!(of_share.evidence.fingerprint, of_kept.evidence.fingerprint);
    assert_eq!(of_share.evidence.ids, of_kept.evidence.ids);
    assert_ne!(of_share.evidence.fingerprint, of_all.fingerprint);

    // Without clusters, rows are kept one by one.
    let files = Files::new();
    let request = Request {
        cluster: None,
        ..confirming(&files, 0.5)
    };
    assert_eq!(
        files.evaluate(&request).comparison.statistics.rows,
        ids.len()
    );
    assert_ne!(ids, customers);
}

#[test]
fn the_whole_share_is_every_row() {
    let files = Files::new();
    let of_all = files.evaluate(&files.request());
    let of_share = files.evaluate(&confirming(&files, 1.0));
    assert_eq!(of_share.comparison, of_all.comparison);
    assert_eq!(of_share.evidence.fingerprint, of_all.evidence.fingerprint);
}

/// The number in its file of the last row whose key in `column` is kept at one half.
fn last_kept(column: usize) -> usize {
    let kept = kept(column);
    let number = kept.last().unwrap()[0].parse::<usize>().unwrap() + 1;
    assert_ne!(number, kept.len());
    number
}

/// A request to confirm on half of the rows, of which the row with this number has this weight.
fn with_weight(files: &Files, number: usize, weight: &str) -> Request {
    let mut changed = rows();
    changed[number - 1][3] = weight.to_string();
    let text = csv(&changed, ALL);
    files.write("champion.csv", &text);
    files.write("challenger.csv", &text);
    Request {
        weight: Some("w".into()),
        ..confirming(files, 0.5)
    }
}

#[test]
fn rows_are_counted_as_in_their_file() {
    let files = Files::new();
    let number = last_kept(2);
    let request = with_weight(&files, number, "1000");
    let comparison = files.evaluate(&request).comparison;
    let heavy = |warning: &Warning| match warning {
        Warning::HeavyWeight { row, .. } => Some(*row),
        _ => None,
    };
    assert_eq!(comparison.warnings.iter().find_map(heavy), Some(number));

    let number = last_kept(0);
    let mut request = with_weight(&files, number, "1.5");
    request.settings.weights = WeightRole::Frequency;
    request.cluster = None;
    let refusal = files.refusal(&request);
    assert!(
        refusal.starts_with(&format!("champion.csv: row {number}: `weight`")),
        "{refusal}"
    );
}

#[test]
fn a_share_that_is_none_is_refused() {
    let files = Files::new();
    for fraction in [0.0, -0.5, 1.1, f64::NAN] {
        assert_eq!(
            files.refusal(&confirming(&files, fraction)),
            format!(
                "the share of rows to confirm on must be above 0 and at most 1; got {fraction}"
            )
        );
    }
    let without_keys = Request {
        source: Source::OneFile {
            predictions: files.path("champion.csv"),
            champion_score: "score".into(),
            challenger_score: "score".into(),
        },
        id: None,
        cluster: None,
        ..confirming(&files, 0.5)
    };
    assert_eq!(
        files.refusal(&without_keys),
        "a column of ids or of clusters must be given to choose the rows to confirm on"
    );
}
