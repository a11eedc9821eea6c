//! Reads the manifests of a directory: `*.yaml`, `*.yml` and `*.json`, several documents a file.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// A document and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The file.
    pub file: PathBuf,
    /// Position of the document in the file, from 1.
    pub document: usize,
    /// What it says.
    pub object: Value,
}

/// Why a directory's manifests cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The directory or a file in it cannot be read.
    #[error("cannot read {path}: {error}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file is not YAML.
    #[error("{path} must hold YAML documents: {message}")]
    NotYaml {
        /// Which.
        path: PathBuf,
        /// What is wrong, with line and column.
        message: String,
    },
    /// There is nothing to run.
    #[error(
        "{0} holds no manifest; it must hold at least one TuningJob or ChampionPolicy in a .yaml file"
    )]
    Empty(PathBuf),
}

/// All documents of the manifests directly in `directory`, by file name.
///
/// # Errors
/// A file cannot be read or is not YAML, or there is none.
pub fn read(directory: &Path) -> Result<Vec<Manifest>, ManifestError> {
    let unreadable = |path: &Path, error| ManifestError::Unreadable {
        path: path.to_path_buf(),
        error,
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(|e| unreadable(directory, e))? {
        let path = entry.map_err(|e| unreadable(directory, e))?.path();
        let named = path
            .extension()
            .is_some_and(|e| e == "yaml" || e == "yml" || e == "json");
        let hidden = path
            .file_name()
            .is_some_and(|n| n.to_string_lossy().starts_with('.'));
        if named && !hidden && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    let mut manifests = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).map_err(|e| unreadable(&file, e))?;
        manifests.extend(documents(&file, &text)?);
    }
    if manifests.is_empty() {
        return Err(ManifestError::Empty(directory.to_path_buf()));
    }
    Ok(manifests)
}

fn documents(file: &Path, text: &str) -> Result<Vec<Manifest>, ManifestError> {
    let parsed: Vec<Value> = crate::yaml::documents(text).map_err(|e| ManifestError::NotYaml {
        path: file.to_path_buf(),
        message: e.to_string(),
    })?;
    Ok(parsed
        .into_iter()
        .enumerate()
        .filter(|(_, object)| !object.is_null())
        .map(|(position, object)| Manifest {
            file: file.to_path_buf(),
            document: position + 1,
            object,
        })
        .collect())
}
