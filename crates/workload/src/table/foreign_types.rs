//! Tests of what other programs write in ways of their own.

use super::tests::Files;
use super::*;
use arrow::array::Date64Array;
use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::data_type::{Int32Type, Int96, Int96Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use std::fs;
use std::sync::Arc;

/// Times of 96 bits: nanoseconds of the day, and the day.
fn write_int96(path: &Path, times: &[(u64, u32)]) {
    let schema = "message rows { required int96 x; }";
    let schema = Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
    let file = fs::File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let values: Vec<Int96> = times
        .iter()
        .map(|(nanos, day)| {
            let mut value = Int96::new();
            value.set_data(*nanos as u32, (nanos >> 32) as u32, *day);
            value
        })
        .collect();
    column
        .typed::<Int96Type>()
        .write_batch(&values, None, None)
        .unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
}

#[test]
fn times_of_96_bits_do_not_wrap_around() {
    let files = Files::new();
    let path = files.0.path().join("rows.parquet");
    let keys = |times: &[(u64, u32)]| {
        write_int96(&path, times);
        let keys = Table::read(&path, &["x"])?.keys("x", "")?;
        Ok((0..times.len())
            .map(|row| keys.text(row))
            .collect::<Vec<_>>())
    };
    assert_eq!(
        keys(&[(1, 2_440_588), (3_600_000_000_000, 2_440_589)]).unwrap(),
        ["1970-01-01T00:00:00.000000001", "1970-01-02T01:00:00"]
    );
    // The end of all days of many a table, and its beginning.
    assert_eq!(
        keys(&[(1_000, 5_373_484), (0, 1_721_426)]).unwrap(),
        ["9999-12-31T00:00:00.000001", "0001-01-01T00:00:00"]
    );
    assert_eq!(
        files.text(keys(&[(0, 5_373_484), (1, 2_440_588)])),
        "rows.parquet: row 2: the time in `x` is too far away for its precision; write the column as timestamps of microseconds"
    );
}

/// pyarrow writes dates that are milliseconds in memory as days; other programs do not know that they were milliseconds.
#[test]
fn dates_of_milliseconds_stay_the_days_that_they_are_in_the_file() {
    let files = Files::new();
    let path = files.0.path().join("rows.parquet");
    let field = Field::new("x", DataType::Date64, true);
    let schema = Arc::new(Schema::new(vec![field]));
    let days = Date64Array::from(vec![Some(1_767_225_600_000), Some(0)]);
    let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(days)]).unwrap();
    let properties = WriterProperties::builder().set_coerce_types(true).build();
    let file = fs::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, schema, Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let scan_types = RowFile::open(&path).unwrap().types().unwrap();
    assert_eq!(scan_types, [DataType::Date32]);
    let keys = Table::read(&path, &["x"]).unwrap().keys("x", "").unwrap();
    assert_eq!([keys.text(0), keys.text(1)], ["2026-01-01", "1970-01-01"]);
}

/// Polars names types in the metadata that no other program knows.
#[test]
fn a_description_of_unknown_types_does_not_hide_the_rows() {
    let files = Files::new();
    let path = files.0.path().join("rows.parquet");
    let schema = "message rows { required int32 x; }";
    let schema = Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
    let unknown = KeyValue::new("ARROW:schema".to_string(), "unknown".to_string());
    let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![unknown]));
    let file = fs::File::create(&path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties.build())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column
        .typed::<Int32Type>()
        .write_batch(&[5, 7], None, None)
        .unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    assert_eq!(
        Table::read(&path, &["x"]).unwrap().numbers("x").unwrap(),
        [5.0, 7.0]
    );
}
