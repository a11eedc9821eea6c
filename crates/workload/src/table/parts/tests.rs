//! Tests of which names are parts of a table.

use super::*;

/// The parts among these names, which a directory and an object store must agree on.
fn parts(files: &[&str]) -> Result<Vec<PartFile>, String> {
    let directory = tempfile::tempdir().unwrap();
    for file in files {
        let path = directory.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let text = |error: TableError, root: &Path| {
        let root = root.display().to_string();
        let text = error.to_string();
        text.replace(&format!("{root}/"), "").replace(&root, "")
    };
    let of_files = of_directory(directory.path());
    let of_files = of_files.map_err(|error| text(error, directory.path()));
    let address = Path::new("s3://bucket/a table");
    let of_keys = parts_among(address, files.iter().copied());
    let of_keys = of_keys.map_err(|error| text(error, address));
    match (&of_files, &of_keys) {
        (Ok(of_files), Ok(of_keys)) => {
            let known = |parts: &[PartFile]| -> Vec<_> {
                let known = |part: &PartFile| (part.name.clone(), part.partitions.clone());
                parts.iter().map(known).collect()
            };
            assert_eq!(known(of_files), known(of_keys));
            for part in of_keys {
                let expected = format!("s3://bucket/a table/{}", part.name);
                assert_eq!(part.path.to_str(), Some(expected.as_str()));
            }
        }
        (Err(of_files), Err(of_keys)) => assert_eq!(of_files, of_keys),
        differing => panic!("{differing:?}"),
    }
    of_files
}

#[test]
fn markers_and_checksums_are_no_parts() {
    let found = parts(&[
        "part-1.parquet",
        "part-0.parquet",
        "_SUCCESS",
        "._SUCCESS.crc",
        ".part-0.parquet.crc",
        "_started_7",
        "_committed_7",
        "day=1_$folder$",
    ])
    .unwrap();
    let found: Vec<_> = found.iter().map(PartFile::name).collect();
    assert_eq!(found, ["part-0.parquet", "part-1.parquet"]);
}

#[test]
fn directories_name_columns() {
    let found = parts(&[
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
        (&["__magic_job-1/0/p.pending"], "has not finished"),
        (&["p", "__magic/job-1/p.pending"], "`__magic`"),
        (&["p", "_started_7"], "`_started_7`"),
        (&["p", "old/p"], "old: a directory in a table"),
        (
            &["day=1/p", "day=1/_temporary/0/p"],
            "day=1: the directory holds `_temporary`: the job that writes it has not finished",
        ),
    ] {
        let refusal = parts(files).unwrap_err();
        assert!(refusal.contains(named), "{refusal}");
    }
}

#[test]
fn keys_of_folders_are_no_parts() {
    let address = Path::new("s3://bucket/t");
    let names = |keys: &[&str]| -> Result<Vec<String>, String> {
        let found = parts_among(address, keys.iter().copied());
        let found = found.map_err(|error| error.to_string())?;
        Ok(found.into_iter().map(|part| part.name).collect())
    };
    assert_eq!(
        names(&["", "day=1/", "day=1/p", "day=2/"]).unwrap(),
        ["day=1/p"]
    );
    for (keys, refused) in [
        (
            &[""][..],
            "cannot read s3://bucket/t: the directory holds no data files",
        ),
        (&["p", "old/"], "s3://bucket/t/old: a directory in a table"),
        (
            &["day=1", "day=1/p"],
            "s3://bucket/t/day=1: it is an object and a folder",
        ),
        (&["day=1//p"], "s3://bucket/t/day=1: a directory in a table"),
        (&["p", "a\nb"], "s3://bucket/t: the name \"a\\nb\" must not"),
    ] {
        let refusal = names(keys).unwrap_err();
        assert!(refusal.starts_with(refused), "{refusal}");
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
