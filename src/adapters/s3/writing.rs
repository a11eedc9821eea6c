//! Storing whole objects: whoever reads one meanwhile gets the old one or the new one.

use super::address::S3Address;
use super::answer::{Met, StoreError, StoreErrorKind, Wanted};
use super::reading::plain;
use super::requests::Requests;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use std::time::Duration;

/// How often an object is stored that others store at the same time.
const ATTEMPTS: u32 = 3;
/// Bytes that are sent in a second at the least.
const SLOWEST: u64 = 100_000;

/// What becomes of an object that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutMode {
    /// It is replaced.
    Replace,
    /// It stays, and nothing is stored.
    CreateOnly,
}

/// What became of an object that was to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is stored, and called so by the store.
    New(Option<String>),
    /// One was there already. It may be this very one, whose first answer was lost.
    Existed,
}

/// What a browser has to know of an object that it is to show; nothing of others.
fn content_type(key: &str) -> Option<&'static str> {
    match key.rsplit_once('.')?.1 {
        "html" => Some("text/html; charset=utf-8"),
        "json" => Some("application/json"),
        _ => None,
    }
}

impl Requests {
    pub(super) async fn put(
        &self,
        address: &S3Address,
        bytes: Vec<u8>,
        mode: PutMode,
    ) -> Result<Written, StoreError> {
        if !address.may_be_an_object() {
            let message = "an object must be named: its key must not be empty or end with a slash";
            let kind = StoreErrorKind::Refused;
            return Err(self.error(kind, Wanted::Store, address, message.to_string()));
        }
        let patience = Duration::from_secs(bytes.len() as u64 / SLOWEST);
        let timeouts = self.patience.timeouts(self.patience.silence + patience);
        let bytes = Bytes::from(bytes);
        let mut attempt = 1;
        loop {
            let request = self
                .client
                .put_object()
                .bucket(address.bucket())
                .key(address.key())
                .set_content_type(content_type(address.key()).map(str::to_string))
                .body(body_of(&bytes))
                .set_if_none_match((mode == PutMode::CreateOnly).then(|| "*".to_string()))
                .customize()
                .config_override(Builder::new().timeout_config(timeouts.clone()));
            let error = match request.send().await {
                Ok(answer) => {
                    let etag = answer.e_tag().map(plain).map(str::to_string);
                    return Ok(Written::New(etag));
                }
                Err(error) => error,
            };
            if mode == PutMode::CreateOnly && Met::of(&error).is_of_a_condition() {
                return Ok(Written::Existed);
            }
            let failed = self.failed(&error, Wanted::Store, address);
            // Somebody else stores it right now, and one of the two must try again.
            if failed.kind != StoreErrorKind::Changed || attempt == ATTEMPTS {
                return Err(failed);
            }
            tokio::time::sleep(self.patience.pause_before(attempt)).await;
            attempt += 1;
        }
    }
}

/// The body of an attempt, which shares its bytes with all others: an output may fill half of the memory.
fn body_of(bytes: &Bytes) -> ByteStream {
    ByteStream::from(bytes.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_in_memory_once_however_often_it_is_sent() {
        let bytes = vec![7_u8; 1000];
        let place = bytes.as_ptr();
        let bytes = Bytes::from(bytes);
        for _ in 0..2 {
            let body = body_of(&bytes);
            assert_eq!(body.bytes().map(<[u8]>::as_ptr), Some(place));
        }
    }
}
