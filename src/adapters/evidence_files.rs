//! The files of commands: paths of this machine, and objects of an object store.

use super::directory::store::path_of;
use super::s3::{PutMode, S3Address, S3Store};
use crate::ports::PortError;
use podium_api::champion_policy::StoreSpec;
use podium_workload::predictions_file::{FileSink, WriteError};
use podium_workload::table::{FileBytes, FileSource, LocalFiles, TableError};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What a text names: a path of this machine, which a `file:` URI may be too, taken from `base`; or an object, whose address stays as it is.
///
/// # Errors
/// It has another scheme, or names no file.
pub fn address_of(base: &Path, uri: &str) -> Result<PathBuf, PortError> {
    if S3Address::is_meant_by(Path::new(uri)) {
        let refused = |why: String| PortError::refused(format!("`{uri}`: {why}"));
        S3Address::parse(Path::new(uri)).map_err(refused)?;
        return Ok(PathBuf::from(uri));
    }
    match uri.split_once("://") {
        Some((scheme, rest)) if !scheme.eq_ignore_ascii_case("file") => {
            let advice = match scheme.to_ascii_lowercase().as_str() {
                "s3" | "s3a" | "s3n" => format!("; write s3://{rest}"),
                _ => String::new(),
            };
            Err(PortError::refused(format!(
                "`{uri}` cannot be read from here: its scheme must be `file` or `s3`, not `{scheme}`{advice}"
            )))
        }
        _ => path_of(base, uri),
    }
}

/// Reads and writes paths of this machine, and objects of the store of a specification. The store is connected with once it is needed.
#[derive(Debug, Default)]
pub struct EvidenceFiles {
    directory: PathBuf,
    store: Option<StoreSpec>,
    connected: OnceLock<S3Store>,
}

impl EvidenceFiles {
    /// Relative paths are taken from `directory`; of the store, what the specification does not say is said by the environment.
    #[must_use]
    pub fn new(directory: PathBuf, store: Option<StoreSpec>) -> Self {
        Self {
            directory,
            store,
            connected: OnceLock::new(),
        }
    }

    /// The object store.
    ///
    /// # Errors
    /// What is to be trusted cannot be read.
    pub fn store(&self) -> Result<&S3Store, PortError> {
        if let Some(store) = self.connected.get() {
            return Ok(store);
        }
        let store = S3Store::connect(self.store.as_ref())?;
        Ok(self.connected.get_or_init(|| store))
    }

    fn store_of(&self, address: &Path) -> Result<&S3Store, TableError> {
        self.store().map_err(|error| TableError::Unreadable {
            path: address.to_path_buf(),
            message: error.message,
        })
    }

    /// Paths are joined, and addresses are not.
    fn path(&self, address: &Path) -> PathBuf {
        self.directory.join(address)
    }
}

impl FileSource for EvidenceFiles {
    fn read(&self, address: &Path) -> Result<FileBytes, TableError> {
        match S3Address::is_meant_by(address) {
            true => self.store_of(address)?.read(address),
            false => LocalFiles.read(&self.path(address)),
        }
    }

    fn read_model(&self, address: &Path) -> Result<FileBytes, TableError> {
        match S3Address::is_meant_by(address) {
            true => self.store_of(address)?.read_model(address),
            false => LocalFiles.read_model(&self.path(address)),
        }
    }
}

impl FileSink for EvidenceFiles {
    fn check(&self, output: &Path, inputs: &[&Path]) -> Result<(), WriteError> {
        if S3Address::is_meant_by(output) {
            return check_object(output, inputs);
        }
        let inputs: Vec<PathBuf> = inputs
            .iter()
            .filter(|input| !S3Address::is_meant_by(input))
            .map(|input| self.path(input))
            .collect();
        let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
        LocalFiles.check(&self.path(output), &inputs)
    }

    fn write(&self, output: &Path, bytes: Vec<u8>) -> Result<(), WriteError> {
        if !S3Address::is_meant_by(output) {
            return LocalFiles.write(&self.path(output), bytes);
        }
        let store = self
            .store()
            .map_err(|error| refused(output, error.message))?;
        let written = store.put(output, bytes, PutMode::Replace);
        written
            .map(drop)
            .map_err(|error| refused(output, error.message))
    }
}

/// An output must be an object and none of the inputs, and lie in no table in parts that is one.
fn check_object(output: &Path, inputs: &[&Path]) -> Result<(), WriteError> {
    let address = S3Address::parse(output).map_err(|why| refused(output, why))?;
    if !address.may_be_an_object() {
        let why = "an object must be named: its key must not be empty or end with a slash";
        return Err(refused(output, why.to_string()));
    }
    for input in inputs {
        let Ok(read) = S3Address::parse(input) else {
            continue;
        };
        let shown = input.display();
        if read == address {
            let why = format!("{shown} is an input and would be overwritten");
            return Err(refused(output, why));
        }
        if read.holds(&address) {
            let why = format!("it would lie in {shown}, which is an input");
            return Err(refused(output, why));
        }
    }
    Ok(())
}

fn refused(path: &Path, message: String) -> WriteError {
    WriteError::Unwritable {
        path: path.to_path_buf(),
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_path_or_an_object() {
        let base = Path::new("/base");
        for (uri, address) in [
            ("a/b.csv", "/base/a/b.csv"),
            ("file://a%20b", "/base/a b"),
            ("file:///a", "/a"),
            ("s3://bucket/a b/%41//c", "s3://bucket/a b/%41//c"),
        ] {
            let found = address_of(base, uri).unwrap();
            assert_eq!(found.to_str(), Some(address), "{uri}");
        }
        for (uri, said) in [
            ("s3://", "s3://BUCKET/KEY"),
            ("gs://bucket/key", "must be `file` or `s3`, not `gs`"),
            ("s3a://bucket/key", "not `s3a`; write s3://bucket/key"),
            ("S3://bucket/key", "write s3://bucket/key"),
        ] {
            let refusal = address_of(base, uri).unwrap_err().to_string();
            assert!(refusal.contains(said) && refusal.contains(uri), "{refusal}");
        }
    }

    #[test]
    fn paths_are_taken_from_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let files = EvidenceFiles::new(directory.path().to_path_buf(), None);
        files
            .write(Path::new("out/a.csv"), b"id\n1\n".to_vec())
            .unwrap();
        let path = directory.path().join("out/a.csv");
        assert_eq!(files.read(Path::new("out/a.csv")).unwrap().path(), path);
        assert_eq!(files.read(&path).unwrap().path(), path);
        let absent = files.read(Path::new("absent.csv")).unwrap_err();
        assert!(absent.is_missing(), "{absent}");
    }

    #[test]
    fn an_output_is_none_of_the_inputs() {
        let files = EvidenceFiles::default();
        let refusal = |output: &str, input: &str| {
            let refused = files.check(Path::new(output), &[Path::new(input)]);
            refused
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default()
        };
        for (output, input) in [
            ("s3://b/out.csv", "s3://b/in.csv"),
            ("s3://b/out.csv", "out.csv"),
            ("s3://b/t2/out.csv", "s3://b/t"),
            ("out.csv", "s3://b/out.csv"),
        ] {
            assert_eq!(refusal(output, input), "", "{output} from {input}");
        }
        assert_eq!(
            refusal("s3://b/t/out.csv", "s3://b/t"),
            "cannot write s3://b/t/out.csv: it would lie in s3://b/t, which is an input"
        );
        for folder in ["s3://b", "s3://b/", "s3://b/t2/"] {
            let refusal = refusal(folder, "s3://b/in.csv");
            assert!(refusal.contains("an object must be named"), "{refusal}");
        }
        assert_eq!(
            refusal("s3://b/rows", "s3://b/rows"),
            "cannot write s3://b/rows: s3://b/rows is an input and would be overwritten"
        );
    }
}
