//! Objects are files: `file:///absolute`, `file://localhost/absolute`, `file://relative` or a plain path.

use super::file_digests::FileDigests;
use crate::ports::{ObjectStore, PortError, Sight};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Objects under a base directory.
#[derive(Clone, Debug)]
pub struct DirectoryStore {
    base: PathBuf,
    digests: FileDigests,
}

impl DirectoryStore {
    /// Relative paths are taken from `base`.
    #[must_use]
    pub fn new(base: PathBuf) -> Self {
        Self {
            base,
            digests: FileDigests::default(),
        }
    }

    /// The file that a URI names.
    ///
    /// # Errors
    /// As [`path_of`].
    pub fn path(&self, uri: &str) -> Result<PathBuf, PortError> {
        path_of(&self.base, uri)
    }
}

/// The file that `uri` names, seen from `base`. A path without a scheme is taken as it stands; in a `file:` URI, `%20` is a space.
///
/// # Errors
/// The URI has a scheme other than `file`, or an escape that is no part of a file name.
pub fn path_of(base: &Path, uri: &str) -> Result<PathBuf, PortError> {
    let refused = |why: String| PortError::refused(format!("`{uri}` names no file: {why}"));
    let is_file = |scheme: &str| scheme.eq_ignore_ascii_case("file");
    let escaped = match uri.split_once(':') {
        Some((scheme, rest)) if is_file(scheme) => match rest.strip_prefix("//") {
            Some(rest) => without_this_host(rest),
            None => rest,
        },
        Some((scheme, rest)) if rest.starts_with("//") => {
            return Err(PortError::refused(format!(
                "`{uri}` cannot be reached without a cluster: its scheme must be `file`, not `{scheme}`"
            )));
        }
        _ => return Ok(base.join(uri)),
    };
    let path = unescaped(escaped).map_err(refused)?;
    Ok(base.join(OsString::from_vec(path)))
}

/// `file://localhost/a` is `/a` of this machine; what else stands after `file://` is a path, which may be relative.
fn without_this_host(rest: &str) -> &str {
    match rest.split_at_checked("localhost".len()) {
        Some((host, path)) if host.eq_ignore_ascii_case("localhost") && path.starts_with('/') => {
            path
        }
        _ => rest,
    }
}

/// The bytes that a URI's path stands for.
fn unescaped(path: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'?' | b'#' => {
                let mark = char::from(byte);
                return Err(format!(
                    "`{mark}` begins what a file has not; write `%{byte:02X}` where it is part of a name"
                ));
            }
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
                    return Err("`%` must be followed by two hexadecimal digits; write `%25` for the sign itself".to_string());
                };
                match u8::try_from(16 * high + low).unwrap_or_default() {
                    0 => return Err("no file's name holds `%00`".to_string()),
                    b'/' => {
                        return Err(
                            "`%2F` is a slash inside of a name, which no file has; write `/`".to_string(),
                        );
                    }
                    other => other,
                }
            }
            other => other,
        });
    }
    Ok(bytes)
}

impl ObjectStore for DirectoryStore {
    async fn look(&self, uri: &str) -> Result<Sight, PortError> {
        let path = self.path(uri)?;
        let found = self.digests.of_table(&path);
        let found = found.map_err(|error| PortError::invalid(error.to_string()))?;
        Ok(found.map_or(Sight::Missing, Sight::Present))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_in_uris_and_not_in_paths() {
        let base = Path::new("/base");
        for (uri, path) in [
            ("file://my%20data/a.csv", "/base/my data/a.csv"),
            ("file:///my%20data/a", "/my data/a"),
            ("file://localhost/a/b", "/a/b"),
            ("FILE://LocalHost/a", "/a"),
            ("file:/a/b", "/a/b"),
            ("file:a/b", "/base/a/b"),
            ("file://localhost.csv", "/base/localhost.csv"),
            ("file://caf%C3%A9", "/base/café"),
            ("file://100%25", "/base/100%"),
            ("file://a b", "/base/a b"),
            ("my%20data/100%", "/base/my%20data/100%"),
            ("a:b.csv", "/base/a:b.csv"),
        ] {
            assert_eq!(path_of(base, uri).unwrap(), Path::new(path), "{uri}");
        }
        for (uri, said) in [
            ("file://a%2Fb", "slash inside of a name"),
            ("file://100%", "two hexadecimal digits"),
            ("file://a%zz", "two hexadecimal digits"),
            ("file://a%+1", "two hexadecimal digits"),
            ("file://a%00b", "`%00`"),
            ("file://a?version=1", "`%3F`"),
            ("file://a#b", "`%23`"),
            ("http://localhost/a", "must be `file`, not `http`"),
            ("s3a://bucket/key", "must be `file`, not `s3a`"),
        ] {
            let refusal = path_of(base, uri).unwrap_err().to_string();
            assert!(
                refusal.contains(said) && refusal.contains(uri),
                "{uri}: {refusal}"
            );
        }
    }

    #[test]
    fn reads_paths_and_file_uris_and_refuses_others() {
        let base = Path::new("/base");
        assert_eq!(path_of(base, "a/b").unwrap(), Path::new("/base/a/b"));
        assert_eq!(path_of(base, "file://a/b").unwrap(), Path::new("/base/a/b"));
        assert_eq!(path_of(base, "file:///a/b").unwrap(), Path::new("/a/b"));
        let refusal = path_of(base, "s3://bucket/key").unwrap_err().to_string();
        assert!(refusal.contains("must be `file`, not `s3`"), "{refusal}");
    }
}
