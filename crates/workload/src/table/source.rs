//! Where files are read from: this machine, or whatever else somebody reads from who knows it.

use super::error::TableError;
use super::file_read::FileBytes;
use crate::model_file::file_of;
use std::path::Path;

/// Reads the files that addresses name. An address that is no path of this machine, such as that of an object in an object store, stands in a
/// [`Path`] as it is: it is not joined with another, and no part of it means anything else than it says.
pub trait FileSource {
    /// Reads a file of rows, or all parts of a table, into memory.
    ///
    /// # Errors
    /// It cannot be read, or is not there: see [`TableError::is_missing`].
    fn read(&self, address: &Path) -> Result<FileBytes, TableError>;

    /// Reads the file of a model: the one at the address, or that in the directory at the address, which
    /// [`model_among`](crate::model_file::model_among) chooses.
    ///
    /// # Errors
    /// As [`FileSource::read`]; a directory without a model is no model, so that it is missing.
    fn read_model(&self, address: &Path) -> Result<FileBytes, TableError> {
        self.read(address)
    }
}

/// The files of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalFiles;

impl FileSource for LocalFiles {
    fn read(&self, address: &Path) -> Result<FileBytes, TableError> {
        FileBytes::read(address)
    }

    fn read_model(&self, address: &Path) -> Result<FileBytes, TableError> {
        FileBytes::read(&file_of(address)?)
    }
}
