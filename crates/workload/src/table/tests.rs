//! Tests of reading files of rows.

use super::*;
use arrow_array::types::{Int8Type, Int32Type};
use arrow_array::*;
use arrow_buffer::i256;
use arrow_schema::{Field, Schema};
use std::fs;
use std::sync::Arc;

const ROWS: &[u8] = b"id,y\n1,0\n2,1\n";
const OTHER_ROWS: &[u8] = b"id,y\n1,1\n2,0\n3,1\n";

#[test]
fn the_digest_is_of_the_bytes_that_were_parsed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rows.csv");
    fs::write(&path, ROWS).unwrap();
    let bytes = FileBytes::read(&path).unwrap();
    fs::write(&path, OTHER_ROWS).unwrap();
    let table = Table::of(&RowFile::of_bytes(bytes).unwrap(), &["y"]).unwrap();
    assert_eq!(table.labels("y").unwrap(), [0, 1]);
    assert_eq!(
        table.source,
        FileRead {
            path: path.clone(),
            sha256: sha256_hex(ROWS),
            etag: None,
            size: ROWS.len() as u64,
            rows: 2,
            made_by: None,
        }
    );
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
    fs::write(&path, b"PAR1 and nothing more").unwrap();
    let refusal = Table::read(&path, &["y"]).unwrap_err().to_string();
    assert!(refusal.contains("rows.parquet"), "{refusal}");
}

/// A Parquet file of these columns.
pub(crate) fn write_parquet(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let fields = columns
        .iter()
        .map(|(name, values)| Field::new(*name, values.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let values = columns.into_iter().map(|(_, values)| values).collect();
    let batch = RecordBatch::try_new(schema.clone(), values).unwrap();
    let file = fs::File::create(path).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// A directory with files of rows.
pub(super) struct Files(pub(super) tempfile::TempDir);

impl Files {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn column(&self, values: ArrayRef) -> Table {
        let path = self.0.path().join("rows.parquet");
        write_parquet(&path, vec![("x", values)]);
        Table::read(&path, &["x"]).unwrap()
    }

    /// An error with paths below the directory.
    pub(super) fn text<T: std::fmt::Debug>(&self, result: Result<T, TableError>) -> String {
        let prefix = format!("{}/", self.0.path().display());
        result.unwrap_err().to_string().replace(&prefix, "")
    }
}

#[test]
fn keys_of_every_type_stay_distinct() {
    let big = 1_u64 << 63;
    let decimals = Decimal128Array::from(vec![1_i128 << 100, (1 << 100) + 1])
        .with_precision_and_scale(38, 0)
        .unwrap();
    let cents = Decimal128Array::from(vec![100, 200])
        .with_precision_and_scale(5, 2)
        .unwrap();
    let dictionary = DictionaryArray::<Int8Type>::from_iter(["a", "b"]);
    let cases: Vec<(ArrayRef, [&str; 2])> = vec![
        (
            Arc::new(UInt64Array::from(vec![big, u64::MAX])),
            ["9223372036854775808", "18446744073709551615"],
        ),
        (
            Arc::new(Int64Array::from(vec![i64::MAX, i64::MAX - 1])),
            ["9223372036854775807", "9223372036854775806"],
        ),
        (
            Arc::new(decimals),
            [
                "1267650600228229401496703205376",
                "1267650600228229401496703205377",
            ],
        ),
        (Arc::new(cents), ["1", "2"]),
        (Arc::new(Float64Array::from(vec![1.0, -2.0])), ["1", "-2"]),
        (
            Arc::new(StringViewArray::from(vec!["07", "7"])),
            ["07", "7"],
        ),
        (Arc::new(LargeStringArray::from(vec!["a", "A"])), ["a", "A"]),
        (Arc::new(dictionary), ["a", "b"]),
        (
            Arc::new(Date32Array::from(vec![0, 20_454])),
            ["1970-01-01", "2026-01-01"],
        ),
        (
            Arc::new(TimestampNanosecondArray::from(vec![1, 2])),
            [
                "1970-01-01T00:00:00.000000001",
                "1970-01-01T00:00:00.000000002",
            ],
        ),
        (Arc::new(BooleanArray::from(vec![false, true])), ["0", "1"]),
        (
            Arc::new(Time32MillisecondArray::from(vec![0, 36_000_500])),
            ["00:00:00", "10:00:00.5"],
        ),
        (
            Arc::new(Time64MicrosecondArray::from(vec![1, 2])),
            ["00:00:00.000001", "00:00:00.000002"],
        ),
    ];
    let files = Files::new();
    for (values, expected) in cases {
        let kind = values.data_type().clone();
        let keys = files.column(values).keys("x", "").unwrap();
        assert_eq!([keys.text(0), keys.text(1)], expected, "{kind}");
    }
}

#[test]
fn what_is_no_key_is_refused_with_its_row() {
    let two_to_53 = 9_007_199_254_740_992.0;
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)])]);
    let huge = Decimal256Array::from(vec![i256::from_i128(10).wrapping_pow(45)])
        .with_precision_and_scale(60, 0)
        .unwrap();
    let cases: Vec<(ArrayRef, &str)> = vec![
        (
            Arc::new(Int32Array::from(vec![Some(1), None])),
            "row 2: `x` must not be missing, so",
        ),
        (
            Arc::new(StringArray::from(vec![Some("a"), None])),
            "row 2: `x` must not be missing, so",
        ),
        (
            Arc::new(StringArray::from(vec!["a", ""])),
            "row 2: `x` must not be empty, so",
        ),
        (
            Arc::new(Float64Array::from(vec![1.0, f64::NAN])),
            "row 2: `x` must not be missing",
        ),
        (
            Arc::new(Date32Array::from(vec![Some(1), None])),
            "row 2: `x` must not be missing",
        ),
        (
            Arc::new(Float64Array::from(vec![1.0, 1.5])),
            "row 2: `x` must be a whole number or a text; got 1.5",
        ),
        (
            Arc::new(Float64Array::from(vec![two_to_53, two_to_53 + 2.0])),
            "row 2: `x` must be a whole number of at most 2^53",
        ),
        (
            Arc::new(Float32Array::from(vec![16_777_218.0])),
            "row 1: `x` must be a whole number of at most 2^24",
        ),
        (
            Arc::new(BinaryArray::from(vec![&b"a"[..]])),
            "`x` must hold whole numbers or texts, not bytes",
        ),
        (
            Arc::new(huge),
            "row 1: `x` must be a whole number of at most 128 bits, or a text; got 1000000000000000000000000000000000000000000000",
        ),
        (
            Arc::new(list),
            "`x` must hold whole numbers or texts, not lists",
        ),
        (
            Arc::new(NullArray::new(2)),
            "row 1: `x` must not be missing",
        ),
    ];
    let files = Files::new();
    for (values, expected) in cases {
        let refusal = files.text(files.column(values).keys("x", ", so"));
        assert!(
            refusal.starts_with(&format!("rows.parquet: {expected}")),
            "{refusal}"
        );
    }
}

#[test]
fn numbers_and_labels_of_every_type() {
    let decimals = Decimal128Array::from(vec![0, 1_000_000_000_000_000_000])
        .with_precision_and_scale(38, 18)
        .unwrap();
    let categories = |values: ArrayRef| {
        Arc::new(DictionaryArray::new(Int8Array::from(vec![0, 1]), values)) as ArrayRef
    };
    let halves = Float64Array::from(vec![0.0, 1.0]);
    let halves = cast(&(Arc::new(halves) as ArrayRef), &DataType::Float16).unwrap();
    let numbers: Vec<ArrayRef> = vec![
        Arc::new(decimals),
        halves,
        Arc::new(UInt8Array::from(vec![0, 1])),
        Arc::new(BooleanArray::from(vec![false, true])),
        categories(Arc::new(Int64Array::from(vec![0, 1]))),
    ];
    let texts: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["0", "1"])),
        Arc::new(StringArray::from(vec!["False", "True"])),
        Arc::new(LargeStringArray::from(vec!["0.0", "1.0"])),
        categories(Arc::new(StringArray::from(vec!["false", "true"]))),
    ];
    let files = Files::new();
    for values in &numbers {
        let table = files.column(values.clone());
        assert_eq!(
            table.numbers("x").unwrap(),
            [0.0, 1.0],
            "{}",
            values.data_type()
        );
        assert_eq!(table.labels("x").unwrap(), [0, 1], "{}", values.data_type());
    }
    for values in &texts {
        let table = files.column(values.clone());
        assert_eq!(table.labels("x").unwrap(), [0, 1], "{}", values.data_type());
        let refusal = files.text(table.numbers("x"));
        assert!(
            refusal.contains("row 1: `x` must hold numbers, not texts; got `"),
            "{refusal}"
        );
    }
    // 0.1 as a decimal is the nearest number, which dividing does not give for all.
    let decimals = Decimal128Array::from(vec![123_456_789_012_345_678])
        .with_precision_and_scale(38, 18)
        .unwrap();
    assert_eq!(
        files.column(Arc::new(decimals)).numbers("x").unwrap(),
        [0.123_456_789_012_345_68]
    );
    let fraud = files.column(Arc::new(StringArray::from(vec!["1", "fraud"])));
    assert_eq!(
        files.text(fraud.labels("x")),
        "rows.parquet: row 2: `x` must be 0 or 1, or true or false; it holds `1`, `fraud`"
    );
    let missing = files.column(Arc::new(BooleanArray::from(vec![Some(true), None])));
    assert_eq!(
        files.text(missing.labels("x")),
        "rows.parquet: row 2: `x` must be 0 or 1; got a missing value"
    );
}

#[test]
fn a_column_of_two_is_refused_when_it_is_used() {
    let files = Files::new();
    let path = files.0.path().join("rows.parquet");
    let values = |value| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
    write_parquet(
        &path,
        vec![("y", values(0)), ("x", values(1)), ("y", values(1))],
    );
    assert_eq!(
        Table::read(&path, &["x"]).unwrap().numbers("x").unwrap(),
        [1.0]
    );
    assert_eq!(
        files.text(Table::read(&path, &["y"])),
        "rows.parquet must have one column `y`; it has 2 of that name: rename or remove the others"
    );
}
