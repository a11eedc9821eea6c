//! The bytes of a file that was read once, and what identifies them.

use super::error::{TableError, unopened, unreadable, unusable};
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
    /// What the object store called this content, where it was read from one. That of parts is made of those of the parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
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
    etag: Option<String>,
}

/// What was read of one object of an object store.
#[derive(Clone, Debug, Default)]
pub struct ObjectBytes {
    /// All of its bytes.
    pub bytes: Vec<u8>,
    /// SHA-256 of these bytes, 64 hexadecimal digits.
    pub sha256: String,
    /// What the store called this content.
    pub etag: Option<String>,
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
            etag: None,
            parts: vec![PartBytes {
                path: path.to_path_buf(),
                partitions: Vec::new(),
                bytes,
            }],
        })
    }

    /// What was read of an object at this address.
    #[must_use]
    pub fn of_object(address: &Path, object: ObjectBytes) -> Self {
        let ObjectBytes {
            bytes,
            sha256,
            etag,
        } = object;
        Self {
            path: address.to_path_buf(),
            sha256,
            size: bytes.len() as u64,
            etag,
            parts: vec![PartBytes {
                path: address.to_path_buf(),
                partitions: Vec::new(),
                bytes: bytes.into(),
            }],
        }
    }

    /// What was read of all objects of a table in parts at this address, which the store calls `etag` together. The parts are those of
    /// [`parts_among`](super::parts_among), in that order.
    #[must_use]
    pub fn of_parts(address: &Path, parts: Vec<(PartFile, ObjectBytes)>, etag: String) -> Self {
        let mut lines = Sha256::new();
        for (part, object) in &parts {
            lines.update(line(&object.sha256, &part.name));
        }
        let parts: Vec<PartBytes> = parts
            .into_iter()
            .map(|(part, object)| PartBytes {
                path: part.path,
                partitions: part.partitions,
                bytes: object.bytes.into(),
            })
            .collect();
        Self {
            path: address.to_path_buf(),
            sha256: hex(&lines.finalize()),
            size: size(&parts),
            etag: Some(etag),
            parts,
        }
    }

    fn read_directory(path: &Path) -> Result<Self, TableError> {
        let mut parts = Vec::new();
        let sha256 = sha256_of_parts(path, |part| {
            let bytes = read(&part.path).map_err(TableError::of_a_part)?;
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
            size: size(&parts),
            etag: None,
            parts,
        })
    }

    /// Where they were read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 as in [`FileRead::sha256`].
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// What the object store called this content, where it was read from one.
    #[must_use]
    pub fn etag(&self) -> Option<&str> {
        self.etag.as_deref()
    }

    /// The bytes of a single file; `None` of a table in parts.
    pub(crate) fn single(&self) -> Option<&Bytes> {
        match self.parts.as_slice() {
            [part] if part.path == self.path => Some(&part.bytes),
            _ => None,
        }
    }
}

fn size(parts: &[PartBytes]) -> u64 {
    parts.iter().map(|part| part.bytes.len() as u64).sum()
}

/// What `sha256sum` prints of a part.
fn line(sha256: &str, name: &str) -> String {
    format!("{sha256}  {name}\n")
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
        lines.update(line(&sha256_of(part)?, &name));
    }
    Ok(hex(&lines.finalize()))
}

fn read(path: &Path) -> Result<Bytes, TableError> {
    let metadata = std::fs::metadata(path).map_err(|error| unopened(path, &error))?;
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
