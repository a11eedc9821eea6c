//! Tests of comparing files of predictions.

mod confirmation;
mod evidence;
mod holdout;
mod joining;
mod judging;
mod origin;
mod sources;
mod types;

use super::*;
use crate::table::LocalFiles;
use podium_core::comparison::Settings;
use std::path::Path;

const ROWS: usize = 400;

/// Id, label, customer, weight and score of a row.
type Row = [String; 5];

const HEADER: [&str; 5] = ["id", "y", "customer", "w", "score"];

fn rows() -> Vec<Row> {
    (0..ROWS)
        .map(|row| {
            let label = u8::from(row % 4 == 0);
            let score = (row * 37 % 100) as f64 / 200.0 + 0.3 * f64::from(label);
            [
                row.to_string(),
                label.to_string(),
                (row % 50).to_string(),
                (1 + row % 3).to_string(),
                score.to_string(),
            ]
        })
        .collect()
}

/// The columns of `rows` at the positions `columns` as the text of a CSV file.
fn csv(rows: &[Row], columns: &[usize]) -> String {
    let line = |cells: Vec<&str>| cells.join(",") + "\n";
    let header = line(columns.iter().map(|&column| HEADER[column]).collect());
    let lines = rows
        .iter()
        .map(|row| line(columns.iter().map(|&column| row[column].as_str()).collect()));
    header + &lines.collect::<String>()
}

const ALL: &[usize] = &[0, 1, 2, 3, 4];
const DESCRIPTION: &[usize] = &[0, 1, 2, 3];
const SCORES: &[usize] = &[0, 4];

/// A directory with files of predictions.
struct Files(tempfile::TempDir);

impl Files {
    /// `champion.csv`, and `challenger.csv` with the same rows in the reverse order.
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.write("champion.csv", csv(&rows(), ALL));
        files.write_challenger(|_| {});
        files
    }

    fn write_challenger(&self, change: impl Fn(&mut Vec<Row>)) {
        let mut changed = rows();
        changed.reverse();
        change(&mut changed);
        self.write("challenger.csv", csv(&changed, ALL));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn request(&self) -> Request {
        Request {
            source: Source::TwoFiles {
                champion: self.path("champion.csv"),
                challenger: self.path("challenger.csv"),
                score: "score".into(),
            },
            holdout: None,
            champion: Expected::default(),
            challenger: Expected::default(),
            id: Some("id".into()),
            label: "y".into(),
            weight: None,
            cluster: Some("customer".into()),
            slices: vec![],
            confirm_fraction: None,
            settings: Settings {
                resamples: 200,
                minimum_positives: 10.0,
                ..Settings::default()
            },
            seed: Some(1),
        }
    }

    fn with_holdout(&self, sha256: Option<&str>) -> Request {
        Request {
            holdout: Some(HoldoutFile {
                path: self.path("holdout.csv"),
                sha256: sha256.map(str::to_string),
            }),
            ..self.request()
        }
    }

    fn evaluate(&self, request: &Request) -> Evaluated {
        evaluate(&LocalFiles, request, None, &mut |_, _| {}).unwrap()
    }

    fn evidence(&self, request: &Request) -> Evidence {
        read_evidence(&LocalFiles, request).unwrap().1
    }

    /// Why a request is refused, with files named relative to the directory.
    fn refusal(&self, request: &Request) -> String {
        let prefix = format!("{}/", self.0.path().display());
        let error = evaluate(&LocalFiles, request, None, &mut |_, _| {}).unwrap_err();
        error.to_string().replace(&prefix, "")
    }
}

/// SHA-256 of a file as it is now.
fn digest_of(path: &Path) -> String {
    crate::table::sha256_hex(&std::fs::read(path).unwrap())
}

/// Writes the rows of a CSV file as `podium score` writes predictions.
fn as_predictions(csv: &Path, parquet: &Path, made_by: &crate::table::MadeBy) {
    use crate::predictions_file::{self, Scored};
    use crate::table::{RowFile, Table};
    let file = RowFile::open(csv).unwrap();
    let names = file.names();
    let columns: Vec<usize> = (0..names.len())
        .filter(|&column| names[column] != "score")
        .collect();
    let scores = Table::of(&file, &["score"])
        .unwrap()
        .numbers("score")
        .unwrap();
    let scored = Scored {
        file: &file,
        columns: &columns,
        chosen: None,
        scores: &scores,
    };
    predictions_file::write(&LocalFiles, parquet, &scored, made_by).unwrap();
}
