//! What an answer of an object store that is no success, or the lack of one, means.
//!
//! | status | code | meaning |
//! |---|---|---|
//! | | `NoSuchKey`; 404 to a look | there is no such object |
//! | | `NoSuchBucket` | there is no such bucket |
//! | 412, 416, `ConditionalRequestConflict` | | the object is another one by now |
//! | 301, 307 | | the bucket lies in another region |
//! | 400 | with a region | the same |
//! | | `ExpiredToken` and the like | the credentials have expired |
//! | | `InvalidAccessKeyId`, `SignatureDoesNotMatch` and the like | the credentials are wrong |
//! | | `RequestTimeTooSkewed` | the clock is wrong |
//! | 403 | | a right is missing |
//! | | `InvalidObjectState` | the object is archived |
//! | 408, 429, 5xx | | busy or broken |
//! | other 4xx | any | refused |
//! | any | none | no object store |
//! | none | | out of reach, not trusted, or without credentials |
//!
//! Of the words of a server nothing is repeated but its codes and the names of regions: it may say whatever it likes.

use crate::adapters::whole_chain;
use crate::ports::{PortError, PortErrorKind};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use podium_workload::table::TableError;
use std::error::Error;
use std::path::PathBuf;

/// Why an object store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot {} {address}: {message}", .wanted.verb())]
pub struct StoreError {
    /// What it means.
    pub kind: StoreErrorKind,
    /// What was wanted.
    pub wanted: Wanted,
    /// Of what.
    pub address: String,
    /// What was met, and what must be done about it.
    pub message: String,
}

/// What an object store is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The content of an object.
    Content,
    /// What is known of an object, which is answered without words.
    Look,
    /// The names of objects.
    Names,
    /// To store an object.
    Store,
}

/// The meanings of an answer that is no success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// There is no such object.
    Missing,
    /// There is no such bucket.
    NoBucket,
    /// The object is another one than it was.
    Changed,
    /// A right is missing.
    Denied,
    /// The credentials are missing, wrong or have expired.
    Credentials,
    /// The bucket lies in another region.
    OtherRegion,
    /// The clock of this machine or of the store is wrong.
    Clock,
    /// What answers is no object store.
    NotS3,
    /// The certificate of the store is not trusted.
    Untrusted,
    /// The store is out of reach or busy.
    Unavailable,
    /// The store does not take the request as it is.
    Refused,
}

impl Wanted {
    fn verb(self) -> &'static str {
        match self {
            Self::Content | Self::Look => "read",
            Self::Names => "list",
            Self::Store => "write",
        }
    }

    fn rights(self) -> &'static str {
        match self {
            Self::Content | Self::Look => {
                "`s3:GetObject` for it and `s3:ListBucket` for its bucket, without which a store denies also what does not exist"
            }
            Self::Names => "`s3:ListBucket` for the bucket",
            Self::Store => "`s3:PutObject` for it",
        }
    }
}

/// The store, as people know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Such as `https://s3.example.com`.
    pub(super) endpoint: String,
    pub(super) region: String,
}

/// What was met in the place of a success.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Met {
    /// Absent without an answer.
    status: Option<u16>,
    /// What the store calls it.
    code: Option<String>,
    /// The region that the store names.
    region: Option<String>,
    /// What the connection says.
    words: String,
    /// Whether the time was over.
    is_late: bool,
}

/// Characters of what the connection says.
const WORDS: usize = 300;

impl Met {
    pub(super) fn of<E>(error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let answer = error.raw_response();
        let header = answer.and_then(|answer| answer.headers().get("x-amz-bucket-region"));
        let said = error.message().and_then(region_in);
        let is_late = match error {
            SdkError::TimeoutError(_) => true,
            SdkError::DispatchFailure(failure) => failure.is_timeout(),
            _ => false,
        };
        Self {
            status: answer.map(|answer| answer.status().as_u16()),
            code: error
                .code()
                .filter(|code| is_code(code))
                .map(str::to_string),
            region: header
                .or(said)
                .filter(|name| is_region(name))
                .map(str::to_string),
            words: whole_chain(error).chars().take(WORDS).collect(),
            is_late,
        }
    }

    /// Whether it says nothing but a status, as an answer to a look.
    pub(super) fn is_wordless(&self) -> bool {
        self.status.is_some() && self.code.is_none()
    }

    /// Whether the object is not as the request asked for.
    pub(super) fn is_of_a_condition(&self) -> bool {
        self.status == Some(412)
    }

    /// What it means for whoever wanted something of a bucket.
    pub(super) fn meaning(
        &self,
        wanted: Wanted,
        bucket: &str,
        place: &Place,
    ) -> (StoreErrorKind, String) {
        let Some(status) = self.status else {
            return self.meaning_without_answer(place);
        };
        let code = self.code.as_deref().unwrap_or_default();
        let Place { endpoint, region } = place;
        let is_elsewhere = self.region.as_ref().is_some_and(|named| named != region);
        let answer = match code {
            "" => format!("with status {status}"),
            code => format!("`{code}` with status {status}"),
        };
        let kind = kind_of(status, code, is_elsewhere, wanted);
        let message = match kind {
            StoreErrorKind::Missing => "it does not exist".to_string(),
            StoreErrorKind::NoBucket => format!(
                "there is no bucket `{bucket}` at {endpoint}; create it, or correct the address or the endpoint"
            ),
            StoreErrorKind::Changed => "it was replaced meanwhile".to_string(),
            StoreErrorKind::Denied => format!(
                "{endpoint} denies it to the credentials that were sent; they need {}",
                wanted.rights()
            ),
            StoreErrorKind::Credentials if EXPIRED.contains(&code) => {
                format!("{endpoint} answers `{code}`: the credentials have expired; get new ones")
            }
            StoreErrorKind::Credentials => format!(
                "{endpoint} answers `{code}`: it knows no such access key, or another secret of it; correct AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or what they come from"
            ),
            StoreErrorKind::OtherRegion => {
                let right = match &self.region {
                    Some(region) => format!("`{region}`"),
                    None => "another one".to_string(),
                };
                format!(
                    "the bucket `{bucket}` does not lie in the region `{region}` but in {right}; name its region (`store.region`, or AWS_REGION)"
                )
            }
            StoreErrorKind::Clock => format!(
                "the clock of this machine and that of {endpoint} differ by more than a store allows; set the wrong one"
            ),
            StoreErrorKind::NotS3 => format!(
                "{endpoint} answers with status {status} and not as an object store does; name one that speaks S3 (`store.endpoint`, or AWS_ENDPOINT_URL_S3), with http:// or https:// as it needs it"
            ),
            StoreErrorKind::Unavailable => {
                format!("{endpoint} answers {answer}, again and again: it is busy or broken")
            }
            StoreErrorKind::Refused if code == ARCHIVED => {
                "it is archived; restore it first".to_string()
            }
            StoreErrorKind::Refused | StoreErrorKind::Untrusted => {
                format!("{endpoint} answers {answer}")
            }
        };
        (kind, message)
    }

    fn meaning_without_answer(&self, place: &Place) -> (StoreErrorKind, String) {
        let Place { endpoint, .. } = place;
        let words = &self.words;
        if words.contains("credential") {
            let message = format!(
                "no credentials were found for {endpoint}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, give the service account a web identity, or name a profile ({words})"
            );
            (StoreErrorKind::Credentials, message)
        } else if words.contains("corrupt message") || words.contains("InvalidContentType") {
            let message = format!("{endpoint} does not speak TLS, so that it begins with http://");
            (StoreErrorKind::NotS3, message)
        } else if words.contains("certificate") {
            let message = format!(
                "the certificate of {endpoint} is not trusted ({words}); let AWS_CA_BUNDLE name a file with the certificates in PEM that it is signed by"
            );
            (StoreErrorKind::Untrusted, message)
        } else if self.is_late {
            let message = format!("{endpoint} does not answer in time");
            (StoreErrorKind::Unavailable, message)
        } else {
            let message = format!("{endpoint} is out of reach: {words}");
            (StoreErrorKind::Unavailable, message)
        }
    }
}

const ARCHIVED: &str = "InvalidObjectState";
const EXPIRED: [&str; 3] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "TokenRefreshRequired",
];
const WRONG_CREDENTIALS: [&str; 8] = [
    "InvalidAccessKeyId",
    // The same of versitygw.
    "XAdminUserNotFound",
    "SignatureDoesNotMatch",
    "InvalidToken",
    "InvalidSecurity",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "AuthorizationHeaderMalformed",
];
const SKEWED: [&str; 2] = ["RequestTimeTooSkewed", "RequestExpired"];
const OTHER_REGION: [&str; 4] = [
    "PermanentRedirect",
    "TemporaryRedirect",
    "Redirect",
    "IllegalLocationConstraintException",
];
const BUSY: [&str; 5] = [
    "SlowDown",
    "ServiceUnavailable",
    "InternalError",
    "RequestTimeout",
    "Throttling",
];

fn kind_of(status: u16, code: &str, is_elsewhere: bool, wanted: Wanted) -> StoreErrorKind {
    let is_one_of = |codes: &[&str]| codes.contains(&code);
    match (status, code) {
        (_, "NoSuchKey") => StoreErrorKind::Missing,
        (_, "NoSuchBucket") => StoreErrorKind::NoBucket,
        (404, _) if wanted == Wanted::Look => StoreErrorKind::Missing,
        (412 | 416, _) | (_, "ConditionalRequestConflict") => StoreErrorKind::Changed,
        (301 | 307 | 308, _) => StoreErrorKind::OtherRegion,
        (400, "" | "AuthorizationHeaderMalformed") if is_elsewhere => StoreErrorKind::OtherRegion,
        _ if is_one_of(&OTHER_REGION) => StoreErrorKind::OtherRegion,
        _ if is_one_of(&EXPIRED) || is_one_of(&WRONG_CREDENTIALS) => StoreErrorKind::Credentials,
        _ if is_one_of(&SKEWED) => StoreErrorKind::Clock,
        (_, ARCHIVED) => StoreErrorKind::Refused,
        (408 | 429 | 500..=599, _) => StoreErrorKind::Unavailable,
        _ if is_one_of(&BUSY) => StoreErrorKind::Unavailable,
        (403, "") if wanted == Wanted::Look => StoreErrorKind::Denied,
        (_, "") => StoreErrorKind::NotS3,
        // That of the SDK for an answer without a body, which no object store gives here.
        (_, "NotFound") => StoreErrorKind::NotS3,
        (401 | 403, _) => StoreErrorKind::Denied,
        _ => StoreErrorKind::Refused,
    }
}

/// The codes of stores are words; whatever else stands in their place is somebody's text.
fn is_code(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric())
}

fn is_region(text: &str) -> bool {
    let may_be = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&text.len()) && text.chars().all(may_be)
}

/// That which a store expects, by its words: `the region 'us-east-1' is wrong; expecting 'eu-central-1'`.
fn region_in(message: &str) -> Option<&str> {
    let (_, expected) = message.split_once("expecting '")?;
    expected.split('\'').next()
}

impl From<StoreError> for TableError {
    fn from(error: StoreError) -> Self {
        let path = PathBuf::from(error.address);
        let message = error.message;
        match error.kind {
            StoreErrorKind::Missing => Self::Missing { path, message },
            _ => Self::Unreadable { path, message },
        }
    }
}

impl From<StoreError> for PortError {
    fn from(error: StoreError) -> Self {
        let kind = match error.kind {
            StoreErrorKind::Missing | StoreErrorKind::NoBucket => PortErrorKind::Missing,
            StoreErrorKind::Changed => PortErrorKind::Conflict,
            StoreErrorKind::Denied | StoreErrorKind::Credentials => PortErrorKind::Forbidden,
            StoreErrorKind::Unavailable => PortErrorKind::Unavailable,
            StoreErrorKind::OtherRegion
            | StoreErrorKind::Clock
            | StoreErrorKind::NotS3
            | StoreErrorKind::Untrusted
            | StoreErrorKind::Refused => PortErrorKind::Refused,
        };
        Self::new(kind, error.to_string())
    }
}

#[cfg(test)]
mod tests;
