//! Rows of a CSV file: the separator is told from the first rows, the types of columns from all of them.

use super::content::{Text, damaged};
use super::error::{TableError, unreadable, unusable};
use super::inference::{Seen, typed};
use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows of a batch at the most.
const BATCH_ROWS: usize = 8192;

/// Bytes of a batch from which on no row is added.
const BATCH_BYTES: usize = 1 << 26;

/// What may separate cells, the usual one first.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Bytes and rows at the beginning that the separator is told from.
const SAMPLE_BYTES: usize = 1 << 20;
const SAMPLE_ROWS: usize = 100;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A row that stands behind the last one. Where it does not appear, a quoted cell was never closed and took it in.
const END: &[u8] = b"\x04end\x04";

/// What follows the text.
const END_OF_TEXT: &[u8] = b"\n\x04end\x04\n";

/// A CSV file whose header was read.
#[derive(Debug)]
pub(super) struct CsvFile {
    path: PathBuf,
    text: Text,
    separator: u8,
    /// The bytes before the header.
    preamble: usize,
    pub(super) names: Vec<String>,
}

impl CsvFile {
    /// The file, unless it holds nothing but blank lines.
    pub(super) fn open(path: &Path, text: Text) -> Result<Option<Self>, TableError> {
        let sample = sample(path, &text)?;
        let content = sample.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&sample);
        if sample.len() < SAMPLE_BYTES && content.trim_ascii().is_empty() {
            return Ok(None);
        }
        let (separator, preamble) = match named_separator(content) {
            Some((separator, length)) => (separator, sample.len() - content.len() + length),
            None => (separator(&sample), 0),
        };
        let header = records(&sample[preamble..], separator).next();
        let header = header.unwrap_or_default();
        let name = |cell: &[u8]| {
            let refused = |_| unusable(path, "the names of columns must be UTF-8");
            String::from_utf8(cell.to_vec()).map_err(refused)
        };
        let names = header.iter().map(name).collect::<Result<_, _>>()?;
        Ok(Some(Self {
            path: path.to_path_buf(),
            text,
            separator,
            preamble,
            names,
        }))
    }

    /// What the cells of each of the columns at `chosen` can be.
    pub(super) fn see(&self, chosen: &[usize], seen: &mut [Seen]) -> Result<(), TableError> {
        let mut rows = self.rows()?;
        while let Some(row) = rows.next()? {
            for (position, seen) in chosen.iter().zip(&mut *seen) {
                seen.add(row.text(*position)?);
            }
        }
        Ok(())
    }

    /// The columns at `chosen` as the `types` that hold all of their cells.
    pub(super) fn batches(
        &self,
        chosen: &[usize],
        types: &[DataType],
    ) -> Result<CsvBatches<'_>, TableError> {
        let field = |(position, data_type): (&usize, &DataType)| {
            Field::new(&self.names[*position], data_type.clone(), true)
        };
        let fields: Vec<Field> = chosen.iter().zip(types).map(field).collect();
        Ok(CsvBatches {
            rows: self.rows()?,
            chosen: chosen.to_vec(),
            schema: Arc::new(Schema::new(fields)),
        })
    }

    fn rows(&self) -> Result<Rows<'_>, TableError> {
        let mut text = self.text.reader();
        let mut preamble = text.by_ref().take(self.preamble as u64);
        std::io::copy(&mut preamble, &mut std::io::sink())
            .map_err(|error| unreadable(&self.path, &damaged(&error)))?;
        let mut rows = Rows {
            file: self,
            reader: reader(Box::new(text.chain(END_OF_TEXT)), self.separator),
            record: csv::ByteRecord::new(),
            number: 0,
            ended: false,
        };
        // The header is a row like any other here, so that one that is never closed is seen too.
        rows.next()?;
        rows.number = 0;
        Ok(rows)
    }
}

fn reader(text: Box<dyn Read>, separator: u8) -> csv::Reader<Box<dyn Read>> {
    csv::ReaderBuilder::new()
        .delimiter(separator)
        .has_headers(false)
        // Lengths are compared here, to say in which row of the data one differs.
        .flexible(true)
        .from_reader(text)
}

fn sample(path: &Path, text: &Text) -> Result<Vec<u8>, TableError> {
    let mut sample = Vec::new();
    let read = text
        .reader()
        .take(SAMPLE_BYTES as u64)
        .read_to_end(&mut sample);
    read.map_err(|error| unreadable(path, &damaged(&error)))?;
    if sample.len() == SAMPLE_BYTES
        && let Some(last) = sample.iter().rposition(|byte| *byte == b'\n')
    {
        sample.truncate(last + 1);
    }
    Ok(sample)
}

fn records(sample: &[u8], separator: u8) -> impl Iterator<Item = csv::ByteRecord> {
    let text: Box<dyn Read> = Box::new(std::io::Cursor::new(sample.to_vec()));
    reader(text, separator)
        .into_byte_records()
        .map_while(Result::ok)
}

/// The separator that a first line such as `sep=;` names, as Excel reads it, and the bytes of that line.
fn named_separator(content: &[u8]) -> Option<(u8, usize)> {
    let length = content.iter().position(|byte| *byte == b'\n')? + 1;
    let line = content[..length].trim_ascii_end();
    let line = line
        .strip_prefix(b"\"")
        .and_then(|line| line.strip_suffix(b"\""))
        .unwrap_or(line);
    match line.strip_prefix(b"sep=")? {
        // The end of the line is one of the blanks.
        [] if content[..length].contains(&b'\t') => Some((b'\t', length)),
        [separator] if separator.is_ascii_punctuation() && *separator != b'"' => {
            Some((*separator, length))
        }
        _ => None,
    }
}

/// The separator that gives all sampled rows the same number of cells, as many as possible.
fn separator(sample: &[u8]) -> u8 {
    let cells = |separator: u8| {
        let mut lengths = records(sample, separator)
            .take(SAMPLE_ROWS)
            .map(|record| record.len());
        let header = lengths.next().unwrap_or(0);
        (lengths.all(|length| length == header), header)
    };
    // Of equals the first is taken.
    let best = SEPARATORS
        .into_iter()
        .rev()
        .filter(|separator| cells(*separator).1 > 1)
        .max_by_key(|separator| cells(*separator));
    best.unwrap_or(b',')
}

/// The rows behind the header.
struct Rows<'a> {
    file: &'a CsvFile,
    reader: csv::Reader<Box<dyn Read>>,
    record: csv::ByteRecord,
    number: usize,
    ended: bool,
}

/// A row, its number in the file and the names of its cells.
struct Row<'a> {
    file: &'a CsvFile,
    record: &'a csv::ByteRecord,
    number: usize,
}

impl Rows<'_> {
    fn next(&mut self) -> Result<Option<Row<'_>>, TableError> {
        if self.ended {
            return Ok(None);
        }
        let path = &self.file.path;
        let read = self.reader.read_byte_record(&mut self.record);
        let found = read.map_err(|error| match error.into_kind() {
            csv::ErrorKind::Io(error) => unreadable(path, &damaged(&error)),
            other => unreadable(path, &format!("{other:?}")),
        })?;
        let last = self.record.iter().next_back().unwrap_or_default();
        if found && self.record.len() == 1 && last == END {
            self.ended = true;
            return Ok(None);
        }
        // It is the only thing that the end stands in.
        if !found || last.ends_with(END_OF_TEXT) {
            let message = format!(
                "row {}: a cell begins with a quotation mark that is never closed",
                self.number + 1
            );
            return Err(unusable(path, message));
        }
        self.number += 1;
        let (cells, names) = (self.record.len(), self.file.names.len());
        if cells != names && self.number > 0 {
            let line = self.record.position().map_or(0, csv::Position::line);
            let line = line + u64::from(self.file.preamble > 0);
            let message = format!(
                "row {} (line {line}) must have {names} cells, as many as the header; it has {cells}",
                self.number
            );
            return Err(unusable(path, message));
        }
        Ok(Some(Row {
            file: self.file,
            record: &self.record,
            number: self.number,
        }))
    }
}

impl<'a> Row<'a> {
    fn text(&self, position: usize) -> Result<&'a str, TableError> {
        let cell = self.record.get(position).unwrap_or_default();
        std::str::from_utf8(cell).map_err(|_| {
            let name = self.file.names.get(position).map_or("", String::as_str);
            let message = format!("row {}: `{name}` must be UTF-8", self.number);
            unusable(&self.file.path, message)
        })
    }
}

/// Rows of a CSV file, batch by batch.
pub(super) struct CsvBatches<'a> {
    rows: Rows<'a>,
    chosen: Vec<usize>,
    schema: SchemaRef,
}

impl CsvBatches<'_> {
    pub(super) fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, TableError> {
        let mut cells: Vec<StringBuilder> =
            self.chosen.iter().map(|_| StringBuilder::new()).collect();
        let (mut rows, mut bytes) = (0, 0);
        while rows < BATCH_ROWS && bytes < BATCH_BYTES {
            let Some(row) = self.rows.next()? else {
                break;
            };
            for (position, cells) in self.chosen.iter().zip(&mut cells) {
                let text = row.text(*position)?;
                bytes += text.len();
                cells.append_value(text);
            }
            rows += 1;
        }
        if rows == 0 {
            return Ok(None);
        }
        let columns: Vec<ArrayRef> = cells
            .iter_mut()
            .zip(self.schema.fields())
            .map(|(cells, field)| {
                let cells: StringArray = cells.finish();
                typed(&cells, field.data_type())
            })
            .collect();
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map(Some)
            .map_err(|error| unreadable(&self.rows.file.path, &error))
    }
}

impl Iterator for CsvBatches<'_> {
    type Item = Result<RecordBatch, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}
