//! Predictions that another model made are refused.

use super::*;
use crate::table::{MadeBy, sha256_hex};

/// Files whose challenger's predictions say that `version` made them with the model that has `model` for its bytes.
fn files(version: Option<&str>, model: &[u8]) -> (Files, Request) {
    let files = Files::new();
    let made_by = MadeBy {
        version: version.map(str::to_string),
        model_sha256: Some(sha256_hex(model)),
        data_sha256: Some(sha256_hex(b"data")),
    };
    let challenger = files.path("v2.parquet");
    as_predictions(&files.path("challenger.csv"), &challenger, &made_by);
    let request = Request {
        source: Source::TwoFiles {
            champion: files.path("champion.csv"),
            challenger,
            score: "score".into(),
        },
        challenger: Expected {
            version: Some("2".into()),
            model: Some(files.path("models")),
        },
        ..files.request()
    };
    (files, request)
}

#[test]
fn predictions_of_another_version_are_refused() {
    let (files, request) = files(Some("1"), b"model");
    let refused = "v2.parquet was made by version 1, not 2; score version 2 again";
    assert_eq!(files.refusal(&request), refused);
    files.write("holdout.csv", csv(&rows(), DESCRIPTION));
    let with_holdout = Request {
        holdout: files.with_holdout(None).holdout,
        ..request.clone()
    };
    assert_eq!(files.refusal(&with_holdout), refused);
    // The same file for the champion.
    let swapped = Request {
        source: Source::TwoFiles {
            champion: files.path("v2.parquet"),
            challenger: files.path("challenger.csv"),
            score: "score".into(),
        },
        champion: request.challenger.clone(),
        challenger: Expected::default(),
        ..request
    };
    assert_eq!(files.refusal(&swapped), refused);
}

#[test]
fn predictions_of_another_model_are_refused() {
    let (files, request) = files(Some("2"), b"model");
    std::fs::create_dir(files.path("models")).unwrap();
    // No such file is there, so there is nothing to compare with.
    files.evaluate(&request);
    files.write("models/model.parquet", b"model");
    let made_by = files.evaluate(&request).evidence.challenger.made_by;
    assert_eq!(made_by.unwrap().version.as_deref(), Some("2"));
    files.write("models/model.parquet", b"another");
    let (made, now) = (sha256_hex(b"model"), sha256_hex(b"another"));
    assert_eq!(
        files.refusal(&request),
        format!(
            "v2.parquet was made by a model whose SHA-256 is {made}, but the model of version 2 has {now}; score version 2 again"
        )
    );
}

#[test]
fn a_file_of_another_name_counts_where_it_is_a_model() {
    let (files, request) = files(Some("2"), b"model");
    std::fs::create_dir(files.path("models")).unwrap();
    let rows = files.write("models/rows.parquet", b"no model");
    files.evaluate(&request);
    crate::score::tests::write_model(&rows);
    let refusal = files.refusal(&request);
    assert!(
        refusal.contains("but the model of version 2 has"),
        "{refusal}"
    );
}

#[test]
fn what_the_metadata_leave_open_is_taken() {
    let (files, request) = files(None, b"model");
    files.evaluate(&request);
    let csv_only = Request {
        source: files.request().source,
        ..request
    };
    assert_eq!(files.evaluate(&csv_only).evidence.challenger.made_by, None);
}
