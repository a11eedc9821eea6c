//! Tests of telling files by their content, and of tables in parts.

use super::tests::{Files, write_parquet};
use super::*;
use arrow_array::{Float64Array, Int32Array, Int64Array};
use std::fs;
use std::io::Write;
use std::sync::Arc;

#[test]
fn csv_is_told_from_its_content() {
    let rows = |separator: &str| ["id,y", "1,0", "2,1"].join("\n").replace(',', separator);
    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = zstd::encode_all(rows(";").as_bytes(), 1).unwrap();
    let (first, second) = rows("|")
        .split_once("\n2")
        .map(|(a, b)| (a.to_string(), format!("\n2{b}")))
        .unwrap();
    let files = Files::new();
    for content in [
        rows(",").into_bytes(),
        rows(";").into_bytes(),
        rows("\t").into_bytes(),
        rows("|").into_bytes(),
        rows(",").replace('\n', "\r\n").into_bytes(),
        format!("\u{feff}{}", rows(",")).into_bytes(),
        "\"id\";\"y\"\n\"1\";\"0\"\n\n\"2\";\"1\"\n".into(),
        // What Excel reads and some programs write for it.
        format!("sep=;\n{}", rows(";")).into_bytes(),
        format!("\u{feff}\"sep=^\"\r\n{}", rows("^")).into_bytes(),
        gzip(&rows("\t")),
        [gzip(&first), gzip(&second)].concat(),
        zstd,
    ] {
        let path = files.write("rows.parquet", content);
        let table = Table::read(&path, &["id", "y"]).unwrap();
        assert_eq!(table.labels("y").unwrap(), [0, 1]);
        assert_eq!(table.keys("id", "").unwrap(), Keys::Integers(vec![1, 2]));
    }
}

#[test]
fn csv_that_cannot_be_read_is_refused_with_its_row() {
    let files = Files::new();
    let refusal = |content: &[u8]| {
        let path = files.write("rows.csv", content);
        files.text(Table::read(&path, &["y"]).and_then(|table| table.scores("y")))
    };
    for (content, expected) in [
        (
            &b"id,y\n1,0\n2\n"[..],
            "rows.csv: row 2 (line 3) must have 2 cells, as many as the header; it has 1",
        ),
        (
            b"id,y\n1,0\n2,\"1\n3,0\n",
            "rows.csv: row 2: a cell begins with a quotation mark that is never closed",
        ),
        (
            b"id;y\n1;0,5\n",
            "rows.csv: row 1: `y` must be a number; got `0,5`; decimals must be written with a point",
        ),
        (
            b"id,y\n1,0\n2,NA\n",
            "rows.csv: row 2: `y` must be a number; got `NA`",
        ),
        (b"id,y\n1,0\n2,\xe9\n", "rows.csv: row 2: `y` must be UTF-8"),
        (
            b"id,y,y\n1,0,1\n",
            "rows.csv must have one column `y`; it has 2 of that name: rename or remove the others",
        ),
        (
            b"id:y\n1:0\n",
            "rows.csv must have the column `y`; it has `id:y`. The cells of a CSV file must be separated by commas, semicolons, tabs or bars",
        ),
        (
            b"id, y\n1,0\n",
            "rows.csv must have the column `y`; it has `id`, ` y`",
        ),
        (
            b"",
            "rows.csv: the file is empty; rows must be Parquet or CSV",
        ),
        (
            b"\xef\xbb\xbf",
            "rows.csv: the file is empty; rows must be Parquet or CSV",
        ),
        (
            b"\xef\xbb\xbf\n\r\n \n",
            "rows.csv: the file is empty; rows must be Parquet or CSV",
        ),
        (
            b"sep=;\ny;x\n1;2\n3\n",
            "rows.csv: row 2 (line 4) must have 2 cells, as many as the header; it has 1",
        ),
        (
            b"\xff\xfei\0d\0",
            "rows.csv: rows must be Parquet or CSV; this is text in UTF-16; save it as UTF-8",
        ),
        (
            b"PK\x03\x04...",
            "rows.csv: rows must be Parquet or CSV; this is a ZIP archive, such as those of Excel and of NumPy",
        ),
        (
            b"[{\"y\": 1}]",
            "rows.csv: rows must be Parquet or CSV; this is JSON",
        ),
    ] {
        assert_eq!(refusal(content), expected);
    }
    let mut cut = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    cut.write_all(&b"y\n0.25\n".repeat(50_000)).unwrap();
    let cut = cut.finish().unwrap();
    let refused = refusal(&cut[..cut.len() - 5]);
    assert!(refused.contains("cut short"), "{refused}");
}

#[test]
fn a_directory_of_parts_is_one_table() {
    let files = Files::new();
    let part = |name: &str, ids: Vec<i64>, scores: ArrayRef| {
        let path = files.write(name, "");
        write_parquet(
            &path,
            vec![("id", Arc::new(Int64Array::from(ids))), ("y", scores)],
        );
        path
    };
    let first = part(
        "t/day=2/part-0.parquet",
        vec![1, 2],
        Arc::new(Int32Array::from(vec![0, 1])),
    );
    part(
        "t/day=10/part-0.parquet",
        vec![3],
        Arc::new(Float64Array::from(vec![1.0])),
    );
    files.write("t/_SUCCESS", "");
    files.write("t/day=2/.part-0.parquet.crc", "crc");
    let path = files.0.path().join("t");
    let table = Table::read(&path, &["id", "y", "day"]).unwrap();
    assert_eq!(table.keys("id", "").unwrap(), Keys::Integers(vec![3, 1, 2]));
    assert_eq!(table.labels("y").unwrap(), [1, 0, 1]);
    assert_eq!(table.numbers("day").unwrap(), [10.0, 2.0, 2.0]);
    // What `sha256sum` prints of the parts, and its digest.
    let line = |name: &str| {
        format!(
            "{}  {name}\n",
            sha256_hex(&fs::read(path.join(name)).unwrap())
        )
    };
    let lines = line("day=10/part-0.parquet") + &line("day=2/part-0.parquet");
    assert_eq!(table.source.sha256, sha256_hex(lines.as_bytes()));
    // Rows are counted in their part.
    write_parquet(
        &first,
        vec![
            ("id", Arc::new(Int64Array::from(vec![Some(1), None]))),
            ("y", Arc::new(Int32Array::from(vec![0, 1]))),
        ],
    );
    let missing = Table::read(&path, &["id"]).unwrap().keys("id", "");
    assert_eq!(
        files.text(missing),
        "t/day=2/part-0.parquet: row 2: `id` must not be missing"
    );
    write_parquet(&first, vec![("id", Arc::new(Int64Array::from(vec![1])))]);
    let refused = files.text(Table::read(&path, &["id"]));
    assert!(
        refused.starts_with("t/day=2/part-0.parquet: all parts must have the columns"),
        "{refused}"
    );
}

#[test]
fn parts_of_another_format_are_named_with_their_formats() {
    let files = Files::new();
    let path = files.write("t/part-0.parquet", "");
    write_parquet(&path, vec![("y", Arc::new(Int64Array::from(vec![0])))]);
    let directory = files.0.path().join("t");
    let expected = |name: &str| {
        format!(
            "t/{name}: all parts must be of one format; {} is Parquet, and this is text, as CSV is. Names that begin with `_` or `.` are left out",
            path.display()
        )
    };
    for name in ["README.txt", "z.csv"] {
        let other = files.write(&format!("t/{name}"), "y\n1\n");
        assert_eq!(
            files.text(RowFile::open(&directory)),
            expected(name).replace(&format!("{}/", files.0.path().display()), "")
        );
        fs::remove_file(other).unwrap();
    }
    // A part without rows is none, whatever its format.
    files.write("t/z.csv", "\n\n");
    assert_eq!(Table::read(&directory, &["y"]).unwrap().rows(), 1);
}

#[test]
fn what_is_not_there_yet_is_told_from_what_cannot_be_read() {
    let files = Files::new();
    let path = |name: &str| files.0.path().join(name);
    files.write("unfinished/day=1/_temporary/0/p", "");
    files.write("uploads/__magic_job-1/0/p.pending", "");
    files.write("empty/_SUCCESS", "");
    files.write("strange/old/p", "");
    files.write("dangling/_SUCCESS", "");
    std::os::unix::fs::symlink("absent", path("dangling/p")).unwrap();
    for (name, is_missing) in [
        ("absent.csv", true),
        ("unfinished", true),
        ("uploads", true),
        ("empty", true),
        ("strange", false),
        ("dangling", false),
        ("strange/old/p/q", false),
    ] {
        let error = FileBytes::read(&path(name)).unwrap_err();
        let expected = is_missing.then(|| path(name));
        assert_eq!(error.missing(), expected.as_deref(), "{error}");
        assert_eq!(error.is_missing(), is_missing);
    }
}

/// Waiting for whoever writes to a pipe may never end, and a device may never be read to its end.
#[test]
fn what_is_no_regular_file_is_refused_by_name() {
    let files = Files::new();
    let pipe = files.0.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let linked = files.0.path().join("linked");
    std::os::unix::fs::symlink(&pipe, &linked).unwrap();
    for (path, name) in [(&pipe, "pipe"), (&linked, "linked")] {
        assert_eq!(
            files.text(FileBytes::read(path)),
            format!(
                "{name}: rows must stand in a regular file or in a directory of such files; write what comes out of a pipe to a file first"
            )
        );
    }
    let device = FileBytes::read(Path::new("/dev/zero")).unwrap_err();
    assert!(device.to_string().starts_with("/dev/zero: rows must"));
}
