//! The file of a trained forest: Parquet with one row per node, described in `docs/model-format.md`.

use super::forest::tree::Tree;
use super::forest::{Forest, Settings};
use super::table::sha256_hex;
use crate::atomic_file;
use arrow::array::AsArray;
use arrow::array::{ArrayRef, Float64Array, RecordBatch, UInt16Array, UInt32Array};
use arrow::datatypes::{Float64Type, UInt16Type, UInt32Type};
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

/// The model's file: `path` itself, or `model.parquet` in the directory `path`.
#[must_use]
pub fn file_of(path: &Path) -> PathBuf {
    if path.is_dir() {
        path.join("model.parquet")
    } else {
        path.to_path_buf()
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

    /// SHA-256 of the file that [`Model::write`] writes, 64 hexadecimal digits.
    ///
    /// # Errors
    /// The model cannot be encoded.
    pub fn sha256(&self) -> Result<String, ModelError> {
        let bytes = self.encode().map_err(|error| ModelError::Unwritable {
            path: PathBuf::from("the model"),
            message: error.to_string(),
        })?;
        Ok(sha256_hex(&bytes))
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

    /// Reads a model from its file, or from the directory that holds it.
    ///
    /// # Errors
    /// The file cannot be read, is no model, or is of another version.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        Ok(Self::read_with_digest(path)?.0)
    }

    /// As [`Model::read`], with the SHA-256 of the bytes that were read, 64 hexadecimal digits.
    ///
    /// # Errors
    /// As [`Model::read`].
    pub fn read_with_digest(path: &Path) -> Result<(Self, String), ModelError> {
        let path = file_of(path);
        let read = std::fs::read(&path).map_err(|error| error.to_string());
        let decoded = read.and_then(|bytes| {
            let digest = sha256_hex(&bytes);
            Ok((decode(bytes.into())?, digest))
        });
        decoded.map_err(|message| ModelError::Unreadable { path, message })
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
