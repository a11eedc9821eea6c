//! A file of rows, or a directory that holds its parts: read once, scanned as often as wanted, a batch of some columns at a time.

use super::content::{self, Content};
use super::csv_file::CsvFile;
use super::error::{TableError, unreadable, unusable};
use super::file_read::{FileBytes, FileRead, PartBytes};
use super::inference::{Seen, typed};
use super::parquet_file::ParquetFile;
use super::parts::Partition;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the cells of a CSV file become, which have no types of their own. So do the columns that directories are named after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellTypes {
    /// Types to calculate with: numbers are the nearest floating-point ones.
    Nearest,
    /// Types that hold every cell without loss.
    Exact,
    /// Texts, as they stand in the file.
    Texts,
}

/// A file of rows whose bytes were read.
#[derive(Debug)]
pub struct RowFile {
    source: FileRead,
    parts: Vec<Part>,
    names: Vec<String>,
}

#[derive(Debug)]
struct Part {
    path: PathBuf,
    partitions: Vec<Partition>,
    rows: Rows,
}

#[derive(Debug)]
enum Rows {
    Parquet(ParquetFile),
    Csv(CsvFile),
}

/// Some rows of one part.
pub(crate) struct PartBatch<'a> {
    /// The file that they stand in.
    pub(crate) part: &'a Path,
    /// Columns as they were chosen. Their types may differ between parts.
    pub(crate) rows: RecordBatch,
}

/// The rows of a file, batch by batch.
pub(crate) struct Scan<'a> {
    /// Columns as they were chosen, with the types that they have in the first part that knows them: where a part holds missing values
    /// only, its type may be that of nothing.
    pub(crate) schema: SchemaRef,
    /// The batches, in the order of the file.
    pub(crate) batches: Box<dyn Iterator<Item = Result<PartBatch<'a>, TableError>> + 'a>,
}

impl RowFile {
    /// Reads the bytes at `path` and what they are.
    ///
    /// # Errors
    /// The file cannot be read, or is in no format that is read.
    pub fn open(path: &Path) -> Result<Self, TableError> {
        Self::of_bytes(FileBytes::read(path)?)
    }

    /// The rows in the bytes of a file. The file is not opened again.
    ///
    /// # Errors
    /// The bytes are in no format that is read, or parts have different columns.
    pub fn of_bytes(file: FileBytes) -> Result<Self, TableError> {
        let source = FileRead {
            path: file.path.clone(),
            sha256: file.sha256().to_string(),
            etag: file.etag().map(str::to_string),
            size: file.size,
            rows: 0,
            made_by: None,
        };
        let mut parts = Vec::new();
        for part in file.parts {
            parts.extend(open_part(part)?);
        }
        let Some(first) = parts.first() else {
            return Err(unusable(
                &source.path,
                "the file is empty; rows must be Parquet or CSV",
            ));
        };
        let names = first.names();
        check_alike(&parts, &names)?;
        let made_by = match first.rows {
            Rows::Parquet(ref file) => file.made_by(),
            Rows::Csv(_) => None,
        };
        Ok(Self {
            source: FileRead { made_by, ..source },
            parts,
            names,
        })
    }

    /// What was read; its number of rows is not known before a scan.
    pub(super) fn source(&self) -> &FileRead {
        &self.source
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.source.path
    }

    /// SHA-256 as in [`FileRead::sha256`].
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.source.sha256
    }

    /// The names of the columns, in the order of the file.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether the cells are texts without types.
    #[must_use]
    pub fn is_csv(&self) -> bool {
        matches!(self.parts[0].rows, Rows::Csv(_))
    }

    /// The files that the rows stand in.
    pub(crate) fn part_paths(&self) -> impl Iterator<Item = &Path> {
        self.parts.iter().map(|part| part.path.as_path())
    }

    /// Whether a column has cells without types.
    pub(super) fn is_untyped(&self, position: usize) -> bool {
        self.is_csv() || position >= self.names.len() - self.parts[0].partitions.len()
    }

    /// Where a column stands.
    ///
    /// # Errors
    /// No column has this name, or several have it.
    pub fn position(&self, name: &str) -> Result<usize, TableError> {
        position(self.path(), &self.names, name)
    }

    /// The rows with the columns at `chosen`.
    ///
    /// # Errors
    /// A CSV file is damaged, or a part cannot be read.
    pub(crate) fn scan(&self, chosen: &[usize], cells: CellTypes) -> Result<Scan<'_>, TableError> {
        let types = match cells {
            CellTypes::Texts => chosen.iter().map(|_| DataType::Utf8).collect(),
            CellTypes::Nearest | CellTypes::Exact => self.inferred(chosen, cells)?,
        };
        let mut batches = Vec::new();
        for part in &self.parts {
            batches.push(part.batches(&self.names, chosen, &types)?);
        }
        Ok(Scan {
            schema: common(batches.iter().map(|part| part.schema.as_ref())),
            batches: Box::new(batches.into_iter().flat_map(|part| part.batches)),
        })
    }

    /// The types of all columns, in the order of the file.
    ///
    /// # Errors
    /// As [`RowFile::scan`].
    pub(crate) fn types(&self) -> Result<Vec<DataType>, TableError> {
        let all: Vec<usize> = (0..self.names.len()).collect();
        let schema = self.scan(&all, CellTypes::Nearest)?.schema;
        let fields = schema.fields().iter();
        Ok(fields.map(|field| field.data_type().clone()).collect())
    }

    /// The types of untyped columns; those of others are not asked for.
    fn inferred(&self, chosen: &[usize], cells: CellTypes) -> Result<Vec<DataType>, TableError> {
        let mut seen = vec![Seen::default(); chosen.len()];
        for part in &self.parts {
            let layout = part.layout(&self.names, chosen)?;
            for (place, seen) in layout.iter().zip(&mut seen) {
                if let Place::Partition(value) = place {
                    seen.add(value.as_deref().unwrap_or_default());
                }
            }
            if let Rows::Csv(file) = &part.rows {
                let (positions, mut own): (Vec<usize>, Vec<Seen>) = layout
                    .iter()
                    .zip(&seen)
                    .filter_map(|(place, seen)| Some((place.column()?, seen.clone())))
                    .unzip();
                file.see(&positions, &mut own)?;
                let mut own = own.into_iter();
                for (place, seen) in layout.iter().zip(&mut seen) {
                    if place.column().is_some()
                        && let Some(found) = own.next()
                    {
                        *seen = found;
                    }
                }
            }
        }
        let exact = cells == CellTypes::Exact;
        Ok(seen.iter().map(|seen| seen.data_type(exact)).collect())
    }
}

/// Where a column of a part is from.
enum Place {
    Column(usize),
    Partition(Option<String>),
}

impl Place {
    fn column(&self) -> Option<usize> {
        match self {
            Self::Column(position) => Some(*position),
            Self::Partition(_) => None,
        }
    }
}

/// The batches of a part, and the types in it.
struct PartScan<'a> {
    schema: SchemaRef,
    batches: Box<dyn Iterator<Item = Result<PartBatch<'a>, TableError>> + 'a>,
}

impl Part {
    fn own_names(&self) -> &[String] {
        match &self.rows {
            Rows::Parquet(file) => &file.names,
            Rows::Csv(file) => &file.names,
        }
    }

    fn names(&self) -> Vec<String> {
        let partitions = self.partitions.iter().map(|(name, _)| name.clone());
        self.own_names().iter().cloned().chain(partitions).collect()
    }

    /// Where the columns at `chosen` among `names` are in this part, whose columns may have another order.
    fn layout(&self, names: &[String], chosen: &[usize]) -> Result<Vec<Place>, TableError> {
        let own = self.names();
        let place = |position: &usize| {
            let found = if own == names {
                *position
            } else {
                self::position(&self.path, &own, &names[*position])?
            };
            let columns = self.own_names().len();
            Ok(match found.checked_sub(columns) {
                None => Place::Column(found),
                Some(partition) => Place::Partition(self.partitions[partition].1.clone()),
            })
        };
        chosen.iter().map(place).collect()
    }

    fn batches(
        &self,
        names: &[String],
        chosen: &[usize],
        types: &[DataType],
    ) -> Result<PartScan<'_>, TableError> {
        let layout = self.layout(names, chosen)?;
        let columns: Vec<usize> = layout.iter().filter_map(Place::column).collect();
        let own = match &self.rows {
            Rows::Parquet(file) => {
                let batches = file.batches(&columns)?;
                Own {
                    schema: batches.schema(),
                    batches: Box::new(batches),
                }
            }
            Rows::Csv(file) => {
                let of_columns = layout.iter().zip(types);
                let types: Vec<DataType> = of_columns
                    .filter(|(place, _)| place.column().is_some())
                    .map(|(_, data_type)| data_type.clone())
                    .collect();
                let batches = file.batches(&columns, &types)?;
                Own {
                    schema: batches.schema(),
                    batches: Box::new(batches),
                }
            }
        };
        let mut fields = own.schema.fields().iter().cloned();
        let all: Vec<Arc<Field>> = layout
            .iter()
            .zip(chosen)
            .zip(types)
            .filter_map(|((place, position), data_type)| match place {
                Place::Column(_) => fields.next(),
                Place::Partition(_) => Some(Arc::new(Field::new(
                    &names[*position],
                    data_type.clone(),
                    true,
                ))),
            })
            .collect();
        let schema = Arc::new(Schema::new_with_metadata(
            all,
            own.schema.metadata().clone(),
        ));
        let (path, of_batches) = (self.path.as_path(), schema.clone());
        let batches = own.batches.map(move |batch| {
            let rows = with_partitions(path, &batch?, &layout, &of_batches)?;
            Ok(PartBatch { part: path, rows })
        });
        Ok(PartScan {
            schema,
            batches: Box::new(batches),
        })
    }
}

/// The columns that the file of a part holds itself.
struct Own<'a> {
    schema: SchemaRef,
    batches: Box<dyn Iterator<Item = Result<RecordBatch, TableError>> + 'a>,
}

fn with_partitions(
    path: &Path,
    batch: &RecordBatch,
    layout: &[Place],
    schema: &SchemaRef,
) -> Result<RecordBatch, TableError> {
    let mut own = batch.columns().iter().cloned();
    let columns: Vec<ArrayRef> = layout
        .iter()
        .zip(schema.fields())
        .filter_map(|(place, field)| match place {
            Place::Column(_) => own.next(),
            Place::Partition(value) => {
                let cells = std::iter::repeat_n(value.as_deref(), batch.num_rows());
                Some(typed(&cells.collect::<StringArray>(), field.data_type()))
            }
        })
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .map_err(|error| unreadable(path, &error))
}

fn open_part(part: PartBytes) -> Result<Option<Part>, TableError> {
    let PartBytes {
        path,
        partitions,
        bytes,
    } = part;
    let rows = match content::of_bytes(&path, bytes)? {
        Content::Parquet(bytes) => Rows::Parquet(ParquetFile::open(&path, bytes)?),
        Content::Csv(text) => match CsvFile::open(&path, text)? {
            Some(file) => Rows::Csv(file),
            None => return Ok(None),
        },
        Content::Empty => return Ok(None),
    };
    Ok(Some(Part {
        path,
        partitions,
        rows,
    }))
}

/// The schema of all parts.
fn common<'a>(mut schemas: impl Iterator<Item = &'a Schema>) -> SchemaRef {
    let Some(first) = schemas.next() else {
        return Arc::new(Schema::empty());
    };
    let mut fields: Vec<Field> = first.fields().iter().map(|f| f.as_ref().clone()).collect();
    for schema in schemas {
        for (field, other) in fields.iter_mut().zip(schema.fields()) {
            field.set_nullable(field.is_nullable() || other.is_nullable());
            if *field.data_type() == DataType::Null {
                field.set_data_type(other.data_type().clone());
            } else if *other.data_type() == DataType::Null {
                field.set_nullable(true);
            }
        }
    }
    Arc::new(Schema::new_with_metadata(fields, first.metadata().clone()))
}

/// Parts must have the same columns, in whatever order, and be of one format.
fn check_alike(parts: &[Part], names: &[String]) -> Result<(), TableError> {
    let of_parquet = |part: &&Part| matches!(part.rows, Rows::Parquet(_));
    // Any text may be CSV, such as notes beside the data, but nothing is Parquet by accident.
    if let Some(parquet) = parts.iter().find(of_parquet)
        && let Some(text) = parts.iter().find(|part| !of_parquet(part))
    {
        let message = format!(
            "all parts must be of one format; {} is Parquet, and this is text, as CSV is. Names that begin with `_` or `.` are left out",
            parquet.path.display()
        );
        return Err(unusable(&text.path, message));
    }
    let sorted = |mut names: Vec<String>| {
        names.sort_unstable();
        names
    };
    let first = &parts[0];
    let expected = sorted(names.to_vec());
    for part in parts {
        if sorted(part.names()) != expected {
            let message = format!(
                "all parts must have the columns of {}: {}; this one has {}",
                first.path.display(),
                names.join(", "),
                part.names().join(", ")
            );
            return Err(unusable(&part.path, message));
        }
    }
    Ok(())
}

fn position(path: &Path, names: &[String], name: &str) -> Result<usize, TableError> {
    let mut found = (0..names.len()).filter(|position| names[*position] == name);
    match (found.next(), found.count()) {
        (Some(position), 0) => Ok(position),
        (Some(_), others) => Err(TableError::RepeatedColumn {
            path: path.to_path_buf(),
            column: name.to_string(),
            count: others + 1,
        }),
        (None, _) => Err(TableError::MissingColumn {
            path: path.to_path_buf(),
            column: name.to_string(),
            present: names.to_vec(),
        }),
    }
}
