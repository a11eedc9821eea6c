//! Tests of reading files of rows.

use super::*;
use std::fs;
use std::io::Write;
use std::process::Command;

/// A file that holds `first` for whoever opens it first, and is replaced by one that holds `second` before the first byte is read.
pub(crate) fn replaced_while_read(path: &Path, first: &[u8], second: &[u8]) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
    let other = path.with_extension("other");
    fs::write(&other, second).unwrap();
    let (path, first) = (path.to_path_buf(), first.to_vec());
    std::thread::spawn(move || {
        // Opening a named pipe waits for the reader, which goes on reading from the pipe when its name is given to another file.
        let mut pipe = fs::File::options().write(true).open(&path).unwrap();
        fs::rename(other, path).unwrap();
        pipe.write_all(&first).unwrap();
    });
}

const ROWS: &[u8] = b"id,y\n1,0\n2,1\n";
const OTHER_ROWS: &[u8] = b"id,y\n1,1\n2,0\n3,1\n";

#[test]
fn the_digest_is_of_the_bytes_that_were_parsed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rows.csv");
    replaced_while_read(&path, ROWS, OTHER_ROWS);
    let table = Table::read(&path, None).unwrap();
    assert_eq!(table.labels("y").unwrap(), [0, 1]);
    assert_eq!(
        table.source,
        FileRead {
            path: path.clone(),
            sha256: sha256_hex(ROWS),
            size: ROWS.len() as u64,
            rows: 2,
            made_by: None,
        }
    );
    // The test is worth something: the file is another one by now.
    assert_eq!(fs::read(&path).unwrap(), OTHER_ROWS);
}

#[test]
fn a_digest_is_what_sha256sum_prints() {
    // Of the empty input, as FIPS 180-4's example values have it.
    assert_eq!(
        sha256_hex(b""),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
}

#[test]
fn bytes_that_are_no_parquet_are_refused_with_the_path() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rows.parquet");
    fs::write(&path, ROWS).unwrap();
    let refusal = Table::read(&path, None).unwrap_err().to_string();
    assert!(refusal.contains("rows.parquet"), "{refusal}");
}
