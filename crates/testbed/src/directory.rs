//! The directory of a cluster: who may start or end one there, and its removal.

use crate::{TestbedError, at};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What a cluster is known by. It is written first and removed last, so that whatever was interrupted is found.
pub(crate) const RECORD: &str = "ports.json";

/// The right to start or end a cluster in a directory. It ends with the process that has it, however that ends.
#[derive(Debug)]
pub(crate) struct Claim {
    /// The directory itself is locked: a file beside it would be left behind, and one in it goes with it.
    _directory: File,
}

impl Claim {
    /// Claims a directory, after whoever starts or ends a cluster there; nothing when there is no directory.
    pub(crate) fn of(
        directory: &Path,
        say: &mut dyn FnMut(&str),
    ) -> Result<Option<Self>, TestbedError> {
        loop {
            let opened = match File::open(directory) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                opened => at(directory, opened)?,
            };
            if opened.try_lock().is_err() {
                let directory = directory.display();
                say(&format!(
                    "waiting for the start or the end of another test bed in {directory}"
                ));
            }
            at(directory, opened.lock())?;
            // Meanwhile it may have been removed and made again.
            let identity = |data: fs::Metadata| (data.dev(), data.ino());
            let claimed = at(directory, opened.metadata()).map(identity)?;
            if fs::metadata(directory).is_ok_and(|data| identity(data) == claimed) {
                return Ok(Some(Self { _directory: opened }));
            }
        }
    }

    /// Claims a directory that is made first if there is none.
    pub(crate) fn of_new(
        directory: &Path,
        say: &mut dyn FnMut(&str),
    ) -> Result<Self, TestbedError> {
        loop {
            at(directory, fs::create_dir_all(directory))?;
            if let Some(claim) = Self::of(directory, say)? {
                return Ok(claim);
            }
        }
    }
}

/// Refuses a directory with files of somebody else, since the end of a cluster removes all that its directory holds.
pub(crate) fn must_be_empty(directory: &Path) -> Result<(), TestbedError> {
    if at(directory, fs::read_dir(directory))?.next().is_none() {
        return Ok(());
    }
    let directory = directory.display();
    Err(TestbedError::Needs(format!(
        "a directory of its own, and {directory} has other files"
    )))
}

/// Removes what a directory of a cluster holds.
pub(crate) fn clear(directory: &Path) -> Result<(), TestbedError> {
    for entry in at(directory, fs::read_dir(directory))? {
        let entry = at(directory, entry)?;
        let path = entry.path();
        if entry.file_name() == RECORD {
            continue;
        }
        if at(&path, entry.file_type())?.is_dir() {
            at(&path, fs::remove_dir_all(&path))?;
        } else {
            at(&path, fs::remove_file(&path))?;
        }
    }
    let record = directory.join(RECORD);
    at(&record, fs::remove_file(&record))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn a_directory_is_claimed_by_one_and_then_by_the_next_also_when_it_was_removed_meanwhile() {
        let directory = std::env::temp_dir().join(format!("podium-claim-{}", std::process::id()));
        assert!(Claim::of(&directory, &mut |_| {}).unwrap().is_none());
        let first = Claim::of_new(&directory, &mut |_| {}).unwrap();
        let (waits, is_waiting) = channel();
        let other = directory.clone();
        let second = std::thread::spawn(move || {
            let claim = Claim::of_new(&other, &mut |step| waits.send(step.to_string()).unwrap());
            (claim.unwrap(), other.is_dir())
        });
        let said = is_waiting.recv().unwrap();
        assert!(said.starts_with("waiting for the start or the end"));
        fs::remove_dir(&directory).unwrap();
        drop(first);
        let (_claim, is_there) = second.join().unwrap();
        assert!(is_there);
        fs::remove_dir(&directory).unwrap();
    }

    #[test]
    fn files_of_others_are_refused_and_a_link_is_removed_without_what_it_leads_to() {
        let directory =
            std::env::temp_dir().join(format!("podium-directory-{}", std::process::id()));
        let (cluster, other) = (directory.join("cluster"), directory.join("other"));
        for folder in [&cluster, &other] {
            fs::create_dir_all(folder).unwrap();
        }
        must_be_empty(&cluster).unwrap();
        fs::write(other.join("file"), "").unwrap();
        assert!(must_be_empty(&other).is_err());
        std::os::unix::fs::symlink(&other, cluster.join("link")).unwrap();
        fs::write(cluster.join(RECORD), "").unwrap();
        clear(&cluster).unwrap();
        must_be_empty(&cluster).unwrap();
        assert!(other.join("file").is_file());
        fs::remove_dir_all(&directory).unwrap();
    }
}
