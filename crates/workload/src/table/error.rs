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
    /// There is no such file.
    #[error("cannot read {path}: {message}")]
    Missing {
        /// Which.
        path: PathBuf,
        /// How that was found.
        message: String,
    },
    /// The job that writes a table in parts goes on, or broke off.
    #[error("{folder}: the directory holds `{marker}`: the job that writes it has not finished")]
    Unfinished {
        /// The table.
        path: PathBuf,
        /// The directory in it that is not finished, or it itself.
        folder: PathBuf,
        /// What the job has not removed yet.
        marker: String,
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
    #[error("{path} must have the column `{column}`; it has {}{}", quoted(.present), separators(.present))]
    MissingColumn {
        /// In which file.
        path: PathBuf,
        /// Which.
        column: String,
        /// Those that are there.
        present: Vec<String>,
    },
    /// A column is there more than once, so that its name does not say which is meant.
    #[error(
        "{path} must have one column `{column}`; it has {count} of that name: rename or remove the others"
    )]
    RepeatedColumn {
        /// In which file.
        path: PathBuf,
        /// Which.
        column: String,
        /// How often it is there.
        count: usize,
    },
}

impl TableError {
    /// Whether the file or the table that was asked for is not there, or not yet: waiting may help.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.missing().is_some()
    }

    /// The same of a part of what was asked for: the whole is there.
    pub(super) fn of_a_part(self) -> Self {
        match self {
            Self::Missing { path, message } => Self::Unreadable { path, message },
            other => other,
        }
    }

    /// What is not there, or not yet, as it was asked for.
    #[must_use]
    pub fn missing(&self) -> Option<&Path> {
        match self {
            Self::Missing { path, .. } | Self::Unfinished { path, .. } => Some(path),
            Self::Unreadable { .. }
            | Self::Unusable { .. }
            | Self::MissingColumn { .. }
            | Self::RepeatedColumn { .. } => None,
        }
    }
}

/// Names in backquotes, so that spaces in them can be seen.
fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// What may be wrong when a whole header is one name.
fn separators(present: &[String]) -> &'static str {
    if present.len() == 1 {
        ". The cells of a CSV file must be separated by commas, semicolons, tabs or bars"
    } else {
        ""
    }
}

/// What the rows or columns of `path` hold cannot be used.
pub(crate) fn unusable(path: &Path, message: impl Into<String>) -> TableError {
    TableError::Unusable {
        path: path.to_path_buf(),
        message: message.into(),
    }
}

/// The file at `path`, which was asked for, cannot be opened.
pub(crate) fn unopened(path: &Path, error: &std::io::Error) -> TableError {
    match error.kind() {
        std::io::ErrorKind::NotFound => TableError::Missing {
            path: path.to_path_buf(),
            message: error.to_string(),
        },
        _ => unreadable(path, error),
    }
}

/// The file at `path` cannot be read.
pub(crate) fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> TableError {
    TableError::Unreadable {
        path: path.to_path_buf(),
        message: error.to_string(),
    }
}
