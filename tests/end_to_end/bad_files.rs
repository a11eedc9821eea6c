//! Files of predictions, models and registries that cannot be used.

use crate::fraud::undisturbed;
use crate::project::{Project, ended};
use std::fs;

/// Rows of a predictions file: id, label, score, weight.
fn predictions(rows: usize) -> Vec<[String; 4]> {
    (0..rows)
        .map(|row| {
            let label = usize::from(row % 3 == 0);
            let score = (row * 37 % 100) as f64 / 200.0 + 0.3 * label as f64;
            [
                row.to_string(),
                label.to_string(),
                score.to_string(),
                "1".to_string(),
            ]
        })
        .collect()
}

fn text(rows: &[[String; 4]]) -> String {
    let lines: Vec<String> = rows.iter().map(|row| row.join(",")).collect();
    format!("id,y,score,w\n{}\n", lines.join("\n"))
}

/// What `podium evaluate` says when both files, or only the challenger's, were changed.
fn said(
    both: impl Fn(&mut Vec<[String; 4]>),
    challenger: impl Fn(&mut Vec<[String; 4]>),
) -> (Option<i32>, String) {
    let project = Project::new();
    let mut rows = predictions(600);
    both(&mut rows);
    let old = project.write("old.csv", &text(&rows)).display().to_string();
    challenger(&mut rows);
    let new = project.write("new.csv", &text(&rows)).display().to_string();
    let arguments = [
        "evaluate",
        "--champion",
        &old,
        "--challenger",
        &new,
        "--id",
        "id",
        "--label",
        "y",
        "--weight",
        "w",
    ];
    let finished = ended(&arguments);
    let folder = format!("{}/", project.path().display());
    (
        finished.code,
        format!("{}{}", finished.out, finished.err).replace(&folder, ""),
    )
}

#[test]
fn rows_that_cannot_be_compared_are_refused_with_file_and_row() {
    type Change = fn(&mut Vec<[String; 4]>);
    let nothing: Change = |_| {};
    let cases: [(Change, Change, &str); 7] = [
        (
            nothing,
            |rows| drop(rows.remove(5)),
            "error: new.csv: `id` must hold the same ids as old.csv; it lacks 1 of them: 5\n",
        ),
        (
            nothing,
            |rows| rows.push(["9000", "0", "0.1", "1"].map(str::to_string)),
            "error: old.csv: `id` must hold the same ids as new.csv; it lacks 1 of them: 9000\n",
        ),
        (
            nothing,
            |rows| rows[9][0] = "3".into(),
            "error: new.csv: row 10: `id` must be unique; 3 stands in row 4 already\n",
        ),
        (
            |rows| rows[4][1] = "2".into(),
            nothing,
            "error: old.csv: row 5: `y` must be 0 or 1; got 2\n",
        ),
        (
            |rows| rows[6][2] = "NaN".into(),
            nothing,
            "error: new.csv: row 7: `score` must be a finite number; got NaN\n",
        ),
        (
            |rows| rows[8][3] = "-2".into(),
            nothing,
            "error: old.csv: row 9: `w` must be a finite number of at least 0; got -2\n",
        ),
        (
            nothing,
            |rows| rows[0][1] = "0".into(),
            "error: new.csv: row 1: `y` must be 1 as in row 1 of old.csv, which has the same id; got 0. The predictions must be of one holdout\n",
        ),
    ];
    for (both, challenger, expected) in cases {
        assert_eq!(said(both, challenger), (Some(1), expected.to_string()));
    }
}

#[test]
fn too_few_positives_are_no_verdict() {
    let relabel = |positives: usize| {
        move |rows: &mut Vec<[String; 4]>| {
            for (row, cells) in rows.iter_mut().enumerate() {
                cells[1] = usize::from(row < positives).to_string();
            }
        }
    };
    let (code, none) = said(relabel(0), |_| {});
    assert_eq!(code, Some(0));
    assert!(none.contains("could not be compared with the champion: 600 rows hold 0 effective positive rows, and 50 are needed."), "{none}");
    let (code, few) = said(relabel(20), |_| {});
    assert_eq!(code, Some(0));
    assert!(
        few.contains("600 rows hold 20 effective positive rows, and 50 are needed."),
        "{few}"
    );
}

#[test]
fn truncated_and_foreign_files_are_refused() {
    let (project, _) = undisturbed();
    let whole = fs::read(project.path().join(".podium/predictions/v1.parquet")).unwrap();
    let broken = Project::new();
    let path = broken.path().join("half.parquet");
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let path = path.display().to_string();
    let finished = ended(&[
        "evaluate",
        "--champion",
        &path,
        "--challenger",
        &path,
        "--id",
        "transaction_id",
        "--label",
        "tx_fraud",
    ]);
    assert_eq!(finished.code, Some(1));
    assert!(
        finished.err.contains(&path) && finished.err.contains("Parquet"),
        "{}",
        finished.err
    );
    let scored = ended(&[
        "score",
        "--model",
        &path,
        "--data",
        &path,
        "--out",
        "/nonexistent/out.parquet",
    ]);
    assert!(
        scored.err.contains("must be a model of podium"),
        "{}",
        scored.err
    );
    let missing = ended(&["train", "--data", "/nonexistent.parquet", "--label", "y"]);
    assert!(
        missing.err.contains("/nonexistent.parquet"),
        "{}",
        missing.err
    );
}

#[test]
fn columns_that_are_not_there_are_named_with_those_that_are() {
    let data = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/examples/fraud/data/train.parquet"
    );
    let finished = ended(&["train", "--data", data, "--label", "fraud"]);
    assert_eq!(finished.code, Some(1));
    assert!(
        finished.err.contains("`fraud`") && finished.err.contains("tx_fraud"),
        "{}",
        finished.err
    );
}

/// The example without its search: only the policy and the registry.
fn policy_only() -> Project {
    let project = Project::copy_of("examples/fraud");
    fs::remove_file(project.path().join("2-search.yaml")).unwrap();
    project
}

#[test]
fn an_alias_that_was_edited_by_hand_to_a_missing_version_holds_everything() {
    let project = policy_only();
    let champion = project
        .path()
        .join("registry/fraud-detection/aliases/champion");
    fs::write(&champion, "7\n").unwrap();
    let finished = project.run();
    assert_eq!(finished.code, Some(1), "{}{}", finished.out, finished.err);
    let said = format!("{}{}", finished.out, finished.err);
    assert!(
        said.contains('7') && said.contains("`champion`") && said.contains("does not exist"),
        "{said}"
    );
    assert_eq!(
        fs::read_to_string(&champion).unwrap(),
        "7\n",
        "the file was touched"
    );
}

#[test]
fn a_challenger_without_a_model_is_said_and_the_champion_stays() {
    let project = policy_only();
    let registry = project.path().join("registry/fraud-detection");
    fs::create_dir_all(registry.join("versions/2/files")).unwrap();
    fs::write(
        registry.join("versions/2/version.yaml"),
        "source: by hand\n",
    )
    .unwrap();
    fs::write(registry.join("aliases/challenger"), "2\n").unwrap();
    let finished = project.run();
    assert_eq!(finished.code, Some(1), "{}{}", finished.out, finished.err);
    assert!(finished.out.contains("model.parquet"), "{}", finished.out);
    assert_eq!(
        fs::read_to_string(registry.join("aliases/champion"))
            .unwrap()
            .trim(),
        "1"
    );
}
