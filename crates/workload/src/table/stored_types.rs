//! The types that the columns of a Parquet file are read as. A file may hold a description of the types that its columns had in the program
//! that wrote it. The reader follows it where it can, and in places where it fails later.

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::{LogicalType, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::file::metadata::FileMetaData;
use parquet::schema::types::{SchemaDescriptor, Type, TypePtr};
use std::sync::Arc;

/// The schema `found` of the reader with types that it can read and that lose nothing.
pub(super) fn readable(found: &Schema, file: &FileMetaData) -> Schema {
    let zoned = found
        .flattened_fields()
        .iter()
        .any(|field| matches!(values(field.data_type()), DataType::Timestamp(_, Some(_))));
    // Only zones are looked for in it. A description that cannot be read has none.
    let described = if zoned { described(file).ok() } else { None };
    let fields = of_fields(
        found.fields(),
        described.as_ref().map(|schema| schema.fields()),
    );
    Schema::new_with_metadata(fields, found.metadata().clone())
}

fn of_fields(found: &Fields, described: Option<&Fields>) -> Fields {
    let described = described.filter(|described| described.len() == found.len());
    let field = |(place, field): (usize, &FieldRef)| {
        of_field(field, described.map(|described| &described[place]))
    };
    found.iter().enumerate().map(field).collect()
}

fn of_field(found: &FieldRef, described: Option<&FieldRef>) -> FieldRef {
    let data_type = of_type(found.data_type(), described.map(|field| field.data_type()));
    Arc::new(Field::clone(found).with_data_type(data_type))
}

fn of_type(found: &DataType, described: Option<&DataType>) -> DataType {
    let described = described.map(values);
    let inner = |field: &FieldRef| of_field(field, described.and_then(item));
    match found {
        DataType::Dictionary(key, of) => {
            let of = of_type(of, described);
            if can_be_categories(&of) {
                DataType::Dictionary(Box::new(wide(key)), Box::new(of))
            } else {
                of
            }
        }
        // Parquet has no seconds, so that their zone is lost where the reader wants the units to be the same.
        DataType::Timestamp(unit, Some(_)) => match described {
            Some(DataType::Timestamp(_, Some(zone))) => {
                DataType::Timestamp(*unit, Some(zone.clone()))
            }
            _ => found.clone(),
        },
        DataType::List(field) => DataType::List(inner(field)),
        DataType::LargeList(field) => DataType::LargeList(inner(field)),
        DataType::ListView(field) => DataType::ListView(inner(field)),
        DataType::LargeListView(field) => DataType::LargeListView(inner(field)),
        DataType::FixedSizeList(field, size) => DataType::FixedSizeList(inner(field), *size),
        DataType::Map(field, sorted) => DataType::Map(inner(field), *sorted),
        DataType::Struct(fields) => {
            let described = match described {
                Some(DataType::Struct(described)) => Some(described),
                _ => None,
            };
            DataType::Struct(of_fields(fields, described))
        }
        _ => found.clone(),
    }
}

/// What a list or a map is made of.
fn item(data_type: &DataType) -> Option<&FieldRef> {
    match data_type {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => Some(field),
        _ => None,
    }
}

/// The type of the values that categories stand for; the type itself where there are none.
fn values(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, of) => of,
        other => other,
    }
}

/// Whether the reader can make dictionaries of such values in whatever way they are stored. It panics or fails at others.
fn can_be_categories(values: &DataType) -> bool {
    values.is_integer()
        || matches!(
            values,
            DataType::Float32
                | DataType::Float64
                | DataType::Utf8
                | DataType::LargeUtf8
                | DataType::Utf8View
                | DataType::Binary
                | DataType::LargeBinary
                | DataType::BinaryView
                | DataType::FixedSizeBinary(_)
        )
}

/// Keys that are enough for a batch. A file that was written bit by bit may have other categories in each of its row groups, so that those
/// of a batch can be more than the keys of any of them can count.
fn wide(key: &DataType) -> DataType {
    match key {
        DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16 => DataType::Int32,
        other => other.clone(),
    }
}

/// What the file's description says of its columns. The reader hides what it says of times whose unit the file has no word for, but not
/// where the file seems to hold mere numbers.
fn described(file: &FileMetaData) -> Result<Schema, ParquetError> {
    let root = without_units(file.schema_descr().root_schema_ptr())?;
    parquet_to_arrow_schema(&SchemaDescriptor::new(root), file.key_value_metadata())
}

fn without_units(node: TypePtr) -> Result<TypePtr, ParquetError> {
    Ok(match node.as_ref() {
        Type::GroupType { basic_info, fields } => Arc::new(Type::GroupType {
            basic_info: basic_info.clone(),
            fields: fields
                .iter()
                .map(|field| without_units(field.clone()))
                .collect::<Result<_, _>>()?,
        }),
        Type::PrimitiveType {
            basic_info,
            physical_type: PhysicalType::INT64,
            ..
        } if matches!(
            basic_info.logical_type_ref(),
            Some(LogicalType::Timestamp(_))
        ) =>
        {
            let plain = Type::primitive_type_builder(basic_info.name(), PhysicalType::INT64)
                .with_repetition(basic_info.repetition());
            Arc::new(plain.build()?)
        }
        Type::PrimitiveType { .. } => node,
    })
}
