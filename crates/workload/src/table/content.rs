//! What the bytes of a file are: told from the bytes, not from the file's name.

use super::error::{TableError, unreadable, unusable};
use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;

/// Rows in one of the formats that are read.
#[derive(Debug)]
pub(super) enum Content {
    Parquet(Bytes),
    Csv(Text),
    /// No byte, as Spark writes for a part without rows.
    Empty,
}

/// Text, perhaps compressed.
#[derive(Debug)]
pub(super) struct Text {
    bytes: Bytes,
    compression: Compression,
}

#[derive(Clone, Copy, Debug)]
enum Compression {
    None,
    Gzip,
    Zstd,
}

/// The first bytes of what is often taken for a file of rows, and what it is.
const OTHERS: [(&[u8], &str); 16] = [
    (b"PARE", "an encrypted Parquet file"),
    (b"ARROW1", "an Arrow or Feather file"),
    (b"FEA1", "a Feather file"),
    (b"ORC", "an ORC file"),
    (b"Obj\x01", "an Avro file"),
    (
        b"PK\x03\x04",
        "a ZIP archive, such as those of Excel and of NumPy",
    ),
    (b"\xd0\xcf\x11\xe0", "an old Excel file"),
    (b"BZh", "compressed by bzip2"),
    (b"\xfd7zXZ\0", "compressed by xz"),
    (b"\x04\x22\x4d\x18", "compressed by lz4"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x80\x04", "a Python pickle"),
    (b"\x80\x05", "a Python pickle"),
    (
        b"version https://git-lfs",
        "a pointer of Git LFS instead of the file itself: run `git lfs pull`",
    ),
];

/// What text begins with that is not CSV.
const OTHER_TEXTS: [(&str, &str); 4] = [
    ("{", "JSON"),
    ("[", "JSON"),
    ("<", "XML or HTML"),
    ("%PDF", "a PDF file"),
];

/// Bytes from the beginning that are looked at.
const HEAD: u64 = 1 << 16;

/// What `bytes`, the content of the file at `path`, are.
///
/// # Errors
/// They are in no format that is read; the message names it where it is known.
pub(super) fn of_bytes(path: &Path, bytes: Bytes) -> Result<Content, TableError> {
    if bytes.is_empty() {
        return Ok(Content::Empty);
    }
    let compression = compression(&bytes);
    let text = Text { bytes, compression };
    let mut head = Vec::new();
    let read = text.reader().take(HEAD).read_to_end(&mut head);
    read.map_err(|error| unreadable(path, &damaged(&error)))?;
    if head.starts_with(b"PAR1") {
        return Ok(Content::Parquet(text.decompressed(path)?));
    }
    match foreign(&head) {
        Some(what) => Err(unusable(
            path,
            format!("rows must be Parquet or CSV; this is {what}"),
        )),
        None => Ok(Content::Csv(text)),
    }
}

fn compression(bytes: &[u8]) -> Compression {
    if bytes.starts_with(b"\x1f\x8b") {
        Compression::Gzip
    } else if bytes.starts_with(b"\x28\xb5\x2f\xfd") {
        Compression::Zstd
    } else {
        Compression::None
    }
}

/// What the bytes are, if they are not CSV.
fn foreign(head: &[u8]) -> Option<&'static str> {
    if let Some((_, what)) = OTHERS.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Some(what);
    }
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return Some("text in UTF-16; save it as UTF-8");
    }
    if head.contains(&0) {
        return Some("neither");
    }
    let text = String::from_utf8_lossy(head);
    let start = text.trim_start_matches('\u{feff}').trim_start();
    let other = OTHER_TEXTS
        .iter()
        .find(|(first, _)| start.starts_with(first));
    other.map(|(_, what)| *what)
}

impl Text {
    /// The text, decompressed on the way.
    pub(super) fn reader(&self) -> Box<dyn Read> {
        let reader = Cursor::new(self.bytes.clone());
        match self.compression {
            Compression::None => Box::new(reader),
            Compression::Gzip => Box::new(MultiGzDecoder::new(BufReader::new(reader))),
            Compression::Zstd => match zstd::Decoder::new(reader) {
                Ok(decoder) => Box::new(decoder),
                Err(error) => Box::new(Failing(Some(error))),
            },
        }
    }

    fn decompressed(self, path: &Path) -> Result<Bytes, TableError> {
        if let Compression::None = self.compression {
            return Ok(self.bytes);
        }
        let mut bytes = Vec::new();
        let read = self.reader().read_to_end(&mut bytes);
        read.map_err(|error| unreadable(path, &damaged(&error)))?;
        Ok(bytes.into())
    }
}

/// A decompressor that could not begin says so where it is read.
struct Failing(Option<std::io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// An error of decompressing in words.
pub(super) fn damaged(error: &std::io::Error) -> String {
    format!("its compression is damaged or the file was cut short ({error})")
}
