//! The bytes of a file that was read once, and what identifies them.

use super::error::{TableError, unreadable};
use super::made_by::MadeBy;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// A file of rows as it was read. The digest is that of the bytes that were parsed, whatever happens to the file meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileRead {
    /// Where it was read from.
    pub path: PathBuf,
    /// SHA-256 of its bytes, 64 hexadecimal digits.
    pub sha256: String,
    /// Number of its bytes.
    pub size: u64,
    /// Number of its rows.
    pub rows: usize,
    /// What its metadata say of its making, when `podium score` made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<MadeBy>,
}

/// The bytes of a file, read at once, so that what is parsed and what is hashed cannot differ.
#[derive(Clone, Debug)]
pub struct FileBytes {
    pub(super) path: PathBuf,
    // The type that parquet reads from without a copy; axum exports it from the crate `bytes`.
    pub(super) bytes: Bytes,
    sha256: String,
}

impl FileBytes {
    /// Reads the whole file into memory.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(path: &Path) -> Result<Self, TableError> {
        let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
        Ok(Self {
            path: path.to_path_buf(),
            sha256: sha256_hex(&bytes),
            bytes: bytes.into(),
        })
    }

    /// SHA-256 of the bytes, 64 hexadecimal digits.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    pub(super) fn into_file_read(self, rows: usize, made_by: Option<MadeBy>) -> FileRead {
        FileRead {
            path: self.path,
            sha256: self.sha256,
            size: self.bytes.len() as u64,
            rows,
            made_by,
        }
    }
}

/// SHA-256 of `bytes` as 64 hexadecimal digits.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// `bytes` as hexadecimal digits.
#[must_use]
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
