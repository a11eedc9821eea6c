//! Scores the rows of a file with a trained model.

use super::model_file::{Model, ModelError};
use super::predictions_file::{self, FileSink, OutputFormat, Scored, WriteError};
use super::table::{FileSource, MadeBy, RowFile, Table, TableError};
use std::path::Path;

/// Why rows cannot be scored.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// See [`ModelError`].
    #[error(transparent)]
    Model(#[from] ModelError),
    /// See [`TableError`].
    #[error(transparent)]
    Table(#[from] TableError),
    /// See [`WriteError`].
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Writes the scores of the rows of `data` to `out`, with the columns that are no features of the model and those of `keep`, unchanged.
/// The metadata of `out` hold the digests of the model and of the data as they were read, and the `version` of the model if it is given.
/// Returns the number of rows.
///
/// # Errors
/// See [`ScoreError`]; a feature that the data lack is named. Nothing is written over an input.
pub fn score<F: FileSource + FileSink>(
    files: &F,
    model: &Path,
    version: Option<&str>,
    data: &Path,
    keep: &[String],
    out: &Path,
) -> Result<usize, ScoreError> {
    OutputFormat::of(out)?;
    let model_file = files.read_model(model).map_err(ModelError::from)?;
    let model = Model::of_file(&model_file)?;
    let file = RowFile::of_bytes(files.read(data)?)?;
    let inputs = file.part_paths().chain([data, model_file.path()]);
    files.check(out, &inputs.collect::<Vec<_>>())?;
    let made_by = MadeBy {
        version: version.map(str::to_string),
        model_sha256: Some(model_file.sha256().to_string()),
        data_sha256: Some(file.sha256().to_string()),
    };
    for name in keep {
        file.position(name)?;
    }
    let scores = scores(&model, &file)?;
    let names = file.names();
    let is_kept = |name: &String| keep.contains(name) || !model.features.contains(name);
    let columns: Vec<usize> = (0..names.len())
        .filter(|&column| is_kept(&names[column]))
        .collect();
    let scored = Scored {
        file: &file,
        columns: &columns,
        chosen: None,
        scores: &scores,
    };
    predictions_file::write(files, out, &scored, &made_by)?;
    Ok(scores.len())
}

fn scores(model: &Model, file: &RowFile) -> Result<Vec<f64>, TableError> {
    let wanted: Vec<&str> = model.features.iter().map(String::as_str).collect();
    let table = Table::of(file, &wanted)?;
    let features = wanted
        .iter()
        .map(|name| table.numbers(name))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(model.forest.score(&features))
}

#[cfg(test)]
mod round_trip;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::forest::{Forest, Rows, Settings};
    use crate::table::{LocalFiles, sha256_hex};

    /// A model of the feature `amount`.
    pub(crate) fn write_model(path: &Path) {
        let features = vec![(0..40).map(f64::from).collect::<Vec<_>>()];
        let labels: Vec<u8> = (0..40).map(|row| u8::from(row > 20)).collect();
        let settings = Settings {
            num_trees: 2,
            ..Settings::default()
        };
        let rows = Rows {
            features: &features,
            labels: &labels,
            weights: &[1.0; 40],
        };
        Model {
            features: vec!["amount".into()],
            label: "y".into(),
            settings,
            forest: Forest::grow(&rows, &settings),
        }
        .write(path)
        .unwrap();
    }

    #[test]
    fn predictions_carry_the_version_and_the_digests_of_model_and_data() {
        let directory = tempfile::tempdir().unwrap();
        let [model, data, out] =
            ["model.parquet", "data.csv", "out.parquet"].map(|name| directory.path().join(name));
        write_model(&model);
        let rows = "id,amount\n1,3\n2,30\n";
        std::fs::write(&data, rows).unwrap();
        let made_by = |version: Option<&str>| {
            let rows = score(&LocalFiles, &model, version, &data, &[], &out).unwrap();
            assert_eq!(rows, 2);
            assert_eq!(RowFile::open(&out).unwrap().names(), ["id", "score"]);
            let scored = Table::read(&out, &["id", "score"]).unwrap();
            scored.source.made_by.unwrap()
        };
        let expected = MadeBy {
            version: Some("7".to_string()),
            model_sha256: Some(sha256_hex(&std::fs::read(&model).unwrap())),
            data_sha256: Some(sha256_hex(rows.as_bytes())),
        };
        assert_eq!(made_by(Some("7")), expected);
        assert_eq!(made_by(None).version, None);
    }
}
