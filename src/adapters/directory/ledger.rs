//! Write-once registers as files: the key is the path, the text the content.

use super::registry::{cannot, entries, path_segment};
use crate::ports::{PortError, RegisterWrite};
use crate::regular_file;
use podium_core::champion::ledger::Register;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An unfinished file of this age was left by a writer that was killed.
const ABANDONED: Duration = Duration::from_secs(3600);

/// All registers under `root`, by key; none where there is no such directory.
pub(super) fn read(root: &Path) -> Result<BTreeMap<String, String>, PortError> {
    let mut registers = BTreeMap::new();
    read_below(root, "", &mut registers)?;
    Ok(registers)
}

fn read_below(
    directory: &Path,
    prefix: &str,
    registers: &mut BTreeMap<String, String>,
) -> Result<(), PortError> {
    for name in entries(directory)? {
        let path = directory.join(&name);
        let key = if prefix.is_empty() {
            name
        } else {
            format!("{prefix}/{name}")
        };
        if path.is_dir() {
            read_below(&path, &key, registers)?;
        } else {
            let text = regular_file::read_text(&path)?.unwrap_or_default();
            registers.insert(key, text.trim_end().to_string());
        }
    }
    Ok(())
}

/// Writes a register unless it exists. It appears whole or not at all: the text is written beside it and then linked to its name, which
/// fails where that name is taken.
pub(super) fn write(root: &Path, register: &Register) -> Result<RegisterWrite, PortError> {
    register.check().map_err(PortError::refused)?;
    let path = path_of(root, &register.key)?;
    let parent = path.parent().unwrap_or(root).to_path_buf();
    fs::create_dir_all(&parent).map_err(|e| cannot("write", &parent, &e))?;
    remove_abandoned(&parent);
    let unfinished = parent.join(format!(".{}", uuid::Uuid::new_v4()));
    let written = write_whole(&unfinished, &register.text)
        .and_then(|()| fs::hard_link(&unfinished, &path))
        .and_then(|()| File::open(&parent)?.sync_all());
    let removed = fs::remove_file(&unfinished);
    match written {
        Ok(()) => removed
            .map(|()| RegisterWrite::Holds)
            .map_err(|e| cannot("remove", &unfinished, &e)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let found = regular_file::read_text(&path)?.unwrap_or_default();
            let same = found.trim_end() == register.text;
            Ok(if same {
                RegisterWrite::Holds
            } else {
                RegisterWrite::Taken
            })
        }
        Err(error) => Err(cannot("write", &path, &error)),
    }
}

/// Removes what writers left that were killed: no write lasts an hour. What cannot be removed harms nobody.
fn remove_abandoned(parent: &Path) {
    let abandoned = |entry: &fs::DirEntry| {
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let age = modified.ok().and_then(|modified| modified.elapsed().ok());
        hidden && age.is_some_and(|age| age > ABANDONED)
    };
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    for entry in entries.filter(abandoned) {
        drop(fs::remove_file(entry.path()));
    }
}

fn path_of(root: &Path, key: &str) -> Result<PathBuf, PortError> {
    let mut path = root.to_path_buf();
    for part in key.split('/') {
        path.push(path_segment("a ledger entry", part)?);
    }
    Ok(path)
}

fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn what_a_killed_writer_left_is_removed_and_a_write_that_goes_on_is_not() {
        let root = tempfile::tempdir().unwrap();
        let looks = root.path().join("look");
        fs::create_dir_all(&looks).unwrap();
        for (name, age) in [(".abandoned", 2 * ABANDONED), (".going-on", Duration::ZERO)] {
            let file = File::create(looks.join(name)).unwrap();
            file.set_modified(SystemTime::now() - age).unwrap();
        }
        let register = Register {
            key: "look/00000001".to_string(),
            text: "{}".to_string(),
        };
        write(root.path(), &register).unwrap();
        let mut left: Vec<_> = fs::read_dir(&looks)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, [".going-on", "00000001"]);
    }
}
