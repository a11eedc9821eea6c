//! Where reports lie: one name for each Evaluation, so that whoever repeats a comparison overwrites its report with the same bytes.

use sha2::{Digest, Sha256};

/// Tells addresses apart in few bytes.
pub type Mark = [u8; 8];

/// The address of an Evaluation's page in the folder that its policy names.
#[must_use]
pub fn page_of(folder: &str, policy: &str, evaluation: &str) -> String {
    let slash = if folder.ends_with('/') { "" } else { "/" };
    format!("{folder}{slash}{policy}/{evaluation}.html")
}

/// The mark of an address: the first bytes of its SHA-256.
#[must_use]
pub fn mark_of(address: &str) -> Mark {
    let digest: [u8; 32] = Sha256::digest(address.as_bytes()).into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    [a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_lies_below_its_policy_in_the_folder() {
        for (folder, page) in [
            ("s3://b", "s3://b/fraud/fraud-1-2.html"),
            ("s3://b/", "s3://b/fraud/fraud-1-2.html"),
            ("s3://b/a b/%41", "s3://b/a b/%41/fraud/fraud-1-2.html"),
            ("reports", "reports/fraud/fraud-1-2.html"),
            ("file://reports/", "file://reports/fraud/fraud-1-2.html"),
        ] {
            assert_eq!(page_of(folder, "fraud", "fraud-1-2"), page);
        }
    }

    #[test]
    fn a_mark_is_the_beginning_of_a_digest() {
        // printf %s abc | sha256sum
        let known = [0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea];
        assert_eq!(mark_of("abc"), known);
        assert_ne!(mark_of("abd"), known);
    }
}
