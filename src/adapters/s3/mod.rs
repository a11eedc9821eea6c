//! Files in an object store that speaks S3, as commands in the pods of users read and write them. The operator connects to none.

mod address;
mod answer;
mod connection;
mod listing;
mod progress;
mod reading;
mod requests;
mod writing;

pub use address::S3Address;
pub use answer::{StoreError, StoreErrorKind, Wanted};
pub use connection::{Access, Credentials, Patience};
pub use listing::Head;
pub use writing::{PutMode, Written};

use crate::adapters::blocking;
use crate::ports::PortError;
use podium_api::champion_policy::StoreSpec;
use podium_workload::table::{FileBytes, FileSource, TableError};
use requests::Requests;
use std::path::Path;
use tokio::runtime::Runtime;

/// An object store, asked in the name of one account. Its operations wait, so that they belong on threads that may.
#[derive(Debug)]
pub struct S3Store {
    runtime: &'static Runtime,
    requests: Requests,
}

impl S3Store {
    /// The store of a specification, with the credentials of the environment; that of the environment alone without one. Nothing is sent to
    /// it yet.
    ///
    /// # Errors
    /// What is to be trusted cannot be read.
    pub fn connect(store: Option<&StoreSpec>) -> Result<Self, PortError> {
        Self::open(&Access::from_environment(store))
    }

    /// The store that is reached so.
    ///
    /// # Errors
    /// As [`S3Store::connect`].
    pub fn open(access: &Access) -> Result<Self, PortError> {
        let runtime = blocking::runtime()?;
        let (client, place) = runtime.block_on(access.client())?;
        Ok(Self {
            runtime,
            requests: Requests {
                client,
                place,
                patience: access.patience,
            },
        })
    }

    /// What the object, or the table in parts, at an address is called now, and how long it is; `None` where there is neither.
    ///
    /// # Errors
    /// The store does not tell, or the table is not finished.
    pub fn head(&self, address: &Path) -> Result<Option<Head>, TableError> {
        let parsed = parsed(address)?;
        self.runtime.block_on(self.requests.head(address, &parsed))
    }

    /// Stores an object whole or not at all.
    ///
    /// # Errors
    /// It cannot be stored.
    pub fn put(
        &self,
        address: &Path,
        bytes: Vec<u8>,
        mode: PutMode,
    ) -> Result<Written, StoreError> {
        let parsed = S3Address::parse(address).map_err(|message| StoreError {
            kind: StoreErrorKind::Refused,
            wanted: Wanted::Store,
            address: address.display().to_string(),
            message,
        })?;
        let put = self.requests.put(&parsed, bytes, mode);
        self.runtime.block_on(put)
    }
}

impl FileSource for S3Store {
    fn read(&self, address: &Path) -> Result<FileBytes, TableError> {
        let parsed = parsed(address)?;
        self.runtime.block_on(self.requests.file(address, &parsed))
    }

    fn read_model(&self, address: &Path) -> Result<FileBytes, TableError> {
        let parsed = parsed(address)?;
        self.runtime.block_on(self.requests.model(address, &parsed))
    }
}

fn parsed(address: &Path) -> Result<S3Address, TableError> {
    S3Address::parse(address).map_err(|message| TableError::Unreadable {
        path: address.to_path_buf(),
        message,
    })
}
