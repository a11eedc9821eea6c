//! Files of rows as people have them: compressed, in parts, damaged, of other types, and outputs that would destroy inputs.

use crate::project::{Finished, Project, ended};
use std::fs;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data");
    path.join(name).display().to_string()
}

/// Both scores of 900 rows as CSV, with whatever else a row holds.
pub fn both(header: &str, cell: impl Fn(u32) -> String) -> String {
    let mut rows = format!("id,y,old,new,{header}\n");
    for row in 0..900_u32 {
        let label = u32::from(row % 3 == 0);
        let noise = |step: u32| f64::from(row * step % 97) / 97.0;
        rows.push_str(&format!(
            "{row},{label},{},{},{}\n",
            0.2 * f64::from(label) + 0.8 * noise(31),
            0.4 * f64::from(label) + 0.6 * noise(53),
            cell(row)
        ));
    }
    rows
}

pub fn evaluate(predictions: &str, more: &[&str]) -> Finished {
    let arguments = [
        "evaluate",
        "--predictions",
        predictions,
        "--champion-score",
        "old",
        "--challenger-score",
        "new",
        "--label",
        "y",
    ];
    ended(&[&arguments[..], more].concat())
}

#[test]
fn every_usual_compression_is_read() {
    let said: Vec<String> = ["gzip", "lz4", "brotli"]
        .map(|codec| evaluate(&fixture(&format!("{codec}.parquet")), &["--seed", "1"]))
        .map(|finished| {
            assert_eq!(finished.code, Some(0), "{}", finished.err);
            finished.out
        })
        .to_vec();
    assert!(
        said[0].contains("The challenger raises ROC AUC"),
        "{}",
        said[0]
    );
    assert!(said.iter().all(|other| *other == said[0]), "{said:?}");
}

#[test]
fn a_damaged_page_is_refused() {
    let finished = evaluate(&fixture("damaged-page.parquet"), &[]);
    assert_eq!(finished.code, Some(1), "{}", finished.out);
    assert!(
        finished.err.contains("damaged-page.parquet") && finished.err.contains("CRC"),
        "{}",
        finished.err
    );
}

#[test]
fn a_missing_cluster_is_refused_by_its_row() {
    let project = Project::new();
    let with_gap = both("customer", |row| {
        if row == 6 {
            String::new()
        } else {
            format!("c{}", row % 90)
        }
    });
    let path = project.write("rows.csv", &with_gap).display().to_string();
    let finished = evaluate(&path, &["--cluster", "customer"]);
    assert_eq!(
        finished.err,
        format!(
            "error: {path}: row 7: `customer` must not be missing: all rows without a cluster would be one. Give each a cluster of its own, or leave it out\n"
        )
    );
}

#[test]
fn a_slice_is_matched_by_value_or_its_values_are_shown() {
    let project = Project::new();
    let text = both("new_customer", |row| {
        if row % 2 == 0 { "True" } else { "False" }.to_string()
    });
    let path = project.write("rows.csv", &text).display().to_string();
    let sliced = |value: &str| {
        let slice = format!("s=new_customer={value}");
        evaluate(&path, &["--slice", &slice, "--guardrail", "rocAuc@s:0.2"])
    };
    for value in ["true", "True", "1"] {
        let finished = sliced(value);
        assert!(
            finished.out.contains("in slice `s` is not worse"),
            "{}{}",
            finished.out,
            finished.err
        );
    }
    assert_eq!(
        sliced("yes").err,
        format!(
            "error: {path}: slice `s`: `new_customer` holds true and false, and `yes` is none\n"
        )
    );
    let other = evaluate(&path, &["--slice", "s=id=1000"]);
    assert_eq!(other.code, Some(1));
    assert!(
        other
            .err
            .contains("`id` must be `1000` in some row; it holds `0`, "),
        "{}",
        other.err
    );
}

/// A directory with `rows.csv` and a model of `x` that was trained on it.
fn with_model() -> (Project, PathBuf) {
    let project = Project::new();
    let mut rows = "id,zip,when,x,y\n".to_string();
    for row in 0..200_u64 {
        let label = u64::from(row % 4 == 0);
        rows.push_str(&format!(
            "{},{row:05},2026-01-01 00:00:{:02},{},{label}\n",
            12_345_678_901_234_560_000_u128 + u128::from(row),
            row % 60,
            row % 17 + 3 * label
        ));
    }
    let data = project.write("rows.csv", &rows);
    let finished = train(&project, &data, &["--features", "x"]);
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    (project, data)
}

fn train(project: &Project, data: &Path, more: &[&str]) -> Finished {
    let data = data.display().to_string();
    let output = project.path().join("out").display().to_string();
    let arguments = [
        "train",
        "--data",
        &data,
        "--label",
        "y",
        "--output",
        &output,
        "--numTrees",
        "5",
    ];
    ended(&[&arguments[..], more].concat())
}

fn score(project: &Project, data: &Path, out: &str) -> Finished {
    let path = |name: &str| project.path().join(name).display().to_string();
    let (model, data) = (path("out"), data.display().to_string());
    ended(&[
        "score",
        "--model",
        &model,
        "--data",
        &data,
        "--out",
        &path(out),
    ])
}

#[test]
fn scores_stand_beside_cells_that_did_not_change() {
    let (project, data) = with_model();
    let finished = score(&project, &data, "scores.csv");
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let (before, after) = (read(&data), read(&project.path().join("scores.csv")));
    assert!(after.starts_with("id,zip,when,y,score\n"), "{after}");
    for (before, after) in before.lines().zip(after.lines()).skip(1) {
        let before: Vec<&str> = before.split(',').collect();
        let after: Vec<&str> = after.split(',').collect();
        assert_eq!(after[..4], [before[0], before[1], before[2], before[4]]);
        after[4].parse::<f64>().unwrap();
    }
    // By way of Parquet, too: ids of twenty digits, and numbers that begin with 0.
    assert_eq!(score(&project, &data, "scores.parquet").code, Some(0));
    let copy = project.path().join("scores.parquet");
    let ids = ended(&[
        "evaluate",
        "--champion",
        &project.path().join("scores.csv").display().to_string(),
        "--challenger",
        &copy.display().to_string(),
        "--id",
        "zip",
        "--label",
        "y",
        "--slice",
        "s=id=12345678901234560007",
    ]);
    assert_eq!(ids.code, Some(0), "{}", ids.err);
    assert!(
        ids.out.contains("both models score all 200 rows alike"),
        "{}",
        ids.out
    );
}

#[test]
fn nothing_is_written_over_an_input() {
    let (project, data) = with_model();
    let before = project.everything();
    for out in ["rows.csv", "./out/../rows.csv", "out/model.parquet"] {
        let finished = score(&project, &data, out);
        assert_eq!(finished.code, Some(1), "{}", finished.out);
        assert!(
            finished
                .err
                .contains("is an input and would be overwritten"),
            "{}",
            finished.err
        );
    }
    let unknown = score(&project, &data, "scores.json");
    assert_eq!(unknown.code, Some(1));
    assert!(
        unknown.err.contains("must end with .parquet, .csv"),
        "{}",
        unknown.err
    );
    // What an earlier training wrote must not be lost by training on it.
    let again = train(
        &project,
        &project.path().join("out/predictions.parquet"),
        &["--features", "score"],
    );
    assert_eq!(again.code, Some(1), "{}", again.out);
    assert!(again.err.contains("would be overwritten"), "{}", again.err);
    assert!(project.everything() == before);
}

#[test]
fn nothing_is_learnt_from_no_rows_or_one_class() {
    for (rows, said) in [
        (
            "x,y\n",
            "the data must hold rows to learn from; there are none",
        ),
        (
            "x,y\n1,0\n2,0\n",
            "`y` must hold 0 and 1; all 2 rows hold 0",
        ),
    ] {
        for mode in [&["--refit"][..], &["--folds", "2"], &[]] {
            let project = Project::new();
            let data = project.write("rows.csv", rows);
            let finished = train(&project, &data, mode);
            assert_eq!(finished.code, Some(1), "{}", finished.out);
            assert!(finished.err.contains(said), "{}", finished.err);
            assert!(!project.path().join("out").exists());
        }
    }
}

#[test]
fn labels_may_stand_in_the_champions_file_only() {
    let project = Project::new();
    let text = both("group", |_| "a".to_string());
    let columns = |chosen: &[usize]| {
        let lines = text.lines().map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let cells: Vec<&str> = chosen.iter().map(|&column| cells[column]).collect();
            cells.join(",") + "\n"
        });
        lines
            .collect::<String>()
            .replace("old", "score")
            .replace("new", "score")
    };
    let old = project
        .write("old.csv", &columns(&[0, 1, 2]))
        .display()
        .to_string();
    let new = project
        .write("new.csv", &columns(&[0, 3]))
        .display()
        .to_string();
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
    ];
    let finished = ended(&arguments);
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    assert!(
        finished.out.contains("The challenger raises ROC AUC"),
        "{}",
        finished.out
    );
}
