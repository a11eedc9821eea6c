//! The files and directories that a run stands on, so that it notices when somebody takes them away.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Paths with what stood there when the run began.
#[derive(Debug)]
pub(super) struct Foundations(Vec<(PathBuf, Identity)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Foundations {
    /// What stands at these paths now.
    ///
    /// # Errors
    /// One of them cannot be looked at.
    pub(super) fn of(paths: impl IntoIterator<Item = PathBuf>) -> io::Result<Self> {
        let known: io::Result<Vec<_>> = paths
            .into_iter()
            .map(|path| identity(&path).map(|identity| (path, identity)))
            .collect();
        known.map(Self)
    }

    /// The first path at which no longer stands what stood there.
    pub(super) fn vanished(&self) -> Option<&Path> {
        let vanished = |(path, known): &&(PathBuf, Identity)| identity(path).ok() != Some(*known);
        self.0.iter().find(vanished).map(|(path, _)| path.as_path())
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    let found = fs::metadata(path)?;
    Ok(Identity {
        device: found.dev(),
        inode: found.ino(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_moved_or_replaced_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let paths = ["a", "b", "c"].map(|name| directory.path().join(name));
        for path in &paths {
            fs::create_dir(path).unwrap();
        }
        let foundations = Foundations::of(paths.clone()).unwrap();
        assert_eq!(foundations.vanished(), None);
        fs::rename(&paths[2], directory.path().join("d")).unwrap();
        assert_eq!(foundations.vanished(), Some(paths[2].as_path()));
        fs::rename(&paths[1], directory.path().join("e")).unwrap();
        fs::write(&paths[1], "another").unwrap();
        assert_eq!(foundations.vanished(), Some(paths[1].as_path()));
        fs::remove_dir(&paths[0]).unwrap();
        assert_eq!(foundations.vanished(), Some(paths[0].as_path()));
    }
}
