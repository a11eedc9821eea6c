//! The bytes of a file that was read once, and what identifies them.

use super::error::{TableError, unreadable, unusable};
use super::made_by::MadeBy;
use super::parts::{self, PartFile, Partition};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// A file of rows as it was read. The digest is that of the bytes that were parsed, whatever happens to the file meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileRead {
    /// Where it was read from; a directory when the rows stand in parts.
    pub path: PathBuf,
    /// SHA-256 of its bytes, 64 hexadecimal digits. That of a directory is over a line for each part in the order of their names, as
    /// `sha256sum` prints it: the part's digest, two spaces, its path below the directory.
    pub sha256: String,
    /// Number of its bytes, in all parts.
    pub size: u64,
    /// Number of its rows.
    pub rows: usize,
    /// What its metadata say of its making, when `podium score` made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<MadeBy>,
}

/// The bytes of a file, or of a directory of parts, read at once, so that what is parsed and what is hashed cannot differ.
#[derive(Clone, Debug)]
pub struct FileBytes {
    pub(super) path: PathBuf,
    pub(super) parts: Vec<PartBytes>,
    pub(super) size: u64,
    sha256: String,
}

/// The bytes of one part; a file has one.
#[derive(Clone, Debug)]
pub(super) struct PartBytes {
    pub(super) path: PathBuf,
    pub(super) partitions: Vec<Partition>,
    // The type that parquet reads from without a copy.
    pub(super) bytes: Bytes,
}

impl FileBytes {
    /// Reads the whole file, or all parts in a directory, into memory.
    ///
    /// # Errors
    /// The file cannot be read, or the directory holds no parts.
    pub fn read(path: &Path) -> Result<Self, TableError> {
        if path.is_dir() {
            return Self::read_directory(path);
        }
        let bytes = read(path)?;
        Ok(Self {
            path: path.to_path_buf(),
            sha256: sha256_hex(&bytes),
            size: bytes.len() as u64,
            parts: vec![PartBytes {
                path: path.to_path_buf(),
                partitions: Vec::new(),
                bytes,
            }],
        })
    }

    fn read_directory(path: &Path) -> Result<Self, TableError> {
        let mut parts = Vec::new();
        let sha256 = sha256_of_parts(path, |part| {
            let bytes = read(&part.path)?;
            let sha256 = sha256_hex(&bytes);
            parts.push(PartBytes {
                path: part.path,
                partitions: part.partitions,
                bytes,
            });
            Ok(sha256)
        })?;
        Ok(Self {
            path: path.to_path_buf(),
            sha256,
            size: parts.iter().map(|part| part.bytes.len() as u64).sum(),
            parts,
        })
    }

    /// SHA-256 as in [`FileRead::sha256`].
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }
}

/// The digest of a directory of parts as in [`FileRead::sha256`]; `sha256_of_file` gives the digest of a part's bytes.
///
/// # Errors
/// The directory holds no table in parts, or a part cannot be read.
pub fn sha256_of_directory(
    directory: &Path,
    mut sha256_of_file: impl FnMut(&Path) -> std::io::Result<String>,
) -> Result<String, TableError> {
    sha256_of_parts(directory, |part| {
        sha256_of_file(&part.path).map_err(|error| unreadable(&part.path, &error))
    })
}

fn sha256_of_parts(
    directory: &Path,
    mut sha256_of: impl FnMut(PartFile) -> Result<String, TableError>,
) -> Result<String, TableError> {
    let mut lines = Sha256::new();
    for part in parts::of_directory(directory)? {
        let name = part.name.clone();
        lines.update(format!("{}  {name}\n", sha256_of(part)?));
    }
    Ok(hex(&lines.finalize()))
}

fn read(path: &Path) -> Result<Bytes, TableError> {
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    // A pipe may wait for ever for whoever writes to it, and some devices have no end.
    if !metadata.is_file() {
        let must = "rows must stand in a regular file or in a directory of such files; write what comes out of a pipe to a file first";
        return Err(unusable(path, must));
    }
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    Ok(bytes.into())
}

/// SHA-256 of `bytes` as 64 hexadecimal digits.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// `bytes` as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
