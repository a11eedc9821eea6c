//! With a holdout file, predictions bring ids and scores and nothing else.

use super::*;
use crate::table::sha256_hex;

/// A holdout file beside predictions of its rows.
fn files() -> Files {
    let files = Files::new();
    files.write("holdout.csv", csv(&rows(), DESCRIPTION));
    files
}

/// Everything but the places that the predictions were read from.
fn compared(files: &Files, request: &Request) -> (Comparison, String) {
    let Evaluated {
        evidence,
        comparison,
    } = files.evaluate(request);
    (comparison, evidence.fingerprint)
}

#[test]
fn predictions_of_ids_and_scores_suffice() {
    let files = files();
    let weighted = |request| Request {
        weight: Some("w".into()),
        ..request
    };
    let whole = compared(&files, &weighted(files.request()));
    files.write("champion.csv", csv(&rows(), SCORES));
    let mut reversed = rows();
    reversed.reverse();
    files.write("challenger.csv", csv(&reversed, SCORES));
    assert_eq!(compared(&files, &weighted(files.with_holdout(None))), whole);
}

#[test]
fn predictions_cannot_change_labels_weights_clusters_or_slices() {
    let files = files();
    let request = Request {
        weight: Some("w".into()),
        slices: vec![Slice {
            name: "some".into(),
            column: "customer".into(),
            equals: "7".into(),
        }],
        ..files.with_holdout(None)
    };
    let honest = compared(&files, &request);
    // Whoever writes the predictions says that the challenger is always right, and that its errors weigh nothing.
    let forge = |row: &mut Row| {
        let positive = row[4].parse::<f64>().unwrap() >= 0.5;
        row[1] = u8::from(positive).to_string();
        row[2] = "7".into();
        row[3] = "0".into();
    };
    let mut forged = rows();
    forged.iter_mut().for_each(forge);
    files.write("champion.csv", csv(&forged, ALL));
    files.write_challenger(|rows| rows.iter_mut().for_each(forge));
    assert_eq!(compared(&files, &request), honest);
    // Not even what is no label is looked at.
    files.write_challenger(|rows| rows.iter_mut().for_each(|row| row[1] = "yes".into()));
    assert_eq!(compared(&files, &request), honest);
    // Without the holdout file it would have been taken for the truth.
    files.write_challenger(|rows| rows.iter_mut().for_each(forge));
    let mistaken = Request {
        holdout: None,
        weight: None,
        ..request
    };
    assert_ne!(compared(&files, &mistaken).1, honest.1);
}

#[test]
fn ids_must_match_one_to_one_with_the_holdout() {
    let files = files();
    files.write_challenger(|rows| drop(rows.drain(..2)));
    assert_eq!(
        files.refusal(&files.with_holdout(None)),
        "challenger.csv: `id` must hold the same ids as holdout.csv; it lacks 2 of them: 398, 399"
    );
    files.write("champion.csv", csv(&rows()[5..], ALL));
    assert_eq!(
        files.refusal(&files.with_holdout(None)),
        "champion.csv: `id` must hold the same ids as holdout.csv; it lacks 5 of them: 0, 1, 2, …"
    );
    let without_id = Request {
        id: None,
        ..files.with_holdout(None)
    };
    assert_eq!(
        files.refusal(&without_id),
        "holdout.csv: a column of ids must be given to join two files"
    );
}

#[test]
fn both_columns_of_one_file_are_joined_with_the_holdout() {
    let files = files();
    let text = rows()
        .iter()
        .rev()
        .map(|row| format!("{},{},0.5\n", row[0], row[4]))
        .collect::<String>();
    let predictions = files.write("both.csv", format!("id,old,new\n{text}"));
    let request = Request {
        source: Source::OneFile {
            predictions: predictions.clone(),
            champion_score: "old".into(),
            challenger_score: "new".into(),
        },
        ..files.with_holdout(None)
    };
    let Evaluated {
        evidence,
        comparison,
    } = files.evaluate(&request);
    let of_two = files.evaluate(&files.with_holdout(None)).comparison;
    assert_eq!(comparison.statistics.champion, of_two.statistics.champion);
    assert!(comparison.metrics[0].difference.unwrap() < -0.1);
    assert_eq!(evidence.champion, evidence.challenger);
    assert_eq!(evidence.champion.path, predictions);
}

#[test]
fn a_holdout_with_another_digest_is_refused_with_both() {
    let files = files();
    let text = csv(&rows(), DESCRIPTION);
    let digest = sha256_hex(text.as_bytes());
    files.evaluate(&files.with_holdout(Some(&digest)));
    files.evaluate(&files.with_holdout(Some(&digest.to_uppercase())));
    let changed = text + "9000,1,3,1\n";
    files.write("holdout.csv", &changed);
    assert_eq!(
        files.refusal(&files.with_holdout(Some(&digest))),
        format!(
            "holdout.csv must have the SHA-256 {digest}; it has {}",
            sha256_hex(changed.as_bytes())
        )
    );
    // Bytes that are no rows at all have another digest too, and that is what matters.
    files.write("holdout.csv", [0xff, 0xfe]);
    let refusal = files.refusal(&files.with_holdout(Some(&digest)));
    assert!(refusal.contains("must have the SHA-256"), "{refusal}");
}
