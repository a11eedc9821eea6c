//! Why a file of rows cannot be used.

use std::path::{Path, PathBuf};

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file cannot be opened or read.
    #[error("cannot read {path}: {message}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// What the rows or columns hold cannot be used.
    #[error("{path}: {message}")]
    Unusable {
        /// In which file.
        path: PathBuf,
        /// What must hold, and where.
        message: String,
    },
    /// A column is not there.
    #[error("{path} must have the column `{column}`; it has {}", .present.join(", "))]
    MissingColumn {
        /// In which file.
        path: PathBuf,
        /// Which.
        column: String,
        /// Those that are there.
        present: Vec<String>,
    },
    /// A column holds no numbers.
    #[error("the column `{column}` of {path} must hold numbers, not {found}")]
    NotNumbers {
        /// In which file.
        path: PathBuf,
        /// Which.
        column: String,
        /// What it holds.
        found: String,
    },
}

/// What the rows or columns of `path` hold cannot be used.
pub(crate) fn unusable(path: &Path, message: impl Into<String>) -> TableError {
    TableError::Unusable {
        path: path.to_path_buf(),
        message: message.into(),
    }
}

/// The file at `path` cannot be read.
pub(crate) fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> TableError {
    TableError::Unreadable {
        path: path.to_path_buf(),
        message: error.to_string(),
    }
}
