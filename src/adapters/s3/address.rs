//! Addresses in an object store: `s3://BUCKET/KEY`. They are no URIs: every character of a key stands for itself.

use std::fmt;
use std::path::Path;

const SCHEME: &str = "s3://";

/// An object, or what begins the keys of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Address {
    bucket: String,
    key: String,
}

impl fmt::Display for S3Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{SCHEME}{}/{}", self.bucket, self.key)
    }
}

impl S3Address {
    /// Whether an address is meant to be one of an object store, whatever else is wrong with it.
    #[must_use]
    pub fn is_meant_by(address: &Path) -> bool {
        let text = address.as_os_str().as_encoded_bytes();
        text.starts_with(SCHEME.as_bytes())
    }

    /// The address that this text is.
    ///
    /// # Errors
    /// What must hold.
    pub fn parse(address: &Path) -> Result<Self, String> {
        let text = address.to_str().ok_or("the address must be UTF-8")?;
        let place = text.strip_prefix(SCHEME);
        let place = place.ok_or("the address must begin with s3://")?;
        let (bucket, key) = place.split_once('/').unwrap_or((place, ""));
        let may_be = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        if bucket.is_empty() || !bucket.chars().all(may_be) {
            return Err("the address must have the form s3://BUCKET/KEY, where a bucket's name is made of letters, digits, dots, hyphens and underscores".to_string());
        }
        Ok(Self {
            bucket: bucket.to_string(),
            key: key.to_string(),
        })
    }

    pub(super) fn bucket(&self) -> &str {
        &self.bucket
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Whether it can be that of an object with content.
    pub(in crate::adapters) fn may_be_an_object(&self) -> bool {
        !self.key.is_empty() && !self.key.ends_with('/')
    }

    /// What the keys of the objects in a folder of this name begin with.
    pub(super) fn prefix(&self) -> String {
        match self.key.as_str() {
            "" => String::new(),
            key if key.ends_with('/') => key.to_string(),
            key => format!("{key}/"),
        }
    }

    /// The object of this name in a folder of this one.
    pub(super) fn below(&self, name: &str) -> Self {
        Self {
            bucket: self.bucket.clone(),
            key: self.prefix() + name,
        }
    }

    /// Whether `other` is this object, or lies in the folder of its name.
    pub(in crate::adapters) fn holds(&self, other: &Self) -> bool {
        self.bucket == other.bucket
            && (self.key == other.key || other.key.starts_with(&self.prefix()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<S3Address, String> {
        S3Address::parse(Path::new(text))
    }

    #[test]
    fn a_key_is_taken_literally() {
        for key in [
            "key with spaces/%41",
            "a//b",
            "/a",
            "a/../b",
            "a?versionId=1#c",
            "a+b",
            "ü",
            "a/",
        ] {
            let text = format!("s3://bucket/{key}");
            let address = parsed(&text).unwrap();
            assert_eq!((address.bucket(), address.key()), ("bucket", key));
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn what_names_no_bucket_is_refused() {
        for text in ["s3://", "s3:///key", "s3://a b/key", "s3://me:secret@b/k"] {
            assert!(S3Address::is_meant_by(Path::new(text)), "{text}");
            let refusal = parsed(text).unwrap_err();
            assert!(refusal.contains("s3://BUCKET/KEY"), "{refusal}");
            assert!(!refusal.contains("secret"), "{refusal}");
        }
        for text in [
            "bucket/key",
            "file:///a",
            "S3://bucket/key",
            "s3:/bucket/key",
        ] {
            assert!(!S3Address::is_meant_by(Path::new(text)), "{text}");
        }
    }

    #[test]
    fn a_folder_has_one_slash_at_its_end() {
        for (text, prefix, below) in [
            ("s3://b", "", "s3://b/p"),
            ("s3://b/", "", "s3://b/p"),
            ("s3://b/t", "t/", "s3://b/t/p"),
            ("s3://b/t/", "t/", "s3://b/t/p"),
        ] {
            let address = parsed(text).unwrap();
            assert_eq!(address.prefix(), prefix);
            assert_eq!(address.below("p").to_string(), below);
        }
    }

    #[test]
    fn a_folder_holds_what_lies_below_it() {
        let holds = |one: &str, other: &str| parsed(one).unwrap().holds(&parsed(other).unwrap());
        for other in ["s3://b/t", "s3://b/t/", "s3://b/t/p"] {
            assert!(holds("s3://b/t", other), "{other}");
        }
        assert!(holds("s3://b", "s3://b/t"));
        for other in ["s3://b/t2", "s3://b/s", "s3://other/t"] {
            assert!(!holds("s3://b/t", other), "{other}");
        }
    }
}
