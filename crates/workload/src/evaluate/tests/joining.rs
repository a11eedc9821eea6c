//! Files are joined by id, and what cannot be compared is refused with its file and row.

use super::*;

fn refusal(change: impl Fn(&mut Vec<Row>)) -> String {
    let files = Files::new();
    files.write_challenger(change);
    files.refusal(&files.request())
}

#[test]
fn files_are_joined_by_id_whatever_their_order() {
    let files = Files::new();
    let same = files.evaluate(&files.request()).comparison.statistics;
    assert_eq!(same.metrics[0].difference, Some(0.0));
    assert_eq!((same.rows, same.clusters), (ROWS, Some(50)));
}

#[test]
fn ids_that_do_not_match_one_to_one_are_refused() {
    assert_eq!(
        refusal(|rows| drop(rows.drain(..2))),
        "challenger.csv: `id` must hold the same ids as champion.csv; it lacks 2 of them: 398, 399"
    );
    assert_eq!(
        refusal(|rows| rows.push(["7000", "0", "1", "1", "0.5"].map(str::to_string))),
        "champion.csv: `id` must hold the same ids as challenger.csv; it lacks 1 of them: 7000"
    );
    assert_eq!(
        refusal(|rows| rows[3][0] = "399".into()),
        "challenger.csv: row 4: `id` must be unique; 399 stands in row 1 already"
    );
}

#[test]
fn bad_labels_scores_and_other_holdouts_are_refused_with_their_row() {
    assert_eq!(
        refusal(|rows| rows[0][1] = "1".into()),
        "challenger.csv: row 1: `y` must be 0 as in row 400 of champion.csv, which has the same id; got 1. \
         The predictions must be of one holdout"
    );
    assert_eq!(
        refusal(|rows| rows[5][4] = "nan".into()),
        "challenger.csv: row 6: `score` must be a finite number; got NaN"
    );
    assert_eq!(
        refusal(|rows| rows[6][4] = "high".into()),
        "challenger.csv: row 7: `score` must be a number; got `high`"
    );
    assert_eq!(
        refusal(|rows| rows[6][4].clear()),
        "challenger.csv: row 7: `score` must be a finite number; got a missing value"
    );
}

#[test]
fn a_score_of_the_champion_that_is_no_number_is_refused_with_its_row() {
    let files = Files::new();
    let mut changed = rows();
    changed[8][4] = "inf".into();
    files.write("champion.csv", csv(&changed, ALL));
    assert_eq!(
        files.refusal(&files.request()),
        "champion.csv: row 9: `score` must be a finite number; got inf"
    );
}

#[test]
fn a_slice_or_a_guardrail_that_is_given_twice_is_refused_by_name() {
    use podium_core::comparison::Guardrail;
    use podium_core::metrics::Metric;
    let files = Files::new();
    let slice = |name: &str, equals: &str| Slice {
        name: name.into(),
        column: "customer".into(),
        equals: equals.into(),
    };
    let mut request = files.request();
    request.slices = vec![slice("a", "1"), slice("b", "1"), slice("a", "2")];
    assert_eq!(
        files.refusal(&request),
        "a slice must be given once; `a` is given twice"
    );

    let guardrail = |slice: Option<&str>, max_regression| Guardrail {
        metric: Metric::WeightedF1,
        slice: slice.map(str::to_string),
        max_regression,
    };
    request.slices.pop();
    request.settings.guardrails = vec![
        guardrail(None, 0.1),
        guardrail(Some("a"), 0.1),
        guardrail(Some("a"), 0.2),
    ];
    assert_eq!(
        files.refusal(&request),
        "a guardrail must be given once; `weightedF1` on the slice `a` is given twice"
    );
    request.settings.guardrails = vec![guardrail(None, 0.1), guardrail(None, 0.1)];
    assert_eq!(
        files.refusal(&request),
        "a guardrail must be given once; `weightedF1` is given twice"
    );
    // No file is to blame for a slice that nobody gave.
    request.settings.guardrails = vec![guardrail(None, 0.1), guardrail(Some("c"), 0.1)];
    assert_eq!(
        files.refusal(&request),
        "a guardrail on `weightedF1` must name a slice that is given; got `c`"
    );
}
