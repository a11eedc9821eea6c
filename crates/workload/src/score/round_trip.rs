//! What passes through `score` is the same afterwards: the columns of random tables, in every type that is written to Parquet by the usual
//! programs, with missing values, and the cells of random CSV files.

use super::score;
use super::tests::write_model;
use crate::table::{CellTypes, LocalFiles, RowFile};
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::OffsetBuffer;
use arrow_schema::*;
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression, GzipLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;

/// Random bits and whether a value is missing, per row.
type Cells = Vec<Option<(u64, String)>>;

/// An array per type, made of the same cells.
fn arrays(cells: &Cells) -> Vec<ArrayRef> {
    let bits = || {
        cells
            .iter()
            .map(|cell| cell.as_ref().map(|(bits, _)| *bits))
    };
    let texts = || {
        cells
            .iter()
            .map(|cell| cell.as_ref().map(|(_, text)| text.as_str()))
    };
    macro_rules! numbers {
        ($($array:ty),*) => {
            vec![$(Arc::new(bits().map(|bits| bits.map(|bits| bits as _)).collect::<$array>()) as ArrayRef),*]
        };
    }
    let mut all: Vec<ArrayRef> = numbers!(
        Int8Array,
        Int16Array,
        Int32Array,
        Int64Array,
        UInt8Array,
        UInt16Array,
        UInt32Array,
        UInt64Array,
        Date32Array,
        TimestampSecondArray,
        TimestampMillisecondArray,
        TimestampMicrosecondArray,
        TimestampNanosecondArray,
        DurationMillisecondArray,
        DurationNanosecondArray
    );
    let of_day = |per_day: u64| bits().map(move |bits| bits.map(|bits| bits % per_day));
    let millis = of_day(86_400_000).map(|time| time.map(|time| time as i32));
    all.push(Arc::new(millis.collect::<Time32MillisecondArray>()));
    let micros = of_day(86_400_000_000).map(|time| time.map(|time| time as i64));
    all.push(Arc::new(micros.collect::<Time64MicrosecondArray>()));
    let zoned = |zone: &str| {
        let times = bits().map(|bits| bits.map(|bits| bits as i64));
        Arc::new(
            times
                .collect::<TimestampMicrosecondArray>()
                .with_timezone(zone),
        )
    };
    all.push(zoned("UTC"));
    all.push(zoned("Europe/Berlin"));
    all.push(Arc::new(
        bits()
            .map(|b| b.map(f64::from_bits))
            .collect::<Float64Array>(),
    ));
    all.push(Arc::new(
        bits()
            .map(|b| b.map(|b| f32::from_bits(b as u32)))
            .collect::<Float32Array>(),
    ));
    let halves =
        bits().map(|b| b.map(|b| <Float16Type as ArrowPrimitiveType>::Native::from_bits(b as u16)));
    all.push(Arc::new(halves.collect::<Float16Array>()));
    all.push(Arc::new(
        bits()
            .map(|b| b.map(|b| b % 2 == 1))
            .collect::<BooleanArray>(),
    ));
    let decimals = bits().map(|b| b.map(|b| i128::from(b) * 1_000_000_007));
    all.push(Arc::new(
        decimals
            .collect::<Decimal128Array>()
            .with_precision_and_scale(38, 9)
            .unwrap(),
    ));
    all.push(Arc::new(texts().collect::<StringArray>()));
    all.push(Arc::new(texts().collect::<LargeStringArray>()));
    all.push(Arc::new(texts().collect::<StringViewArray>()));
    all.push(Arc::new(texts().collect::<DictionaryArray<Int32Type>>()));
    let keys: Int32Array = bits().map(|b| b.map(|b| (b % 3) as i32)).collect();
    let values = Arc::new(Int64Array::from(vec![5, i64::MAX, -7]));
    all.push(Arc::new(DictionaryArray::new(keys, values)));
    all.push(Arc::new(
        texts()
            .map(|text| text.map(str::as_bytes))
            .collect::<BinaryArray>(),
    ));
    all.push(Arc::new(
        texts()
            .map(|text| text.map(str::as_bytes))
            .collect::<LargeBinaryArray>(),
    ));
    let eight = FixedSizeBinaryArray::try_from_sparse_iter_with_size(
        bits().map(|bits| bits.map(u64::to_be_bytes)),
        8,
    );
    all.push(Arc::new(eight.unwrap()));
    all.push(Arc::new(NullArray::new(cells.len())));
    all.push(Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(
        bits().map(|bits| bits.map(|bits| (0..bits % 3).map(|n| (n > 0).then_some(n as i32)))),
    )));
    all.push(structs(cells));
    all.push(maps(cells));
    all
}

fn structs(cells: &Cells) -> ArrayRef {
    let texts: StringArray = cells
        .iter()
        .map(|c| c.as_ref().map(|(_, text)| text))
        .collect();
    let present: Vec<bool> = cells.iter().map(Option::is_some).collect();
    let fields = Fields::from(vec![Field::new("text", DataType::Utf8, true)]);
    let columns: Vec<ArrayRef> = vec![Arc::new(texts)];
    Arc::new(StructArray::new(fields, columns, Some(present.into())))
}

fn maps(cells: &Cells) -> ArrayRef {
    let keys: StringArray = cells.iter().flatten().map(|(_, text)| Some(text)).collect();
    let values: Int64Array = cells
        .iter()
        .flatten()
        .map(|(bits, _)| Some(*bits as i64))
        .collect();
    let fields = Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Int64, true),
    ]);
    let columns: Vec<ArrayRef> = vec![Arc::new(keys), Arc::new(values)];
    let entries = StructArray::new(fields.clone(), columns, None);
    let field = Arc::new(Field::new("key_value", DataType::Struct(fields), false));
    let lengths = cells.iter().map(|cell| usize::from(cell.is_some()));
    let present: Vec<bool> = cells.iter().map(Option::is_some).collect();
    let offsets = OffsetBuffer::from_lengths(lengths);
    Arc::new(MapArray::new(
        field,
        offsets,
        entries,
        Some(present.into()),
        false,
    ))
}

fn table(cells: &Cells) -> RecordBatch {
    let amounts = Float64Array::from_iter_values((0..cells.len()).map(|row| row as f64));
    let mut fields = vec![Field::new("amount", DataType::Float64, false)];
    let mut columns: Vec<ArrayRef> = vec![Arc::new(amounts)];
    for (number, array) in arrays(cells).into_iter().enumerate() {
        fields.push(Field::new(
            format!("column {number}"),
            array.data_type().clone(),
            true,
        ));
        columns.push(array);
    }
    let schema = Schema::new(fields);
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

fn codecs() -> Vec<Compression> {
    vec![
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(Default::default()),
    ]
}

fn write(path: &Path, table: &RecordBatch, properties: WriterProperties) {
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, table.schema(), Some(properties)).unwrap();
    writer.write(table).unwrap();
    writer.close().unwrap();
}

/// All columns of a file but the scores.
fn read(path: &Path, cells: CellTypes) -> RecordBatch {
    let file = RowFile::open(path).unwrap();
    let columns: Vec<usize> = (0..file.names().len() - 1).collect();
    let scan = file.scan(&columns, cells).unwrap();
    let schema = scan.schema.clone();
    let batches: Vec<RecordBatch> = scan
        .batches
        .map(|batch| batch.map(|b| b.rows).unwrap_or_else(|e| panic!("{e}")))
        .collect();
    arrow_select::concat::concat_batches(&schema, &batches).unwrap()
}

/// Equal in all bits: NaN is NaN.
fn assert_same(found: &RecordBatch, expected: &RecordBatch) {
    for (position, field) in expected.schema().fields().iter().enumerate() {
        let (found_field, column) = (
            found.schema().field(position).clone(),
            found.column(position),
        );
        assert_eq!(&found_field, field.as_ref());
        assert_eq!(
            column.to_data(),
            expected.column(position).to_data(),
            "{field:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_type_passes_through(
        cells in prop::collection::vec(prop::option::of((any::<u64>(), ".{0,6}")), 1..60),
        codec in prop::sample::select(codecs()),
        old in any::<bool>(),
        dictionary in any::<bool>(),
        rows in 1_usize..40,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let [model, data, out] =
            ["model.parquet", "data.parquet", "out.parquet"].map(|name| directory.path().join(name));
        write_model(&model);
        let table = table(&cells);
        let version = if old { WriterVersion::PARQUET_1_0 } else { WriterVersion::PARQUET_2_0 };
        let properties = WriterProperties::builder()
            .set_compression(codec)
            .set_writer_version(version)
            .set_dictionary_enabled(dictionary)
            .set_max_row_group_row_count(Some(rows));
        write(&data, &table, properties.build());
        prop_assert_eq!(score(&LocalFiles, &model, None, &data, &["amount".to_string()], &out).unwrap(), cells.len());
        assert_same(&read(&out, CellTypes::Exact), &table);
    }

    #[test]
    fn every_cell_of_a_csv_file_passes_through(
        cells in prop::collection::vec(("[ -~é\n]{0,8}", "[0-9]{0,25}", "[-+0-9.eE]{0,8}"), 1..30),
        separator in prop::sample::select(vec![b',', b';', b'\t', b'|']),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let [model, data, out] =
            ["model.parquet", "data.csv", "out.csv.gz"].map(|name| directory.path().join(name));
        write_model(&model);
        let mut writer = csv::WriterBuilder::new().delimiter(separator).from_path(&data).unwrap();
        writer.write_record(["amount", "a", "b", "c"]).unwrap();
        for (a, b, c) in &cells {
            writer.write_record(["1", a, b, c]).unwrap();
        }
        writer.flush().unwrap();
        score(&LocalFiles, &model, None, &data, &[], &out).unwrap();
        let texts = read(&out, CellTypes::Texts);
        let column = |position: usize| {
            texts.column(position).as_string::<i32>().iter().map(|cell| cell.unwrap_or_default().to_string()).collect::<Vec<_>>()
        };
        prop_assert_eq!(column(0), cells.iter().map(|(a, _, _)| a.clone()).collect::<Vec<_>>());
        prop_assert_eq!(column(1), cells.iter().map(|(_, b, _)| b.clone()).collect::<Vec<_>>());
        prop_assert_eq!(column(2), cells.iter().map(|(_, _, c)| c.clone()).collect::<Vec<_>>());
    }

    /// A file that was damaged anywhere is read or refused, and nothing else.
    #[test]
    fn damage_is_no_panic(place in any::<prop::sample::Index>(), bit in 0..8_u32, cut in any::<bool>()) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rows.parquet");
        let cells: Cells = (0..50).map(|n| (n % 7 > 0).then(|| (n * n, format!("text {n}")))).collect();
        write(&path, &table(&cells), WriterProperties::builder().build());
        let mut bytes = std::fs::read(&path).unwrap();
        let place = place.index(bytes.len());
        if cut {
            bytes.truncate(place);
        } else {
            bytes[place] ^= 1 << bit;
        }
        std::fs::write(&path, bytes).unwrap();
        if let Ok(file) = RowFile::open(&path) {
            let all: Vec<usize> = (0..file.names().len()).collect();
            if let Ok(scan) = file.scan(&all, CellTypes::Exact) {
                // The first error ends the reading.
                prop_assert!(scan.batches.take_while(Result::is_ok).count() <= cells.len());
            }
        }
    }
}
