//! Reading YAML as kubectl does: only `true` and `false` are booleans, so a column named `y` is a text.

use serde::de::DeserializeOwned;

pub use serde_saphyr::Error;

/// The one document in `text`.
///
/// # Errors
/// It is not YAML, or not what is asked for; the message has line and column.
pub fn document<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_saphyr::from_str_with_options(text, serde_saphyr::options! { strict_booleans: true })
}

/// All documents in `text`.
///
/// # Errors
/// As [`document`].
pub fn documents<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, Error> {
    serde_saphyr::from_multiple_with_options(text, serde_saphyr::options! { strict_booleans: true })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    #[test]
    fn what_looks_like_an_answer_is_a_text() {
        let read: Value = super::document("{label: y, no: on, really: true}").unwrap();
        assert_eq!(read, json!({"label": "y", "no": "on", "really": true}));
        let written = serde_saphyr::to_string(
            &json!({"label": "y", "size": "1e3", "empty": "", "time": "2026-01-01"}),
        )
        .unwrap();
        let again: Value = super::document(&written).unwrap();
        assert_eq!(
            again,
            json!({"label": "y", "size": "1e3", "empty": "", "time": "2026-01-01"})
        );
    }
}
