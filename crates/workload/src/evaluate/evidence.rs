//! What was read for a comparison: enough to recognise the same evidence, and to repeat the comparison.

use super::rows::Rows;
use crate::table::{FileRead, Keys, hex};
use podium_core::comparison::Holdout;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::Path;

/// What was read for a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// The file of the champion's predictions.
    pub champion: FileRead,
    /// The file of the challenger's predictions; that of the champion's when one file holds both.
    pub challenger: FileRead,
    /// The file of labels, weights, clusters and slices, when they are not taken from the predictions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holdout: Option<FileRead>,
    /// SHA-256 over the content of the rows that are compared, without their scores; 64 hexadecimal digits. The same rows give the same
    /// fingerprint in any order, in any file.
    pub fingerprint: String,
    /// A hash of the id of each row that is compared, for a sketch of the holdout. Empty when rows have no ids.
    #[serde(skip)]
    pub ids: Vec<u64>,
    /// The seed of the resamples.
    pub seed: u64,
    /// Where each row that is compared stands in its file, the first being 0, when not all of them are.
    #[serde(skip)]
    pub(super) places: Option<Vec<usize>>,
}

impl Evidence {
    /// The file whose rows are counted in messages.
    pub(super) fn described_in(&self) -> &Path {
        &self.holdout.as_ref().unwrap_or(&self.champion).path
    }

    /// The number in its file of the row that is the `number`th of those compared; the first is 1.
    pub(super) fn number_in_file(&self, number: usize) -> usize {
        let place = self
            .places
            .as_ref()
            .and_then(|places| places.get(number.checked_sub(1)?));
        place.map_or(number, |place| place + 1)
    }
}

/// The seed that follows from the files: the first 48 bits of SHA-256 over their digests in hexadecimal digits, a line each, so that
/// `sha256sum` can tell it and every JSON number can hold it.
pub(super) fn derived_seed(
    champion: &FileRead,
    challenger: &FileRead,
    holdout: Option<&FileRead>,
) -> u64 {
    let mut hash = Sha256::new();
    for file in [Some(champion), Some(challenger), holdout]
        .into_iter()
        .flatten()
    {
        hash.update(file.sha256.as_bytes());
        hash.update(b"\n");
    }
    leading(&hash.finalize(), 6)
}

fn leading(digest: &[u8], bytes: usize) -> u64 {
    let shift_in = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
    digest.iter().take(bytes).fold(0, shift_in)
}

/// A hash of each id that depends on its text only, so that ids read as numbers and as texts are the same rows.
pub(super) fn hashes(ids: &Keys, places: &[usize]) -> Vec<u64> {
    let hash = |place: &usize| leading(&Sha256::digest(ids.text(*place)), 8);
    places.iter().map(hash).collect()
}

/// The fingerprint of the rows at `places`: SHA-256 over what is known of each row but its scores, in the order of ids.
///
/// The encoding begins with the text `podium holdout 1`, three flags (whether there are ids, weights and clusters), the number of slices
/// with the name of each in the order of names, and the number of rows. Of each row follow its id, its label as a flag, the bits of its
/// weight, its cluster, and a flag per slice. A flag is a byte, 0 or 1; a number 8 bytes, the highest first; a text is preceded by the number
/// of its bytes. An id or a cluster is the byte `i` and a number, the byte `n` and the digits of a whole number that 8 bytes with a sign do not
/// hold, or the byte `t` and a text. Ids that are numbers are in the order of
/// numbers, texts in that of their bytes.
///
/// Every part has a fixed length or is preceded by its length, and columns that are not given are told apart from those that are, so that
/// no two holdouts have the same encoding.
pub(super) fn fingerprint(rows: &Rows, places: &[usize]) -> String {
    let (ids, clusters) = (&rows.ids, &rows.clusters);
    let Holdout {
        labels,
        weights,
        slices,
        // The values of clusters are encoded, not their hashes; scores belong to the models.
        clusters: _,
        unit_keys: _,
        champion: _,
        challenger: _,
    } = &rows.holdout;

    let mut places = places.to_vec();
    match ids {
        Some(Keys::Integers(ids)) => places.sort_unstable_by_key(|&place| ids[place]),
        Some(Keys::Texts(ids)) => {
            places.sort_unstable_by(|&left, &right| ids.value(left).cmp(ids.value(right)));
        }
        // Without ids the order of the file is all there is.
        None => {}
    }

    let mut encoding = Encoding::default();
    encoding.text("podium holdout 1");
    for given in [ids.is_some(), weights.is_some(), clusters.is_some()] {
        encoding.flag(given);
    }
    encoding.number(slices.len() as u64);
    for name in slices.keys() {
        encoding.text(name);
    }
    encoding.number(places.len() as u64);
    for place in places {
        if let Some(ids) = ids {
            encoding.value(ids, place);
        }
        encoding.flag(labels[place] == 1);
        if let Some(weights) = weights {
            // Adding 0 makes -0 the 0 that it equals.
            encoding.number((weights[place] + 0.0).to_bits());
        }
        if let Some(clusters) = clusters {
            encoding.value(clusters, place);
        }
        for members in slices.values() {
            encoding.flag(members[place]);
        }
    }
    encoding.digest()
}

#[derive(Default)]
struct Encoding(Sha256);

impl Encoding {
    fn flag(&mut self, holds: bool) {
        self.0.update([u8::from(holds)]);
    }

    fn number(&mut self, number: u64) {
        self.0.update(number.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text.as_bytes());
    }

    /// A whole number or a text; the two never have the same encoding.
    fn value(&mut self, keys: &Keys, place: usize) {
        match keys {
            Keys::Integers(numbers) => match i64::try_from(numbers[place]) {
                Ok(number) => {
                    self.0.update(b"i");
                    self.number(number.cast_unsigned());
                }
                Err(_) => {
                    self.0.update(b"n");
                    self.text(&keys.text(place));
                }
            },
            Keys::Texts(texts) => {
                self.0.update(b"t");
                self.text(texts.value(place));
            }
        }
    }

    fn digest(self) -> String {
        hex(&self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_sequences_of_values_have_the_same_encoding() {
        let digest = |texts: &[&str]| {
            let mut encoding = Encoding::default();
            texts.iter().for_each(|text| encoding.text(text));
            encoding.digest()
        };
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_ne!(digest(&["a", ""]), digest(&["", "a"]));
        let of_value = |keys: &Keys| {
            let mut encoding = Encoding::default();
            encoding.value(keys, 0);
            encoding.digest()
        };
        let number = |number| of_value(&Keys::Integers(vec![number]));
        let text = Keys::Texts(vec!["1"].into());
        assert_ne!(number(1), of_value(&text));
        // As 8 bytes these two would be the same.
        assert_ne!(number(-1), number(i128::from(u64::MAX)));
    }
}
