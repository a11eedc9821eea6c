//! The files of a table in parts, as Spark, Dask and pandas write it. The names alone decide which they are, whether a directory of this
//! machine supplies them or an object store.

use super::error::{TableError, unreadable, unusable};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A column that the name of a directory gives to all rows below it, such as `day=2026-01-01`; `None` where the value is missing.
pub(super) type Partition = (String, Option<String>);

/// One file of a table in parts.
#[derive(Clone, Debug)]
pub struct PartFile {
    pub(super) path: PathBuf,
    pub(super) name: String,
    pub(super) partitions: Vec<Partition>,
    identity: Option<Identity>,
}

/// The device and the number of a file there, which no other file has.
type Identity = (u64, u64);

impl PartFile {
    /// Its path below the table, with `/` between names.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Directories of table formats whose files are not all part of the table; only their own log knows which are.
const TABLE_FORMATS: [(&str, &str); 3] = [
    ("_delta_log", "Delta Lake"),
    (".hoodie", "Hudi"),
    ("metadata", "Iceberg"),
];

/// What Hive and Spark write for a missing value.
const MISSING: &str = "__HIVE_DEFAULT_PARTITION__";

/// What the names of the empty objects end with that Hadoop and EMR leave beside each folder of an object store.
const FOLDER_MARKER: &str = "_$folder$";

/// The data files below `directory` in the order of their names. Names that begin with `_` or `.` are those of markers and checksums, and so
/// are those of files that end with [`FOLDER_MARKER`].
///
/// # Errors
/// The directory cannot be read, holds no data file, is not finished, or is a table of a format of its own.
pub(super) fn of_directory(directory: &Path) -> Result<Vec<PartFile>, TableError> {
    Walk {
        root: directory,
        names: &Directory(directory),
    }
    .parts()
}

/// The same of a table in an object store: `names` are the keys below its address, without the prefix that all of them begin with. A name
/// that ends with `/` stands for an empty folder.
///
/// # Errors
/// No name is that of a data file, the table is not finished, or it is of a format of its own.
pub fn parts_among<'a>(
    address: &Path,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<PartFile>, TableError> {
    Walk {
        root: address,
        names: &Objects::of(address, names),
    }
    .parts()
}

/// What stands under a name.
enum Entry {
    Folder,
    File(Option<Identity>),
}

/// Supplies names. A path is below the table, with `/` between names.
trait Names {
    /// The names in a folder, whose path ends with `/`; that of the table itself is empty.
    fn in_folder(&self, folder: &str) -> Result<Vec<String>, TableError>;
    /// What stands at a path.
    fn entry(&self, path: &str) -> Result<Entry, TableError>;
}

/// The rules.
struct Walk<'a> {
    root: &'a Path,
    names: &'a dyn Names,
}

impl Walk<'_> {
    fn parts(&self) -> Result<Vec<PartFile>, TableError> {
        let names = self.names_in("")?;
        self.refuse_table_formats(&names)?;
        let mut found = Vec::new();
        self.collect("", names, &[], &mut found)?;
        if found.is_empty() {
            // Folders are often made before their files are, and a job may hold all of them back until it has finished.
            return Err(TableError::Missing {
                path: self.root.to_path_buf(),
                message: "the directory holds no data files".to_string(),
            });
        }
        found.sort_by(|left, right| left.name.as_bytes().cmp(right.name.as_bytes()));
        refuse_repeated(&found)?;
        Ok(found)
    }

    fn names_in(&self, folder: &str) -> Result<Vec<String>, TableError> {
        let names = self.names.in_folder(folder)?;
        match names.iter().find(|name| name.contains(char::is_control)) {
            None => Ok(names),
            Some(name) => {
                let message = format!("the name {name:?} must not hold control characters");
                Err(unusable(&below(self.root, folder), message))
            }
        }
    }

    fn refuse_table_formats(&self, names: &[String]) -> Result<(), TableError> {
        let is_folder = |name: &str| {
            names.iter().any(|other| other == name)
                && matches!(self.names.entry(name), Ok(Entry::Folder))
        };
        match TABLE_FORMATS.iter().find(|(folder, _)| is_folder(folder)) {
            None => Ok(()),
            Some((folder, format)) => Err(unusable(
                self.root,
                format!(
                    "the directory holds `{folder}`, so that it is a table of {format}, whose log says which files count; write its rows as plain Parquet"
                ),
            )),
        }
    }

    fn collect(
        &self,
        folder: &str,
        names: Vec<String>,
        partitions: &[Partition],
        found: &mut Vec<PartFile>,
    ) -> Result<(), TableError> {
        self.refuse_unfinished(folder, &names)?;
        for name in names {
            if name.starts_with(['_', '.']) {
                continue;
            }
            let path = format!("{folder}{name}");
            match self.names.entry(&path)? {
                Entry::Folder => {
                    let partition = partition(&name).ok_or_else(|| {
                        let must = "a directory in a table of parts must be named COLUMN=VALUE";
                        unusable(&below(self.root, &path), must)
                    })?;
                    let partitions = [partitions, &[partition]].concat();
                    let within = format!("{path}/");
                    let names = self.names_in(&within)?;
                    self.collect(&within, names, &partitions, found)?;
                }
                Entry::File(_) if name.ends_with(FOLDER_MARKER) => {}
                Entry::File(identity) => found.push(PartFile {
                    path: below(self.root, &path),
                    name: path,
                    partitions: partitions.to_vec(),
                    identity,
                }),
            }
        }
        Ok(())
    }

    /// A job of Spark that goes on or broke off leaves `_temporary`, or `__magic` and `__magic_job-…` where its committer is that for S3, or on
    /// Databricks a `_started_…` without its `_committed_…`.
    fn refuse_unfinished(&self, folder: &str, names: &[String]) -> Result<(), TableError> {
        let has = |wanted: &str| names.iter().any(|name| name == wanted);
        let open = names.iter().find(|name| {
            name.strip_prefix("_started_")
                .is_some_and(|transaction| !has(&format!("_committed_{transaction}")))
        });
        let is_temporary = |name: &&String| *name == "_temporary" || is_of_magic_committer(name);
        let temporary = names.iter().find(is_temporary);
        match temporary.or(open) {
            None => Ok(()),
            Some(marker) => Err(TableError::Unfinished {
                path: self.root.to_path_buf(),
                folder: below(self.root, folder),
                marker: marker.clone(),
            }),
        }
    }
}

/// Whether the committer of Hadoop for S3 keeps there what is not part of the table yet: until 3.3 in one folder, since then in one for each job.
fn is_of_magic_committer(name: &str) -> bool {
    name == "__magic" || name.starts_with("__magic_job-")
}

/// A file that is there by several names would give its rows several times.
fn refuse_repeated(parts: &[PartFile]) -> Result<(), TableError> {
    let mut seen: HashMap<Identity, &str> = HashMap::new();
    for part in parts {
        let Some(identity) = part.identity else {
            continue;
        };
        if let Some(name) = seen.insert(identity, &part.name) {
            let message =
                format!("the same file is the part `{name}` already; its rows would count twice");
            return Err(unusable(&part.path, message));
        }
    }
    Ok(())
}

/// What stands at `path` below `root`, which may be an address: it is put behind it as it is.
fn below(root: &Path, path: &str) -> PathBuf {
    let path = path.trim_end_matches('/');
    let mut all = root.as_os_str().to_os_string();
    if !path.is_empty() {
        if !all.as_encoded_bytes().ends_with(b"/") {
            all.push("/");
        }
        all.push(path);
    }
    PathBuf::from(all)
}

/// A directory of this machine.
struct Directory<'a>(&'a Path);

impl Names for Directory<'_> {
    fn in_folder(&self, folder: &str) -> Result<Vec<String>, TableError> {
        let directory = below(self.0, folder);
        let entries = fs::read_dir(&directory).map_err(|error| unreadable(&directory, &error))?;
        let name = |entry: std::io::Result<fs::DirEntry>| {
            let entry = entry.map_err(|error| unreadable(&directory, &error))?;
            entry.file_name().into_string().map_err(|name| {
                let name = name.to_string_lossy();
                unusable(&directory, format!("the name `{name}` must be UTF-8"))
            })
        };
        entries.map(name).collect()
    }

    fn entry(&self, path: &str) -> Result<Entry, TableError> {
        let path = below(self.0, path);
        let metadata = fs::metadata(&path).map_err(|error| unreadable(&path, &error))?;
        if metadata.is_dir() {
            Ok(Entry::Folder)
        } else if metadata.is_file() {
            let identity = (metadata.dev(), metadata.ino());
            // Some file systems have no numbers for their files.
            Ok(Entry::File(Some(identity).filter(|(_, inode)| *inode != 0)))
        } else {
            Err(unusable(&path, "a part of a table must be a regular file"))
        }
    }
}

/// The keys of objects, which have folders by their names alone.
struct Objects<'a> {
    root: &'a Path,
    /// The names in each folder, by its path.
    folders: BTreeMap<String, BTreeSet<String>>,
    objects: BTreeSet<String>,
}

impl<'a> Objects<'a> {
    fn of<'n>(root: &'a Path, names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut all = Self {
            root,
            folders: BTreeMap::new(),
            objects: BTreeSet::new(),
        };
        for name in names {
            all.add(name);
        }
        all
    }

    fn add(&mut self, name: &str) {
        let (mut folder, mut rest) = (String::new(), name);
        while let Some((first, below)) = rest.split_once('/') {
            let names = self.folders.entry(folder.clone()).or_default();
            names.insert(first.to_string());
            folder.push_str(first);
            folder.push('/');
            rest = below;
        }
        let names = self.folders.entry(folder).or_default();
        if !rest.is_empty() {
            names.insert(rest.to_string());
            self.objects.insert(name.to_string());
        }
    }
}

impl Names for Objects<'_> {
    fn in_folder(&self, folder: &str) -> Result<Vec<String>, TableError> {
        let names = self.folders.get(folder).into_iter().flatten();
        Ok(names.cloned().collect())
    }

    fn entry(&self, path: &str) -> Result<Entry, TableError> {
        let is_folder = self.folders.contains_key(&format!("{path}/"));
        match (is_folder, self.objects.contains(path)) {
            (true, false) => Ok(Entry::Folder),
            (false, _) => Ok(Entry::File(None)),
            (true, true) => Err(unusable(
                &below(self.root, path),
                "it is an object and a folder of other objects, so that its rows could be left out; rename one of the two",
            )),
        }
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
mod tests;
