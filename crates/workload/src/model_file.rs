//! The file of a trained forest: Parquet with one row per node, described in `docs/model-format.md`.

use super::forest::tree::Tree;
use super::forest::{Forest, Settings};
use super::table::{FileBytes, FileSource, LocalFiles, TableError};
use crate::atomic_file;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt16Type, UInt32Type};
use arrow_array::{ArrayRef, Float64Array, RecordBatch, UInt16Array, UInt32Array};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The version of the format that this podium writes; it reads this one only.
pub const FORMAT_VERSION: u32 = 1;

/// The name of a model's file in a directory.
pub const MODEL_FILE: &str = "model.parquet";

/// Key of the file's description in its metadata.
const DESCRIPTION_KEY: &str = "podium.forest";

/// A forest and what it needs to score rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Names of the features, in the order of the forest's.
    pub features: Vec<String>,
    /// The column it was trained to predict.
    pub label: String,
    /// How it was grown.
    pub settings: Settings,
    /// The trees.
    pub forest: Forest,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Description {
    format_version: u32,
    features: Vec<String>,
    label: String,
    settings: Settings,
}

/// Why a model cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file cannot be written.
    #[error("cannot write {path}: {message}")]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// The file cannot be read or is no model.
    #[error("{path} must be a model of podium: {message}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
}

impl From<TableError> for ModelError {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Unreadable { path, message }
            | TableError::Missing { path, message }
            | TableError::Unusable { path, message } => Self::Unreadable { path, message },
            other => Self::Unreadable {
                path: PathBuf::from("the model"),
                message: other.to_string(),
            },
        }
    }
}

/// The model's file among the names of those that a directory holds: `model.parquet`, or else the only one whose name ends with `.parquet`.
///
/// # Errors
/// What it must hold.
pub fn model_among<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<&'a str, String> {
    let may_be = |name: &&str| name.ends_with(".parquet") && !name.starts_with(['_', '.']);
    let mut found: Vec<&str> = names.into_iter().filter(may_be).collect();
    found.sort_unstable();
    match found.as_slice() {
        all if all.contains(&MODEL_FILE) => Ok(MODEL_FILE),
        &[only] => Ok(only),
        [] => Err(format!(
            "the directory must hold `{MODEL_FILE}` or one other file whose name ends with .parquet"
        )),
        several => Err(format!(
            "the directory must hold `{MODEL_FILE}` or only one other file whose name ends with .parquet; it holds {}: name the one that is meant",
            several.join(", ")
        )),
    }
}

/// The model's file on this machine: `path` itself, or the one in the directory `path`.
///
/// # Errors
/// The directory holds none, or cannot be read.
pub(crate) fn file_of(path: &Path) -> Result<PathBuf, TableError> {
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    let unreadable = |error: std::io::Error| TableError::Unreadable {
        path: path.to_path_buf(),
        message: error.to_string(),
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        // A model's file has a name of ASCII characters, or it was named by its path.
        names.extend(entry.map_err(unreadable)?.file_name().into_string().ok());
    }
    match model_among(names.iter().map(String::as_str)) {
        Ok(name) => Ok(path.join(name)),
        Err(message) => Err(TableError::Missing {
            path: path.to_path_buf(),
            message,
        }),
    }
}

impl Model {
    /// Writes the model whole or not at all.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ModelError> {
        let unwritable = |message: String| ModelError::Unwritable {
            path: path.to_path_buf(),
            message,
        };
        let bytes = self
            .encode()
            .map_err(|error| unwritable(error.to_string()))?;
        atomic_file::write(path, &bytes).map_err(|error| unwritable(error.to_string()))
    }

    /// The bytes of the file that [`Model::write`] writes.
    ///
    /// # Errors
    /// The model cannot be encoded.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ModelError> {
        self.encode().map_err(|error| ModelError::Unwritable {
            path: PathBuf::from("the model"),
            message: error.to_string(),
        })
    }

    fn encode(&self) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
        let description = Description {
            format_version: FORMAT_VERSION,
            features: self.features.clone(),
            label: self.label.clone(),
            settings: self.settings,
        };
        let description = KeyValue::new(
            DESCRIPTION_KEY.to_string(),
            serde_json::to_string(&description)?,
        );
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(Default::default()))
            .set_key_value_metadata(Some(vec![description]))
            .build();
        let trees = &self.forest.trees;
        let numbers = trees
            .iter()
            .enumerate()
            .flat_map(|(number, tree)| std::iter::repeat_n(number as u32, tree.nodes()));
        let columns: [(&str, ArrayRef); 5] = [
            ("tree", Arc::new(UInt32Array::from_iter_values(numbers))),
            (
                "feature",
                Arc::new(UInt16Array::from_iter_values(
                    trees.iter().flat_map(|tree| tree.feature.iter().copied()),
                )),
            ),
            (
                "threshold",
                Arc::new(Float64Array::from_iter_values(
                    trees.iter().flat_map(|tree| tree.threshold.iter().copied()),
                )),
            ),
            (
                "left",
                Arc::new(UInt32Array::from_iter_values(
                    trees.iter().flat_map(|tree| tree.left.iter().copied()),
                )),
            ),
            (
                "share",
                Arc::new(Float64Array::from_iter_values(
                    trees.iter().flat_map(|tree| tree.share.iter().copied()),
                )),
            ),
        ];
        let batch = RecordBatch::try_from_iter(columns)?;
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties))?;
        writer.write(&batch)?;
        Ok(writer.into_inner()?)
    }

    /// Reads a model from its file on this machine, or from the directory that holds it.
    ///
    /// # Errors
    /// The file cannot be read, is no model, or is of another version.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        Self::of_file(&LocalFiles.read_model(path)?)
    }

    /// The model in the bytes of its file.
    ///
    /// # Errors
    /// They are those of no model, or of one of another version.
    pub fn of_file(file: &FileBytes) -> Result<Self, ModelError> {
        let bytes = file.single().ok_or("it is a directory of other files");
        let decoded = bytes
            .map_err(str::to_string)
            .and_then(|bytes| decode(bytes.clone()));
        decoded.map_err(|message| ModelError::Unreadable {
            path: file.path().to_path_buf(),
            message,
        })
    }
}

fn decode(bytes: Bytes) -> Result<Model, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|error| text(&error))?;
    let entries = reader.metadata().file_metadata().key_value_metadata();
    let description = entries
        .into_iter()
        .flatten()
        .find(|entry| entry.key == DESCRIPTION_KEY)
        .and_then(|entry| entry.value.as_ref())
        .ok_or_else(|| format!("its metadata lack `{DESCRIPTION_KEY}`"))?;
    let version: serde_json::Value =
        serde_json::from_str(description).map_err(|error| text(&error))?;
    if version["formatVersion"] != FORMAT_VERSION {
        return Err(format!(
            "its format version is {}, and this podium reads {FORMAT_VERSION}",
            version["formatVersion"]
        ));
    }
    let description: Description =
        serde_json::from_str(description).map_err(|error| text(&error))?;
    let mut trees: Vec<Tree> = Vec::new();
    for batch in reader.build().map_err(|error| text(&error))? {
        append_nodes(&mut trees, &batch.map_err(|error| text(&error))?)?;
    }
    if let Some(number) = trees
        .iter()
        .position(|tree| !tree.is_sound(description.features.len()))
    {
        return Err(format!("its tree {number} is damaged"));
    }
    if trees.is_empty() {
        return Err("it holds no tree".to_string());
    }
    Ok(Model {
        features: description.features,
        label: description.label,
        settings: description.settings,
        forest: Forest { trees },
    })
}

fn append_nodes(trees: &mut Vec<Tree>, batch: &RecordBatch) -> Result<(), String> {
    let column = |name: &str| {
        batch
            .column_by_name(name)
            .ok_or_else(|| format!("it lacks the column `{name}`"))
    };
    let wrong = |name: &str| format!("its column `{name}` has a wrong type");
    let tree = column("tree")?
        .as_primitive_opt::<UInt32Type>()
        .ok_or_else(|| wrong("tree"))?;
    let feature = column("feature")?
        .as_primitive_opt::<UInt16Type>()
        .ok_or_else(|| wrong("feature"))?;
    let threshold = column("threshold")?
        .as_primitive_opt::<Float64Type>()
        .ok_or_else(|| wrong("threshold"))?;
    let left = column("left")?
        .as_primitive_opt::<UInt32Type>()
        .ok_or_else(|| wrong("left"))?;
    let share = column("share")?
        .as_primitive_opt::<Float64Type>()
        .ok_or_else(|| wrong("share"))?;
    for row in 0..batch.num_rows() {
        let number = tree.value(row) as usize;
        if number > trees.len() || number + 1 < trees.len() {
            return Err("its trees are out of order".to_string());
        }
        if number == trees.len() {
            trees.push(Tree::default());
        }
        let nodes = &mut trees[number];
        nodes.feature.push(feature.value(row));
        nodes.threshold.push(threshold.value(row));
        nodes.left.push(left.value(row));
        nodes.share.push(share.value(row));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::Rows;

    fn model() -> Model {
        let features = vec![
            (0..200).map(f64::from).collect::<Vec<_>>(),
            (0..200).map(|row| f64::from(row % 7)).collect(),
        ];
        let labels: Vec<u8> = (0..200)
            .map(|row| u8::from(row % 3 == 0 || row > 150))
            .collect();
        let settings = Settings {
            num_trees: 5,
            ..Settings::default()
        };
        let rows = Rows {
            features: &features,
            labels: &labels,
            weights: &vec![1.0; 200],
        };
        Model {
            features: vec!["a".into(), "b".into()],
            label: "y".into(),
            settings,
            forest: Forest::grow(&rows, &settings),
        }
    }

    #[test]
    fn what_is_written_is_read_bit_for_bit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model.parquet");
        let model = model();
        model.write(&path).unwrap();
        assert_eq!(Model::read(&path).unwrap(), model);
        assert_eq!(Model::read(directory.path()).unwrap(), model);
    }

    #[test]
    fn the_file_of_a_model_is_told_from_the_others_of_its_directory() {
        let others = ["MLmodel", "README.md", "_x.parquet", ".y.parquet"];
        let found = |names: &[&'static str]| model_among([&others[..], names].concat());
        assert_eq!(
            found(&["predictions.parquet", "model.parquet"]),
            Ok("model.parquet")
        );
        assert_eq!(found(&["forest.parquet"]), Ok("forest.parquet"));
        assert!(
            found(&[])
                .unwrap_err()
                .contains("must hold `model.parquet`")
        );
        let several = found(&["b.parquet", "a.parquet"]).unwrap_err();
        assert!(
            several.contains("it holds a.parquet, b.parquet: name"),
            "{several}"
        );

        let directory = tempfile::tempdir().unwrap();
        let empty = Model::read(directory.path()).unwrap_err().to_string();
        let expected = format!(
            "{} must be a model of podium: the directory",
            directory.path().display()
        );
        assert!(empty.starts_with(&expected), "{empty}");
        model()
            .write(&directory.path().join("forest.parquet"))
            .unwrap();
        assert_eq!(Model::read(directory.path()).unwrap(), model());
    }

    #[test]
    fn damage_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model.parquet");
        let mut damaged = model();
        damaged.forest.trees[3].left[0] = 10_000;
        damaged.write(&path).unwrap();
        let refusal = Model::read(&path).unwrap_err().to_string();
        assert!(refusal.ends_with("its tree 3 is damaged"), "{refusal}");
        model().write(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let refusal = Model::read(&path).unwrap_err().to_string();
        assert!(refusal.contains("must be a model of podium"), "{refusal}");
    }
}
