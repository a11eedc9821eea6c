//! Files come from wherever their source finds them, by the addresses that are asked for.

use super::*;
use crate::table::{FileBytes, ObjectBytes, sha256_hex};

/// An object store that holds the files of a directory of this machine.
struct Objects<'a>(&'a Files);

impl FileSource for Objects<'_> {
    fn read(&self, address: &Path) -> Result<FileBytes, TableError> {
        let text = address.to_str().unwrap();
        let name = text.strip_prefix("s3://bucket//a b/%41/").unwrap();
        let bytes = std::fs::read(self.0.path(name)).map_err(|error| TableError::Missing {
            path: address.to_path_buf(),
            message: error.to_string(),
        })?;
        let object = ObjectBytes {
            sha256: sha256_hex(&bytes),
            etag: Some(format!("tag of {name}")),
            bytes,
        };
        Ok(FileBytes::of_object(address, object))
    }
}

fn address(name: &str) -> PathBuf {
    PathBuf::from(format!("s3://bucket//a b/%41/{name}"))
}

fn of_objects(files: &Files, challenger: &str) -> Request {
    Request {
        source: Source::TwoFiles {
            champion: address("champion.csv"),
            challenger: address(challenger),
            score: "score".into(),
        },
        seed: None,
        ..files.request()
    }
}

#[test]
fn the_same_bytes_give_the_same_comparison_wherever_they_lie() {
    let files = Files::new();
    let request = of_objects(&files, "challenger.csv");
    let of_objects = evaluate(&Objects(&files), &request, None, &mut |_, _| {}).unwrap();
    let local = Request {
        seed: None,
        ..files.request()
    };
    let of_files = files.evaluate(&local);
    assert_eq!(of_objects.comparison, of_files.comparison);
    let (objects, files) = (of_objects.evidence, of_files.evidence);
    assert_eq!(objects.seed, files.seed);
    assert_eq!(objects.fingerprint, files.fingerprint);
    assert_eq!(objects.champion.sha256, files.champion.sha256);
    assert_eq!(objects.champion.path, address("champion.csv"));
    assert_eq!(
        objects.champion.etag.as_deref(),
        Some("tag of champion.csv")
    );
    assert_eq!(files.champion.etag, None);
}

#[test]
fn what_is_not_there_is_named_for_whoever_waits_for_it() {
    let files = Files::new();
    let request = of_objects(&files, "absent.csv");
    let error = evaluate(&Objects(&files), &request, None, &mut |_, _| {}).unwrap_err();
    assert_eq!(error.missing(), Some(address("absent.csv").as_path()));
    let text = "cannot read s3://bucket//a b/%41/absent.csv: ";
    assert!(error.to_string().starts_with(text), "{error}");
    files.write("absent.csv", "id,y\n");
    let error = evaluate(&Objects(&files), &request, None, &mut |_, _| {}).unwrap_err();
    assert_eq!(error.missing(), None, "{error}");
}
