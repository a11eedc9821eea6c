//! Objects are files: `file:///absolute`, `file://relative` or a plain path.

use super::file_digests::FileDigests;
use crate::ports::{ObjectStore, PortError};
use std::path::{Path, PathBuf};

/// Objects under a base directory.
#[derive(Clone, Debug)]
pub struct DirectoryStore {
    base: PathBuf,
    digests: FileDigests,
}

impl DirectoryStore {
    /// Relative paths are taken from `base`.
    #[must_use]
    pub fn new(base: PathBuf) -> Self {
        Self {
            base,
            digests: FileDigests::default(),
        }
    }

    /// The file that a URI names.
    ///
    /// # Errors
    /// The URI has a scheme other than `file`.
    pub fn path(&self, uri: &str) -> Result<PathBuf, PortError> {
        path_of(&self.base, uri)
    }
}

/// The file that `uri` names, seen from `base`.
///
/// # Errors
/// The URI has a scheme other than `file`.
pub fn path_of(base: &Path, uri: &str) -> Result<PathBuf, PortError> {
    match uri.split_once("://") {
        None => Ok(base.join(uri)),
        Some(("file", path)) => Ok(base.join(path)),
        Some((scheme, _)) => Err(PortError::Permanent(format!(
            "`{uri}` cannot be reached without a cluster: its scheme must be `file`, not `{scheme}`"
        ))),
    }
}

impl ObjectStore for DirectoryStore {
    async fn digest(&self, uri: &str) -> Result<Option<String>, PortError> {
        let path = self.path(uri)?;
        self.digests.of(&path).map_err(|error| {
            PortError::Permanent(format!("cannot read {}: {error}", path.display()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_paths_and_file_uris_and_refuses_others() {
        let base = Path::new("/base");
        assert_eq!(path_of(base, "a/b").unwrap(), Path::new("/base/a/b"));
        assert_eq!(path_of(base, "file://a/b").unwrap(), Path::new("/base/a/b"));
        assert_eq!(path_of(base, "file:///a/b").unwrap(), Path::new("/a/b"));
        let refusal = path_of(base, "s3://bucket/key").unwrap_err().to_string();
        assert!(refusal.contains("must be `file`, not `s3`"), "{refusal}");
    }
}
