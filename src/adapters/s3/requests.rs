//! What requests to an object store have in common.

use super::address::S3Address;
use super::answer::{Met, Place, StoreError, StoreErrorKind, Wanted};
use super::connection::Patience;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use std::error::Error;

/// Asks one store, in the name of one account.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    pub(super) client: Client,
    pub(super) place: Place,
    pub(super) patience: Patience,
}

impl Requests {
    pub(super) fn error(
        &self,
        kind: StoreErrorKind,
        wanted: Wanted,
        address: &S3Address,
        message: String,
    ) -> StoreError {
        StoreError {
            kind,
            wanted,
            address: address.to_string(),
            message,
        }
    }

    /// What it means that the SDK has given a request up.
    pub(super) fn failed<E>(
        &self,
        error: &SdkError<E>,
        wanted: Wanted,
        address: &S3Address,
    ) -> StoreError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let met = Met::of(error);
        let (kind, message) = met.meaning(wanted, address.bucket(), &self.place);
        self.error(kind, wanted, address, message)
    }
}
