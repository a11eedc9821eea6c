//! A small summary of which rows a holdout has, to tell a fresh holdout from one that was looked at before.

#[cfg(test)]
mod tests;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::random::mix;

/// Hashes that a sketch keeps.
const KEPT: usize = 256;

/// Keeps the hashes apart from those of the bootstrap's counts and of confirmation rows.
const SALT: u64 = 0x534b_4554_4348_3031;

/// Bytes of a hash: its 48 highest bits.
const HASH_BYTES: usize = 6;

/// The first byte of the text form.
const VERSION: u8 = 1;

/// Version and number of rows.
const HEADER_BYTES: usize = 9;

/// A checksum.
const TRAILER_BYTES: usize = 4;

/// Characters of a part; values of registries hold fewer than 250.
const PART_CHARACTERS: usize = 240;

/// The smallest hashes of the ids of a holdout's rows (a bottom-k sketch, Cohen and Kaplan 2007), with 256 hashes. It estimates which
/// share of the rows of one holdout another one has, to within 3 points (one standard deviation) or exactly when both have fewer rows.
///
/// In JSON it is its text form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sketch {
    rows: u64,
    /// Rising, without repetition.
    hashes: Vec<u64>,
}

/// A text that is no sketch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SketchError {
    /// The text is not base64url without padding.
    #[error("a sketch must be base64url without padding")]
    NotBase64,
    /// The text has another version, a length that no sketch has, or a checksum that does not match.
    #[error("a sketch must be complete and unchanged, and of version {VERSION}")]
    Damaged,
}

impl Sketch {
    /// The sketch of a holdout whose rows have these ids, in any order. An id is a number that names the row, such as a hash of it;
    /// it need not be well mixed.
    #[must_use]
    pub fn of(ids: impl IntoIterator<Item = u64>) -> Self {
        let mut rows = 0;
        let mut hashes = Vec::with_capacity(2 * KEPT);
        let mut largest = u64::MAX;
        for id in ids {
            rows += 1;
            let hash = mix(id ^ SALT) >> (64 - 8 * HASH_BYTES);
            if hash < largest {
                hashes.push(hash);
            }
            if hashes.len() == 2 * KEPT {
                keep_smallest(&mut hashes);
                if hashes.len() == KEPT {
                    largest = hashes[KEPT - 1];
                }
            }
        }
        keep_smallest(&mut hashes);
        Self { rows, hashes }
    }

    /// Number of rows of the holdout.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// The estimated share of the rows of this holdout that are also in `earlier`, from 0 to 1.
    ///
    /// Below the smaller of both sketches' largest hashes, both hold every row there is: the share is counted there. A holdout so
    /// much smaller than `earlier` that it has no row there is taken as a part of it; one without rows shares none.
    #[must_use]
    pub fn shared_with(&self, earlier: &Self) -> f64 {
        if self.hashes.is_empty() || earlier.hashes.is_empty() {
            return 0.0;
        }
        let limit = self.limit().min(earlier.limit());
        let known = &self.hashes[..self.hashes.partition_point(|&hash| hash <= limit)];
        if known.is_empty() {
            return 1.0;
        }
        let shared = known
            .iter()
            .filter(|hash| earlier.hashes.binary_search(hash).is_ok())
            .count();
        shared as f64 / known.len() as f64
    }

    /// Whether more than half of the rows of this holdout are also in `earlier`: a look at this one is then a look at that one.
    #[must_use]
    pub fn shares_most_rows_with(&self, earlier: &Self) -> bool {
        self.shared_with(earlier) > 0.5
    }

    /// The hash up to which this sketch holds every row.
    fn limit(&self) -> u64 {
        match self.hashes.last() {
            Some(&largest) if self.hashes.len() == KEPT => largest,
            _ => u64::MAX,
        }
    }

    /// The sketch as about 2,000 characters of base64url without padding: version, number of rows, hashes of 6 bytes, checksum.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(self.rows.to_be_bytes());
        for hash in &self.hashes {
            bytes.extend(&hash.to_be_bytes()[8 - HASH_BYTES..]);
        }
        bytes.extend(checksum(&bytes));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The sketch of a text that [`Self::to_text`] wrote.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse(text: &str) -> Result<Self, SketchError> {
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| SketchError::NotBase64)?;
        let (content, trailer) = bytes
            .split_last_chunk::<TRAILER_BYTES>()
            .ok_or(SketchError::Damaged)?;
        let (header, hashes) = content
            .split_first_chunk::<HEADER_BYTES>()
            .ok_or(SketchError::Damaged)?;
        let [VERSION, rows @ ..] = *header else {
            return Err(SketchError::Damaged);
        };
        let sketch = Self {
            rows: u64::from_be_bytes(rows),
            hashes: hashes
                .chunks(HASH_BYTES)
                .map(|bytes| {
                    bytes
                        .iter()
                        .fold(0, |hash, &byte| hash << 8 | u64::from(byte))
                })
                .collect(),
        };
        let is_whole = hashes.len().is_multiple_of(HASH_BYTES)
            && sketch.hashes.len() <= KEPT
            && sketch.hashes.len() as u64 <= sketch.rows
            && sketch.hashes.is_sorted_by(|lower, upper| lower < upper)
            && *trailer == checksum(content);
        is_whole.then_some(sketch).ok_or(SketchError::Damaged)
    }

    /// The text form cut into parts of fewer than 250 characters, for registries that hold no longer values.
    #[must_use]
    pub fn parts(&self) -> Vec<String> {
        self.to_text()
            .as_bytes()
            .chunks(PART_CHARACTERS)
            .map(|part| part.iter().map(|&byte| char::from(byte)).collect())
            .collect()
    }

    /// The sketch of the parts that [`Self::parts`] made, in their order.
    ///
    /// # Errors
    /// Any other parts; also when one is missing or in another place.
    pub fn from_parts<S: AsRef<str>>(parts: &[S]) -> Result<Self, SketchError> {
        let text: String = parts.iter().map(AsRef::as_ref).collect();
        Self::parse(&text)
    }
}

impl From<Sketch> for String {
    fn from(sketch: Sketch) -> Self {
        sketch.to_text()
    }
}

impl TryFrom<String> for Sketch {
    type Error = SketchError;

    fn try_from(text: String) -> Result<Self, SketchError> {
        Self::parse(&text)
    }
}

fn keep_smallest(hashes: &mut Vec<u64>) {
    hashes.sort_unstable();
    hashes.dedup();
    hashes.truncate(KEPT);
}

/// Four bytes that change when any byte does.
fn checksum(bytes: &[u8]) -> [u8; TRAILER_BYTES] {
    let sum = bytes
        .iter()
        .fold(SALT, |sum, &byte| mix(sum ^ u64::from(byte)));
    ((sum >> 32) as u32).to_be_bytes()
}
