//! Tests of what other programs write in ways of their own.

use super::tests::Files;
use super::*;
use arrow_array::{
    ArrayRef, BooleanArray, Date64Array, Decimal128Array, Float16Array, Float64Array, Int64Array,
    ListArray, NullArray, RecordBatch, StringArray, StructArray, TimestampMillisecondArray,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{Field, Schema, TimeUnit};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowWriter, encode_arrow_schema};
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

/// A column `x` of which the file says that it was of another type in the program that wrote it, in row groups of `rows`.
fn write_described(path: &Path, values: ArrayRef, described: DataType, rows: usize) {
    let schema = |data_type: DataType| Schema::new(vec![Field::new("x", data_type, true)]);
    let plain = Arc::new(schema(values.data_type().clone()));
    let description = encode_arrow_schema(&schema(described));
    let description = KeyValue::new("ARROW:schema".to_string(), description);
    let properties = WriterProperties::builder()
        .set_key_value_metadata(Some(vec![description]))
        .set_max_row_group_row_count(Some(rows));
    let options = ArrowWriterOptions::new()
        .with_skip_arrow_metadata(true)
        .with_properties(properties.build());
    let batch = RecordBatch::try_new(plain.clone(), vec![values]).unwrap();
    let file = fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new_with_options(file, plain, options).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// The values of the column `x`, and that they can be written.
fn read_described(path: &Path) -> Vec<ArrayRef> {
    let file = RowFile::open(path).unwrap();
    let scan = file.scan(&[0], CellTypes::Exact).unwrap();
    let batches = scan.batches.map(|batch| batch.unwrap().rows);
    let columns: Vec<ArrayRef> = batches.map(|rows| rows.column(0).clone()).collect();
    assert_eq!(columns[0].data_type(), scan.schema.field(0).data_type());
    columns
}

fn categories(key: DataType, values: &DataType) -> DataType {
    DataType::Dictionary(Box::new(key), Box::new(values.clone()))
}

/// pandas and pyarrow write categories of any type, and the reader makes dictionaries of some only.
#[test]
fn categories_of_any_type_are_read_as_what_they_stand_for() {
    let decimals = Decimal128Array::from(vec![100, 0])
        .with_precision_and_scale(9, 2)
        .unwrap();
    let wide = Decimal128Array::from(vec![100, 0])
        .with_precision_and_scale(30, 2)
        .unwrap();
    let halves = Float64Array::from(vec![1.0, 0.0]);
    let halves = cast(&(Arc::new(halves) as ArrayRef), &DataType::Float16).unwrap();
    assert!(halves.as_any().is::<Float16Array>());
    let all: Vec<ArrayRef> = vec![
        Arc::new(BooleanArray::from(vec![true, false])),
        Arc::new(decimals),
        Arc::new(wide),
        halves,
    ];
    let files = Files::new();
    let path = files.0.path().join("rows.parquet");
    for values in all {
        let kind = values.data_type().clone();
        write_described(&path, values.clone(), categories(DataType::Int32, &kind), 9);
        let table = Table::read(&path, &["x"]).unwrap();
        assert_eq!(table.labels("x").unwrap(), [1, 0], "{kind}");
        assert_eq!(table.numbers("x").unwrap(), [1.0, 0.0], "{kind}");
        assert_eq!(RowFile::open(&path).unwrap().types().unwrap(), [kind]);
        assert_eq!(read_described(&path)[0].as_ref(), values.as_ref());
    }
    let nothing = categories(DataType::Int8, &DataType::Null);
    write_described(&path, Arc::new(NullArray::new(3)), nothing, 9);
    assert_eq!(read_described(&path)[0].len(), 3);
}

#[test]
fn categories_within_lists_and_structs_are_read() {
    let files = Files::new();
    let path = files.0.path().join("rows.parquet");
    let truths: ArrayRef = Arc::new(BooleanArray::from(vec![true, false]));
    let of = |data_type: DataType| Arc::new(Field::new("item", data_type, true));
    let described = categories(DataType::Int8, &DataType::Boolean);
    let offsets = OffsetBuffer::from_lengths([2]);
    let list = ListArray::new(of(DataType::Boolean), offsets, truths.clone(), None);
    write_described(
        &path,
        Arc::new(list.clone()),
        DataType::List(of(described.clone())),
        9,
    );
    assert_eq!(read_described(&path)[0].as_ref(), &list as &dyn Array);
    let fields = vec![of(DataType::Boolean)].into();
    let rows = StructArray::new(fields, vec![truths], None);
    let described = DataType::Struct(vec![of(described)].into());
    write_described(&path, Arc::new(rows.clone()), described, 9);
    assert_eq!(read_described(&path)[0].as_ref(), &rows as &dyn Array);
}

/// Tables that are written to one file one after the other each have categories of their own.
#[test]
fn categories_may_be_more_than_their_keys_can_count() {
    let files = Files::new();
    let path = files.0.path().join("rows.parquet");
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..400));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(
        (0..400).map(|n| n.to_string()),
    ));
    for values in [numbers, texts] {
        let described = categories(DataType::Int8, values.data_type());
        write_described(&path, values, described, 100);
        let keys = Table::read(&path, &["x"]).unwrap().keys("x", "").unwrap();
        assert_eq!(keys.text(399), "399");
    }
}

/// Parquet has no seconds: they are written as milliseconds, and were read as if they had been in UTC.
#[test]
fn times_of_whole_seconds_keep_their_zone() {
    let files = Files::new();
    let path = files.0.path().join("rows.parquet");
    let zone = "America/New_York";
    let seconds = DataType::Timestamp(TimeUnit::Second, Some(zone.into()));
    let millis = |zone: &str| -> ArrayRef {
        let times = TimestampMillisecondArray::from(vec![1_767_225_600_000, 0]);
        Arc::new(times.with_timezone(zone))
    };
    let (stored, expected) = (millis("UTC"), millis(zone));
    for described in [seconds.clone(), categories(DataType::Int8, &seconds)] {
        write_described(&path, stored.clone(), described, 9);
        assert_eq!(read_described(&path)[0].as_ref(), expected.as_ref());
    }
    let of = |data_type: &DataType| Arc::new(Field::new("item", data_type.clone(), true));
    let list = |values: &ArrayRef| {
        let offsets = OffsetBuffer::from_lengths([1, 1]);
        ListArray::new(of(values.data_type()), offsets, values.clone(), None)
    };
    write_described(
        &path,
        Arc::new(list(&stored)),
        DataType::List(of(&seconds)),
        9,
    );
    assert_eq!(
        read_described(&path)[0].as_ref(),
        &list(&expected) as &dyn Array
    );
    let row = |values: &ArrayRef| {
        StructArray::new(
            vec![of(values.data_type())].into(),
            vec![values.clone()],
            None,
        )
    };
    let described = DataType::Struct(vec![of(&seconds)].into());
    write_described(&path, Arc::new(row(&stored)), described, 9);
    assert_eq!(
        read_described(&path)[0].as_ref(),
        &row(&expected) as &dyn Array
    );
    // A time without a zone has none afterwards.
    let naive = Arc::new(TimestampMillisecondArray::from(vec![0, 1]));
    write_described(&path, naive.clone(), seconds, 9);
    assert_eq!(read_described(&path)[0].as_ref(), naive.as_ref());
}
