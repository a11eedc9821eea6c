//! The files of a directory that holds one table in parts, as Spark, Dask and pandas write it.

use super::error::{TableError, unreadable, unusable};
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A column that the name of a directory gives to all rows below it, such as `day=2026-01-01`; `None` where the value is missing.
pub(super) type Partition = (String, Option<String>);

/// One file of a table.
#[derive(Debug)]
pub(super) struct PartFile {
    pub(super) path: PathBuf,
    /// Its path below the directory, with `/` between names.
    pub(super) name: String,
    pub(super) partitions: Vec<Partition>,
    /// The device and the number of the file there, which no other file has.
    identity: (u64, u64),
}

/// Directories of table formats whose files are not all part of the table; only their own log knows which are.
const TABLE_FORMATS: [(&str, &str); 3] = [
    ("_delta_log", "Delta Lake"),
    (".hoodie", "Hudi"),
    ("metadata", "Iceberg"),
];

/// What Hive and Spark write for a missing value.
const MISSING: &str = "__HIVE_DEFAULT_PARTITION__";

/// The data files below `directory` in the order of their names. Names that begin with `_` or `.` are those of markers and checksums.
///
/// # Errors
/// The directory cannot be read, holds no data file, is not finished, or is a table of a format of its own.
pub(super) fn of_directory(directory: &Path) -> Result<Vec<PartFile>, TableError> {
    refuse_table_formats(directory)?;
    let mut found = Vec::new();
    collect(directory, "", &[], &mut found)?;
    if found.is_empty() {
        return Err(unusable(directory, "the directory holds no data files"));
    }
    found.sort_by(|left, right| left.name.as_bytes().cmp(right.name.as_bytes()));
    refuse_repeated(&found)?;
    Ok(found)
}

/// A file that is there by several names would give its rows several times.
fn refuse_repeated(parts: &[PartFile]) -> Result<(), TableError> {
    let mut seen: HashMap<(u64, u64), &str> = HashMap::new();
    for part in parts {
        let (device, inode) = part.identity;
        // Some file systems have no numbers for their files.
        if inode == 0 {
            continue;
        }
        if let Some(name) = seen.insert((device, inode), &part.name) {
            let message =
                format!("the same file is the part `{name}` already; its rows would count twice");
            return Err(unusable(&part.path, message));
        }
    }
    Ok(())
}

fn refuse_table_formats(directory: &Path) -> Result<(), TableError> {
    let of_format = TABLE_FORMATS
        .iter()
        .find(|(folder, _)| directory.join(folder).is_dir());
    match of_format {
        None => Ok(()),
        Some((folder, format)) => Err(unusable(
            directory,
            format!(
                "the directory holds `{folder}`, so that it is a table of {format}, whose log says which files count; write its rows as plain Parquet"
            ),
        )),
    }
}

fn collect(
    directory: &Path,
    below: &str,
    partitions: &[Partition],
    found: &mut Vec<PartFile>,
) -> Result<(), TableError> {
    let entries = fs::read_dir(directory).map_err(|error| unreadable(directory, &error))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| unreadable(directory, &error))?;
        let name = entry.file_name().into_string().map_err(|name| {
            let name = name.to_string_lossy();
            unusable(directory, format!("the name `{name}` must be UTF-8"))
        })?;
        if name.contains(char::is_control) {
            let message = format!("the name {name:?} must not hold control characters");
            return Err(unusable(directory, message));
        }
        names.push(name);
    }
    refuse_unfinished(directory, &names)?;
    for name in names {
        if name.starts_with(['_', '.']) {
            continue;
        }
        let path = directory.join(&name);
        let metadata = fs::metadata(&path).map_err(|error| unreadable(&path, &error))?;
        if metadata.is_dir() {
            let partition = partition(&name).ok_or_else(|| {
                let must = "a directory in a table of parts must be named COLUMN=VALUE";
                unusable(&path, must)
            })?;
            let partitions = [partitions, &[partition]].concat();
            collect(&path, &format!("{below}{name}/"), &partitions, found)?;
        } else if metadata.is_file() {
            found.push(PartFile {
                path,
                name: format!("{below}{name}"),
                partitions: partitions.to_vec(),
                identity: (metadata.dev(), metadata.ino()),
            });
        } else {
            return Err(unusable(&path, "a part of a table must be a regular file"));
        }
    }
    Ok(())
}

/// A job of Spark that goes on or broke off leaves `_temporary`, or on Databricks a `_started_…` without its `_committed_…`.
fn refuse_unfinished(directory: &Path, names: &[String]) -> Result<(), TableError> {
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    let open = names.iter().find(|name| {
        name.strip_prefix("_started_")
            .is_some_and(|transaction| !has(&format!("_committed_{transaction}")))
    });
    let temporary = names.iter().find(|name| *name == "_temporary");
    match temporary.or(open) {
        None => Ok(()),
        Some(marker) => Err(unusable(
            directory,
            format!("the directory holds `{marker}`: the job that writes it has not finished"),
        )),
    }
}

fn partition(name: &str) -> Option<Partition> {
    let (column, value) = name.split_once('=')?;
    if column.is_empty() {
        return None;
    }
    let value = (value != MISSING).then(|| unescaped(value));
    Some((unescaped(column), value))
}

/// Undoes the `%3A` of Hive; what is no such sequence stays as it is.
fn unescaped(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut position = 0;
    while position < bytes.len() {
        let digits = text.get(position + 1..position + 3);
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) if bytes[position] == b'%' => {
                decoded.push(byte);
                position += 3;
            }
            _ => {
                decoded.push(bytes[position]);
                position += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(files: &[&str]) -> Result<Vec<PartFile>, String> {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let prefix = format!("{}/", directory.path().display());
        of_directory(directory.path()).map_err(|error| error.to_string().replace(&prefix, ""))
    }

    #[test]
    fn markers_and_checksums_are_no_parts() {
        let found = names(&[
            "part-1.parquet",
            "part-0.parquet",
            "_SUCCESS",
            "._SUCCESS.crc",
            ".part-0.parquet.crc",
            "_started_7",
            "_committed_7",
        ])
        .unwrap();
        let found: Vec<_> = found.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(found, ["part-0.parquet", "part-1.parquet"]);
    }

    #[test]
    fn directories_name_columns() {
        let found = names(&[
            "day=2026-01-01/at=a%20b%3A%/p",
            "day=__HIVE_DEFAULT_PARTITION__/at=/p",
        ]);
        let found = found.unwrap();
        let some = |name: &str, value: &str| (name.to_string(), Some(value.to_string()));
        assert_eq!(found[0].name, "day=2026-01-01/at=a%20b%3A%/p");
        assert_eq!(
            found[0].partitions,
            [some("day", "2026-01-01"), some("at", "a b:%")]
        );
        assert_eq!(
            found[1].partitions,
            [("day".to_string(), None), some("at", "")]
        );
    }

    #[test]
    fn what_is_no_finished_table_is_refused_by_name() {
        for (files, named) in [
            (&["_SUCCESS"][..], "no data files"),
            (&["p", "_delta_log/0.json"], "Delta Lake"),
            (&["data/p", "metadata/v1.metadata.json"], "Iceberg"),
            (&["p", "_temporary/0/p"], "has not finished"),
            (&["p", "_started_7"], "`_started_7`"),
            (&["p", "old/p"], "old: a directory in a table"),
        ] {
            let refusal = names(files).unwrap_err();
            assert!(refusal.contains(named), "{refusal}");
        }
    }
    #[test]
    fn a_file_counts_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("_p"), "").unwrap();
        std::os::unix::fs::symlink(path("_p"), path("a")).unwrap();
        assert_eq!(of_directory(directory.path()).unwrap()[0].name, "a");
        for link in [fs::hard_link, std::os::unix::fs::symlink] {
            link(path("_p"), path("b")).unwrap();
            assert_eq!(
                of_directory(directory.path()).unwrap_err().to_string(),
                format!(
                    "{}: the same file is the part `a` already; its rows would count twice",
                    path("b").display()
                )
            );
            fs::remove_file(path("b")).unwrap();
        }
    }
}
