//! What a file of predictions was made from, as its metadata tell.

use parquet::file::metadata::KeyValue;
use serde::{Deserialize, Serialize};

const VERSION_KEY: &str = "podium.model-version";
const MODEL_KEY: &str = "podium.model-sha256";
const DATA_KEY: &str = "podium.data-sha256";

/// What a file of predictions was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MadeBy {
    /// The version of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// SHA-256 of the model's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_sha256: Option<String>,
    /// SHA-256 of the file of the rows that were scored, or of its parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_sha256: Option<String>,
}

impl MadeBy {
    /// What the key-value metadata of a Parquet file tell; absent when they hold none of the keys.
    pub(super) fn of_metadata(entries: Option<&Vec<KeyValue>>) -> Option<Self> {
        let value = |key: &str| {
            let entry = entries?.iter().find(|entry| entry.key == key)?;
            entry.value.clone()
        };
        let made_by = Self {
            version: value(VERSION_KEY),
            model_sha256: value(MODEL_KEY),
            data_sha256: value(DATA_KEY),
        };
        (made_by != Self::default()).then_some(made_by)
    }

    /// Whether a key of metadata is one of these.
    pub(crate) fn has_key(key: &str) -> bool {
        [VERSION_KEY, MODEL_KEY, DATA_KEY].contains(&key)
    }

    /// The key-value metadata that a Parquet file keeps of it.
    pub(crate) fn metadata(&self) -> Vec<KeyValue> {
        [
            (VERSION_KEY, &self.version),
            (MODEL_KEY, &self.model_sha256),
            (DATA_KEY, &self.data_sha256),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some(KeyValue::new(key.to_string(), value.clone()?)))
        .collect()
    }
}
