//! Digests of files and of directories of parts, remembered as long as a file is not touched.

use crate::regular_file;
use podium_workload::table::{TableError, hex, sha256_of_directory};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// A file that was touched less than this ago may be written again without looking any different.
const SETTLED: Duration = Duration::from_secs(2);

/// What a file looks like from outside; another look, another digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    length: u64,
    modified: Option<SystemTime>,
}

impl Look {
    fn at(metadata: &Metadata) -> Self {
        Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
        }
    }
}

/// Digests of files by path. Clones share what they remember.
#[derive(Clone, Debug, Default)]
pub struct FileDigests {
    known: Arc<Mutex<HashMap<PathBuf, (Look, String)>>>,
}

impl FileDigests {
    /// SHA-256 of a table in hexadecimal, as [`FileRead`](podium_workload::table::FileRead) has it: of a file, or of a directory of parts;
    /// `None` when it does not exist.
    ///
    /// # Errors
    /// It cannot be read, or the directory holds no finished table.
    pub fn of_table(&self, path: &Path) -> Result<Option<String>, TableError> {
        if path.is_dir() {
            let of_part = |part: &Path| {
                let gone = || io::Error::from(io::ErrorKind::NotFound);
                self.of(part)?.ok_or_else(gone)
            };
            return sha256_of_directory(path, of_part).map(Some);
        }
        self.of(path).map_err(|error| TableError::Unreadable {
            path: path.to_path_buf(),
            message: error.to_string(),
        })
    }

    /// SHA-256 of a file in hexadecimal; `None` when it does not exist.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(&self, path: &Path) -> io::Result<Option<String>> {
        let Some(file) = regular_file::open(path)? else {
            return Ok(None);
        };
        let look = Look::at(&file.metadata()?);
        let known = |digests: &HashMap<PathBuf, (Look, String)>| {
            let (before, digest) = digests.get(path)?;
            (*before == look).then(|| digest.clone())
        };
        if let Some(digest) = known(&self.known.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(Some(digest));
        }
        let digest = sha256(file)?;
        let age = look.modified.and_then(|modified| modified.elapsed().ok());
        if age.is_none_or(|age| age < SETTLED) {
            return Ok(Some(digest));
        }
        let mut digests = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        digests.insert(path.to_path_buf(), (look, digest.clone()));
        Ok(Some(digest))
    }
}

fn sha256(mut file: File) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hasher.update(buffer.get(..read).unwrap_or_default()),
        }
    }
    Ok(hex(&hasher.finalize()))
}
